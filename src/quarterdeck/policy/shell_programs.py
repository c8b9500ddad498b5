"""Tables of programs: which ones only do their own work, which ones start others, and with which options.

Fail-closed: a name that stands in none of these tables is `unknown-program`, for any program may start another.
Sources: the programs' manual pages (coreutils, findutils, util-linux, git, bash).
"""

from __future__ import annotations

from dataclasses import dataclass


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


PLAIN = words(
    """
    [ arch b2sum base32 base64 basename basenc cal cat chgrp chmod chown cksum cmp column comm cp csplit cut date dd
    df diff diff3 dir dircolors dirname du echo egrep expand expr factor false fgrep file fmt fold getconf getopt grep
    groups head hexdump hostid hostname iconv id install join jq kill link ln locale logname look ls lsblk lscpu
    md5sum mkdir mkfifo mknod mktemp mv nl nproc numfmt od paste pathchk pr printenv printf ps pwd readlink realpath
    rev rm rmdir seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat strings sum sync tac tail
    tee test touch tr tree true truncate tsort tty uname unexpand uniq unlink uptime uuidgen vdir wc which who whoami xxd
    yes zcat bc free gunzip gzip bunzip2 bzip2 xz unxz zstd pgrep pidof pkill rg
    """
)
"""Programs that do only their own work, whatever their arguments (options that start others are in DANGEROUS_OPTIONS)."""

BUILTINS = words(
    """
    : [ break cd continue declare dirs echo exit export false getopts help jobs let local popd printf pushd pwd read
    readonly return set shift test times true type typeset ulimit umask unset wait kill bg fg disown
    """
)
"""Shell builtins without an effect on which program a later name means."""

DANGEROUS_OPTIONS: dict[str, tuple[str, ...]] = {
    "sort": ("--compress-program",),
    "rg": ("--pre", "--hostname-bin"),
    "split": ("--filter",),
    "wget": ("--use-askpass", "-e", "--execute"),
    "install": ("-s", "--strip", "--strip-program"),
}
"""Options by which an otherwise plain program starts another one."""

NETWORK = words(
    """
    nc ncat netcat socat telnet ftp sftp ssh scp rsync aria2c lynx w3m http
    https xh openssl nmap tcpdump aws gcloud az gh glab kubectl helm docker podman twine
    """
)
"""Programs made to talk to other machines."""

NETWORK_PLAIN = words("curl wget ping dig nslookup host whois")
"""Programs that talk to other machines and start nothing."""

INSTALLERS = words(
    """
    pip pip3 npm npx pnpm yarn bun uv uvx poetry pdm pipx conda mamba gem bundle apt apt-get dnf yum apk brew cpan
    """
)
"""Programs that fetch software and run parts of it."""

INSTALL_WORDS = words("install add ci i sync update upgrade get")

SHELLS = words(
    """
    sh bash dash zsh ksh ash rbash
    """
)

RUNS_CODE = words(
    """
    python python3 python2 pypy pypy3 ipython jupyter node nodejs deno ruby perl php lua luajit Rscript julia java
    javac scala kotlin groovy awk gawk mawk nawk gdb lldb vim vi ex ed emacs nano less more man tar zip unzip make
    gmake cmake ninja meson bazel just task tox nox pytest py.test unittest coverage hypothesis behave mypy pyright
    pylint flake8 ruff black isort bandit cargo rustc go gcc cc clang g++ c++ ld as mvn gradle ant sbt dotnet msbuild
    cabal stack mix rake rspec jest mocha vitest eslint prettier tsc webpack vite pre-commit sphinx-build mkdocs
    alembic django-admin flask uvicorn gunicorn at batch crontab script expect tclsh wish parallel entr watchman
    sqlite3 psql mysql screen tmux ansible terraform systemd-run systemctl service start-stop-daemon busybox toybox
    dpkg rpm m4 tcl perf valgrind strace ltrace git-lfs run-parts patch ld.so xterm mail sendmail logrotate bpython
    gradlew mvnw
    """
)
"""Programs whose work is to run code that stands elsewhere: honest work in a sandbox, but not to be seen through."""

BUILTIN_RUNNERS = words(
    """
    eval source . alias unalias trap enable hash mapfile readarray complete compgen bind fc coproc select history let
    shopt
    """
)
"""Builtins that run text, or that change what a later name means."""


@dataclass(frozen=True)
class Wrapper:
    """A program that runs the rest of its command line. `flags` take no value, `values` take the next word.

    `skip` words stand between the options and the command. Any other option is not understood, hence opaque.
    """

    flags: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    skip: int = 0
    assignments: bool = False
    """`NAME=value` words may stand before the command."""

    default: str = ""
    """The program that it runs when no command is given."""


def _w(flags: str = "", values: str = "", skip: int = 0, assignments: bool = False, default: str = "") -> Wrapper:
    return Wrapper(frozenset(flags.split()), frozenset(values.split()), skip, assignments, default)


WRAPPERS: dict[str, Wrapper] = {
    "env": _w("-i - --ignore-environment -0 --null -v --debug", "-u --unset -C --chdir", assignments=True),
    "timeout": _w("--foreground --preserve-status -v --verbose -f -p", "-s --signal -k --kill-after", skip=1),
    "nice": _w("", "-n --adjustment"),
    "ionice": _w("-t --ignore", "-c --class -n --classdata"),
    "nohup": _w(),
    "setsid": _w("-c --ctty -f --fork -w --wait"),
    "stdbuf": _w("", "-i --input -o --output -e --error"),
    "sudo": _w(
        "-n --non-interactive -E --preserve-env -H --set-home -S --stdin -k -K -b --background",
        "-u --user -g --group -h --host -p --prompt -C --close-from -T --command-timeout",
        assignments=True,
    ),
    "doas": _w("-n -L", "-u -C"),
    "time": _w("-p --portability -v --verbose -a --append -q --quiet", "-f --format -o --output"),
    "command": _w("-p"),
    "builtin": _w(),
    "exec": _w("-c -l", "-a"),
    "xargs": _w(
        "-0 --null -r --no-run-if-empty -t --verbose -x --exit -p --interactive -o --open-tty",
        "-n --max-args -P --max-procs -d --delimiter -a --arg-file -s --max-chars -L --max-lines -E -I --replace",
        default="echo",
    ),
    "chrt": _w("-b -f -i -o -r -a -R", "-T -P -D", skip=1),
    "taskset": _w("-a --all-tasks", "", skip=1),
    "unbuffer": _w("-p"),
    "chronic": _w("-e -v"),
    "fakeroot": _w(),
}
"""Wrappers that are unwrapped. A short option with its value in the same word (`-n5`) is understood too."""

OPAQUE_WRAPPERS = words(
    """
    chroot unshare nsenter setpriv runuser su flock watch prlimit numactl catchsegv faketime proot bwrap firejail
    runcon
    """
)
"""Wrappers too rich in options to be unwrapped: opaque."""

IMPLIES = {"egrep": "grep", "fgrep": "grep", "zcat": "gzip", "gunzip": "gzip"}
"""Programs that are scripts around one other program."""

GIT_PLAIN = words(
    """
    add annotate apply archive blame branch cat-file check-ignore checkout cherry clean clone describe diff diff-tree
    fetch for-each-ref format-patch fsck gc grep hash-object init log ls-files ls-remote ls-tree merge-base mv
    name-rev notes pull push reflog remote reset restore rev-list rev-parse rm shortlog show show-ref stash status
    switch tag update-index update-ref var version whatchanged worktree commit merge revert cherry-pick
    """
)
GIT_NETWORK = words(
    """
    clone fetch pull push ls-remote submodule
    """
)
GIT_HOOKED = words(
    """
    commit merge revert cherry-pick checkout switch pull push rebase am clone worktree stash fetch ls-remote submodule
    """
)
"""Subcommands that run hooks of the repository; a clone also runs its filters."""

DANGEROUS_ENV = (
    "LD_",
    "DYLD_",
    "GIT_",
    "PYTHON",
    "PERL5",
    "RUBY",
    "NODE_",
    "JAVA_TOOL",
    "BASH_FUNC_",
    "RIPGREP_",
)
DANGEROUS_NAMES = words(
    """
    PATH IFS ENV BASH_ENV SHELLOPTS BASHOPTS PROMPT_COMMAND PS4 CDPATH PAGER EDITOR VISUAL SHELL LESSOPEN LESSCLOSE
    MANPAGER GLOBIGNORE EXECIGNORE FPATH
    """
)
"""Variables that change which program a name means, or start one by themselves."""

STANDARD_DIRS = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/")
"""A program named with a path elsewhere is a file that somebody may have written: opaque."""
