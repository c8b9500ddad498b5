"""`quarterdeck agent`: an agent works on a copy of a repository's HEAD, and what it changed becomes a patch.

The repository is read on the host, never written; the copy lies in the run's own computer. The patch is made inside, against
a second, pristine copy that is unpacked after the agent has ended; it is kept as an artifact and written to a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.protocol.errors import BadInput
from quarterdeck.workflows import Context, workflow
from quarterdeck.workflows.review.repository import open_repository

WORK, OWN = "/workspace", "/workspace/.quarterdeck"
TOOLS = ("shell", "read_file", "write_file", "list_files", "search")
INSTRUCTIONS = """You work on a copy of a repository in /workspace, in a sandbox without network. Look before you change anything, make the
smallest change that does the task, and run the tests if there are any. What you leave in /workspace becomes a patch that a person
reviews; you cannot commit. When you are done, say in a few sentences what you changed and why."""
PATCH_BYTES = 16 << 20
# Only this folder's own configuration counts: attributes of the repository must not decide what a patch holds.
GIT = {
    "GIT_DIR": f"{OWN}/git", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "quarterdeck",
    "GIT_AUTHOR_EMAIL": "quarterdeck@localhost", "GIT_COMMITTER_NAME": "quarterdeck", "GIT_COMMITTER_EMAIL": "quarterdeck@localhost",
}  # fmt: skip
CACHES = (
    "__pycache__/", "*.pyc", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".coverage", ".tox/", ".venv/",
    "node_modules/",
)  # fmt: skip
"""What tools leave behind is no change, unless the repository tracks it."""
PREPARE = f"""set -e
rm -rf {OWN} && mkdir -p {OWN}
git init -q && git config core.autocrlf false && git config core.bare false
mkdir -p {OWN}/git/info && echo '* -text -ident -filter -working-tree-encoding' > {OWN}/git/info/attributes
printf '%s\\n' /.quarterdeck/ {" ".join(f"'{name}'" for name in CACHES)} >> {OWN}/git/info/exclude"""
COMPARE = f"""set -e
git --work-tree={OWN}/base add -A -f . && git commit -q --allow-empty -m base
cd {WORK} && git --work-tree={WORK} add -A .
git --work-tree={WORK} diff --cached --binary --no-renames --no-color --no-ext-diff --no-textconv HEAD > {OWN}/changes.patch
git --work-tree={WORK} diff --cached --name-only -z --no-renames HEAD"""


class Task(msgspec.Struct, frozen=True):
    """The input. `sha` is the commit that the agent gets a copy of; `home` is where the patch goes."""

    task: str
    repo: str
    sha: str
    home: str
    max_steps: int = 30


class Patch(msgspec.Struct, frozen=True):
    """The names of the changed files, and the digest of the artifact."""

    files: tuple[str, ...]
    sha256: str


def task_input(task: str, repo: Path, *, max_steps: int, home: Path) -> dict[str, Any]:
    """Resolve the repository's HEAD. Raises BadInput."""
    if not task.strip():
        raise BadInput("The task is empty.", hint='quarterdeck agent "make the failing test pass" --model provider/name', param="task")
    with open_repository(repo) as opened:
        made = Task(task, str(opened.root), opened.resolve("HEAD", "repo"), str(home.absolute()), max_steps)
    plain: dict[str, Any] = msgspec.to_builtins(made)
    return plain


def copy_tree(repo: str, sha: str, target: str) -> list[str]:
    """Write a commit's tree as a tar file; returns notes on what it could not hold."""
    Path(target).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open_repository(repo) as opened:
        return list(opened.tree_tar(sha, Path(target)))


def write_patch(target: str, data: bytes) -> None:
    """Put the patch where a person finds it."""
    Path(target).write_bytes(data)


@workflow(name="agent-task", version="1")
async def agent_task(ctx: Context, value: Any) -> dict[str, Any]:
    """Let an agent do `value` (a `Task`). The result's `exit_code` is 1 when it was cut short."""
    task = msgspec.convert(value, Task)
    folder = f"{task.home}/runs/{ctx.run}"
    archive = f"{folder}/scratch/tree.tar"
    await ctx.retried_step("read git", copy_tree, task.repo, task.sha, archive)
    toolbox = await ctx.toolbox()
    await ctx.environment(binds=toolbox.binds)
    await ctx.unpack(archive, WORK)
    answer = await ctx.agent(task.task, instructions=INSTRUCTIONS, tools=TOOLS, max_steps=task.max_steps)
    made = await ctx.stage("patch", make_patch, archive)
    if made.files:
        await ctx.retried_step("write patch", write_patch, f"{folder}/changes.patch", ctx.load(made.sha256))
    return {
        "text": answer.text, "finish": answer.finish, "steps": answer.steps, "files": made.files, "sha256": made.sha256,
        "patch": f"{folder}/changes.patch" if made.files else "", "repo": task.repo, "sha": task.sha,
        "exit_code": 0 if answer.finish == "done" else 1,
    }  # fmt: skip


async def make_patch(ctx: Context, archive: str) -> Patch:
    """What differs from a pristine copy: the names, and the digest of the patch."""
    await _git(ctx, PREPARE, "prepare patch")
    await ctx.unpack(archive, f"{OWN}/base")
    names = await _git(ctx, COMPARE, "make patch")
    data = await ctx.read(f"{OWN}/changes.patch", max_bytes=PATCH_BYTES)
    return Patch(tuple(n for n in names.split("\0") if n), await ctx.artifact("changes.patch", data, "text/x-patch"))


async def _git(ctx: Context, script: str, name: str) -> str:
    ran = await ctx.shell(script, name=name, env=GIT, effect="idempotent")
    if not ran.ok:
        raise BadInput(
            f"The patch could not be made: {ran.stderr.text.strip()[-400:] or ran.state}", hint="Look at it with `quarterdeck trace`."
        )
    return ran.stdout.text
