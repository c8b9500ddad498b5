"""The scripted repairer works from what it is shown: driven here by real test runs and real files, without a runtime (A27)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quarterdeck.demo import catalogue
from quarterdeck.demo.scenes import repair


def shell(command: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": os.devnull, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # starting is what takes the time
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=False)
    return f"exit code {done.returncode}\n{done.stdout}{done.stderr}"


def act(name: str, arguments: dict[str, Any]) -> str:
    if name == "shell":
        return shell(arguments["command"])
    path = Path(arguments["path"])
    if name == "read_file":
        return path.read_text()
    path.write_text(arguments["content"])
    return "done"


def drive(project: Path, steps: int = 40) -> tuple[str, list[str]]:
    """Answer the script's calls with what really happens, as the agent loop does. Returns its last words and what it called."""
    command = f"cd {project} && {sys.executable} -B -m pytest -q -p no:cacheprovider"
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"One test of the project in `{project}` fails. Run with `{command}`."}]
    done: list[str] = []
    for number in range(steps):
        reply = repair.script({"messages": messages})
        if not reply.calls:
            return reply.text, done
        (one,) = reply.calls
        messages.append({"role": "assistant", "tool_calls": [{"id": str(number), "function": {"name": one.name, "arguments": one.text}}]})
        messages.append({"role": "tool", "tool_call_id": str(number), "content": act(one.name, json.loads(one.text))})
        done.append(one.name)
    return "never ended", done


@pytest.mark.parametrize("seed", range(7))
def test_a27_each_bug_of_the_catalogue_is_repaired_from_what_was_seen(tmp_path: Path, seed: int) -> None:
    broken = catalogue.build_broken(tmp_path / "harbor", seed)
    source = broken.repo / broken.path
    tests = {path: path.read_bytes() for path in (broken.repo / "tests").iterdir() if path.is_file()}
    said, done = drive(broken.repo)
    assert said.startswith("All tests pass"), (said, done)
    assert broken.wrong not in source.read_text()
    assert {path: path.read_bytes() for path in tests} == tests
    changed = subprocess.run(["git", "diff", "--name-only"], cwd=broken.repo, capture_output=True, text=True, check=True).stdout.split()
    assert changed == [broken.path]
    assert done[0] == "shell"


def test_the_steps_differ_with_the_output(tmp_path: Path) -> None:
    """Nothing is told beforehand: other output leads to another file, and tests that pass lead to no edit."""
    whole = catalogue.build_broken(tmp_path / "harbor", 3)
    path = whole.repo / whole.path
    path.write_text(path.read_text().replace(whole.wrong, whole.right))
    assert drive(whole.repo) == ("All tests pass after 0 tries.", ["shell"])
    task = {"role": "user", "content": "The project in `/p` is tested with `t`."}
    called = {"role": "assistant", "tool_calls": [{"id": "0", "function": {"name": "shell", "arguments": '{"command": "t"}'}}]}
    asked = [
        repair.script(
            {"messages": [task, called, {"role": "tool", "tool_call_id": "0", "content": f"exit code 1\nFAILED {name}::test_x - no"}]}
        )
        for name in ("tests/test_a.py", "tests/test_b.py")
    ]
    assert [reply.calls[0].arguments for reply in asked] == [{"path": "/p/tests/test_a.py"}, {"path": "/p/tests/test_b.py"}]


def test_what_it_cannot_repair_it_says(tmp_path: Path) -> None:
    """A bug that no rule undoes: every try is made and tested, then it gives up in words."""
    broken = catalogue.build_broken(tmp_path / "harbor", 0)
    path = broken.repo / broken.path
    path.write_text(path.read_text().replace(broken.wrong, broken.right).replace("match.groups()", "match.group()"))
    said, done = drive(broken.repo)
    assert "still fails" in said or "No test fails" in said
    assert done.count("write_file") == done.count("shell") - 1
