"""The pages as data: their fenced blocks, the commands in them, and a small world in which these commands can be run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quarterdeck.cli.main import run_command
from quarterdeck.testing import Reply, call, text

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BIN = Path(sys.executable).parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PLACEHOLDER = re.compile(r"\b(RUN|REPORT|APPROVAL|FINGERPRINT|WAITING)\b")
READS = re.compile(
    r"quarterdeck (runs|show|trace|logs|findings list|report|audit|models list|policy show|config show|version|approvals (list|show))\b"
    r"[^|<>$`]*"
)
SECRET = "AKIA" + "Q3EGRVXM5LTZ7WPB"  # assembled, so that no scanner takes this file for a leak

FLOWS = '''"""What the pages call flows.py."""
from quarterdeck import workflow


@workflow
async def triage(ctx, issue):
    return {"issue": issue}


@workflow
async def waits(ctx):
    return (await ctx.ask("Go on?")).approved
'''


@dataclass(frozen=True)
class Block:
    """A fenced block. `line` counts from 1 and is that of the fence."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines after a prompt."""
        return [line[2:].strip() for line in self.text.splitlines() if line.startswith("$ ")]


def blocks(language: str) -> list[Block]:
    """Every block of a language, in the order of the pages."""
    found = []
    for page in PAGES:
        source = page.read_text("utf-8")
        for match in FENCE.finditer(source):
            if match[1] == language:
                line = source.count("\n", 0, match.start()) + 1
                found.append(Block(str(page.relative_to(ROOT)), line, match[1], match[2]))
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def mentions() -> Iterator[tuple[str, str]]:
    """(page, command) for every `quarterdeck ...` in running text and in console blocks."""
    for page in PAGES:
        for span in INLINE.findall(prose(page)):
            if re.match(r"(\S*/)?quarterdeck( |$)", span):
                yield page.name, span
    for block in blocks("console"):
        for command in block.commands:
            if match := re.match(r"(?:[A-Z_]+=\S+ )*(?:\S*/bin/)?(quarterdeck( .*)?)$", command):
                yield block.page, match[1]


def answers(request: dict[str, Any]) -> Reply:
    """A model for every command of the pages: it uses no tool, finds nothing, and says so in the form that is asked for."""
    asked = json.dumps(request)
    if "report_word" in asked:
        return call("report_word", word="lighthouse")
    return text('{"findings": []}') if "json_schema" in asked else text("There is nothing to do.")


class World:
    """A repository with a branch `feature`, a HOME whose providers are a scripted server, and what the commands name."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self.repo, self.home = folder / "repo", folder / "home"
        self.repo.mkdir()
        self.home.mkdir()
        provider = '[providers.{0}]\nbase_url = "{1}"\nlocal = true\n'
        (self.home / "quarterdeck.toml").write_text("".join(provider.format(name, base_url) for name in ("openai", "ollama")))
        self._repository()
        shutil.copytree(ROOT / "examples", self.repo / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        (self.repo / "flows.py").write_text(FLOWS)
        (self.repo / "issue.json").write_text('{"number": 7}')
        sides = {side: {"ref": ref, "sha": self.git("rev-parse", ref)} for side, ref in (("base", "main"), ("head", "feature"))}
        (self.repo / "pull_request.json").write_text(json.dumps({"number": 3, "pull_request": {"number": 3, **sides}}))

    def git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.repo, check=True, capture_output=True, text=True).stdout.strip()

    def _repository(self) -> None:
        """No Python in it: a review of its suite would build environments, and every command here wants to be quick."""
        self.git("init", "-q", "-b", "main")
        self._commit("docs: say what this is", {"README.md": "# Harbor\n", "Dockerfile": "FROM python:3.11-slim\nUSER nobody\n"})
        self.git("checkout", "-q", "-b", "feature")
        self._commit("feat: deploy", {"Dockerfile": "FROM python:latest\n", "deploy.env": f"AWS_ACCESS_KEY_ID={SECRET}\n"})

    def _commit(self, subject: str, files: dict[str, str]) -> None:
        for name, content in files.items():
            (self.repo / name).write_text(content)
        self.git("add", *files)
        self.git("commit", "-q", "-m", subject)

    def run(self, command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a line under bash, as a reader would; what only reads runs in this process, to spare half a second of imports each."""
        if READS.fullmatch(command):
            return self._here(shlex.split(command))
        path = f"{BIN}:{os.environ['PATH']}"
        own = {"QUARTERDECK_HOME": str(self.home), "PATH": path, **env}
        argv = ["bash", "-o", "pipefail", "-c", command]
        return subprocess.run(
            argv,
            cwd=self.repo,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )

    def _here(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        before = os.environ["QUARTERDECK_HOME"]
        os.environ["QUARTERDECK_HOME"] = str(self.home)
        try:
            with contextlib.chdir(self.repo), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run_command(argv[1:])
        finally:
            os.environ["QUARTERDECK_HOME"] = before
        return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())

    def ask(self, command: str) -> Any:
        """The JSON document of a command of ours."""
        done = self.run(f"{command} --json")
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def filled(self, command: str) -> str:
        """The command with its placeholders replaced by what is there; what is not there yet is made."""
        return PLACEHOLDER.sub(lambda match: self._value(match[1], command), command)

    def _value(self, name: str, command: str) -> str:
        if name == "REPORT":
            return str(max((self.home / "runs").glob("*/report"), key=lambda p: p.stat().st_mtime))
        if name == "FINGERPRINT":
            return str(self.ask("quarterdeck findings list")["findings"][0]["fingerprint"])
        if name == "APPROVAL":
            return str(self._waiting()["id"])
        if name == "WAITING":
            return str(self.ask("quarterdeck runs --state waiting --limit 1")["runs"][0]["id"])
        if re.search(r"\b(cancel|resume)\b", command):
            return str(self._waiting()["run"])
        return str(self.ask("quarterdeck runs --limit 1")["runs"][0]["id"])

    def _waiting(self) -> Any:
        """An open question of a workflow that lies in flows.py."""
        known = {run["id"] for run in self.ask("quarterdeck runs --state waiting")["runs"] if run["name"] in ("waits", "ask")}
        if not known:
            assert self.run("quarterdeck run flows.py:waits").returncode == 3
        open_ones = self.ask("quarterdeck approvals list")["approvals"]
        return open_ones[-1]
