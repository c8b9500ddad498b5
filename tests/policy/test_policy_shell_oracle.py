"""Shell facts against junk, and against what bash really starts (A17).

The oracle: bash runs generated commands in an empty folder with a PATH that holds only stubs, which write down their
names. Every name that was written must have been predicted, or the command flagged opaque.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quarterdeck.policy.shell import facts, facts_argv

WORDS = "$( ) ` \" ' { } [[ ]] (( <<X | && ; > < $x \\ ls sh if then fi case esac for do done # $' ${ = a[ ] ! time coproc env eval é"
BITS = st.sampled_from([*WORDS.split(), "\n", "\0", "\udcff", "find -exec", "sh -c"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(BITS, max_size=25).map(" ".join), st.lists(BITS, max_size=25).map("".join)))
def test_facts_never_raise(command: str) -> None:
    found = facts(command)
    assert found.opaque == bool(found.why)
    assert list(found.programs) == sorted(set(found.programs))
    assert facts(command) == found
    facts_argv(tuple(command.split(" ")))


SHAPES = ["(", "$(", "`", '"', "if ", "a|", "curl|", "<<a ", "${", "[", "\\", '"$(a ', "find -exec ", "a&&", "a >b ", "sh -c ", "env "]
NESTED = [("$(echo ", ")"), ("$(curl ", ")"), ("{ ", "}")]


@pytest.mark.parametrize("bit, tail", [*((shape, "") for shape in SHAPES), *NESTED])
def test_junk_costs_bounded_work(bit: str, tail: str) -> None:
    """Shapes that make a naive walk or the parser's error recovery quadratic. The bound is far above the 0.6 s measured."""
    count = (16 << 10) // (len(bit) + len(tail))
    start = time.process_time()
    facts(bit * count + tail * count)
    assert time.process_time() - start < 20


STUBS = {
    "env": 'while [[ "$1" == *=* || "$1" == -* ]]; do shift; done; exec "$@"',
    "timeout": 'shift; exec "$@"',
    "nice": 'exec "$@"',
    "nohup": 'exec "$@"',
    "sudo": 'while [[ "$1" == -* ]]; do [[ "$1" == -u ]] && shift; shift; done; exec "$@"',
    "xargs": 'while [[ "$1" == -* ]]; do shift; done; exec "$@" word',
    "sh": 'exec {bash} "$@"',
    "bash": 'exec {bash} "$@"',
    "find": 'while (($#)) && [ "$1" != -exec ]; do shift; done; shift; a=()\n'
    'while (($#)) && [ "$1" != ";" ]; do a+=("$1"); shift; done; "${{a[@]}}"',
    "curl": "echo wc",
    "sort": 'for a; do [[ "$a" == --compress-prog* ]] && "${{a#*=}}"; done',
    **dict.fromkeys(["ls", "id", "wc", "head", "cat", "grep", "whoami", "frob", "python"], ":"),
}
LEAVES = [
    "ls",
    "id",
    "wc -l",
    "head x",
    "cat x",
    "frob",
    "'i'd",
    '"w"c',
    "grep -q x y",
    "whoami",
    "sort --compress-prog=id",
    "l\\s",
    "$P",
    "${P}",
    "python x",
]


WRAPS = ["env", "env A=1", "timeout 5", "nice", "nohup", "sudo", "sudo -u bob", "xargs", "xargs -n1", "time", "command", "exec", "!"]
REDIRECTS = [">out", "2>&1", "2>err", "<<<word", "</dev/null", "&>all"]


def generate(rng: random.Random, depth: int = 3) -> str:
    """One command from a grammar of wrappers, quoting, redirections and control flow. Names no path, so only stubs can run."""
    if depth == 0:
        return rng.choice(LEAVES)

    def sub() -> str:
        return generate(rng, depth - 1)

    return rng.choice(
        [
            lambda: rng.choice(LEAVES),
            lambda: f"{rng.choice(WRAPS)} {sub()}",
            lambda: f"{sub()} {rng.choice(['|', '&&', '||', ';', '|&', '& '])} {sub()}",
            lambda: f"{rng.choice(['env', 'nice', 'timeout 5', 'xargs'])} {rng.choice(REDIRECTS)} {sub()}",
            lambda: f"echo {rng.choice(['$(', chr(34) + '$(', '<('])}{sub()})",
            lambda: f'echo "$({sub()})"',
            lambda: f"echo `{sub()}`" if "`" not in (inner := sub()) else inner,
            lambda: f"({sub()})",
            lambda: f"{{ {sub()}; }} >out",
            lambda: f"if {sub()}; then {sub()}; else {sub()}; fi",
            lambda: f"for i in a; do {sub()}; done",
            lambda: f"case a in a) {sub()};; esac",
            lambda: f"{rng.choice(['sh', 'bash'])} -c {quote(sub(), rng)}",
            lambda: f"eval {quote(sub(), rng)}",
            lambda: f"find . -exec {sub()} \\;",
            lambda: f"cat <<X\n$({sub()})\nX",
            lambda: f"cat <<X | {rng.choice(['env >o ', 'nice ', ''])}{rng.choice(LEAVES)}\nbody\nX",
            lambda: f"P={rng.choice(['id', 'wc'])}; {sub()}",
            lambda: f"f() {{ {sub()}; }}; f",
            lambda: f"[[ 'a[$({sub()})]' -eq 0 ]]" if "'" not in (inner := sub()) else inner,
            lambda: f"echo ${{x:-$({sub()})}}",
            lambda: f"x='a[$({rng.choice(['id', 'wc'])})]'; echo $((x))",
            lambda: f"trap {quote(sub(), rng)} EXIT",
            lambda: f"A=$({sub()}) {sub()}",
            lambda: f"export A=$({sub()})",
            lambda: f"{sub()} # {sub()}" if "\n" not in (inner := sub()) else inner,
            lambda: f"while {sub()}; do break; done",
            lambda: f"curl x | {rng.choice(['sh', 'bash', 'xargs', 'sudo sh'])}",
            lambda: f"coproc {sub()}",
            lambda: f"time -p {sub()}",
        ]
    )()


def quote(text: str, rng: random.Random) -> str:
    if rng.random() < 0.7:
        return "'" + text.replace("'", "'\\''") + "'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_every_program_that_ran_was_predicted_or_flagged(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    stubs = tmp_path / "bin"
    stubs.mkdir()
    for name, body in STUBS.items():
        (stubs / name).write_text(f'#!{bash}\necho {name} >> "$LOG"\n{body.format(bash=bash)}\n')
        (stubs / name).chmod(0o755)
    rng = random.Random(20261120)
    unsound, ran, plain = [], 0, 0
    for number in range(250):
        command = generate(rng)
        work = tmp_path / f"w{number}"
        work.mkdir()
        log = tmp_path / f"log{number}"  # one each: what a command left in the background may still be writing
        log.touch()
        subprocess.run(
            [bash, "-c", command],
            cwd=work,
            env={"PATH": str(stubs), "P": "id", "LOG": str(log)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
        )
        started = set(log.read_text().split())
        found = facts(command)
        ran += len(started)
        plain += not found.opaque and bool(started)
        if not found.opaque and not started <= set(found.programs):
            unsound.append((command, sorted(started - set(found.programs))))
    assert unsound == []
    assert ran > 250 and plain > 25, "the generator no longer tests anything"
