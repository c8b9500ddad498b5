"""An agent at work in a real sandbox: shell, files, and looking without a shell (A5, A16, A22)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from quarterdeck import Runtime, workflow
from quarterdeck.testing import call, text

sys.path.insert(0, str(Path(__file__).parent))
from test_agent_runs import scripted


@workflow(name="at-work")
async def at_work(ctx: Any, value: dict[str, Any]) -> str:
    await ctx.environment()
    await ctx.write("/workspace/src/a.py", "def f():\n    return 41\n")
    answer = await ctx.agent("do it", model="fake/m", tools=tuple(value["tools"]), role=value["role"])
    data = await ctx.read("/workspace/src/a.py")
    return f"{answer.text} {data.decode()}"


def outputs(server: Any, turn: int) -> list[str]:
    return [m["content"] for m in server.requests[turn].body["messages"] if m["role"] == "tool"]


def test_an_agent_reads_writes_and_runs(tmp_path: Path) -> None:
    script = [
        call("list_files"),
        call("search", pattern="return [0-9]+", path="src"),
        call("read_file", path="src/a.py"),
        call("write_file", path="src/a.py", content="def f():\n    return 42\n"),
        call("shell", command="cat src/a.py; id -u; exit 3"),
        text("repaired"),
    ]
    tools = ["list_files", "search", "read_file", "write_file", "shell"]
    with scripted(tmp_path, script) as (config, server):
        result = Runtime(config=config).run(at_work, {"tools": tools, "role": "agent"})
    assert result == "repaired def f():\n    return 42\n"
    told = outputs(server, 5)
    assert "src/a.py" in told[0]
    assert "a.py:2:" in told[1]
    assert "return 41" in told[2]
    assert told[4].startswith("exit code 3")
    assert "return 42" in told[4]


def test_law_4_a_reviewing_model_may_look_but_not_act(tmp_path: Path) -> None:
    """Whatever tools it is given, the role decides: a reviewing model gets neither a shell nor a pen."""
    script = [
        call("shell", command="echo hacked > src/a.py"),
        call("write_file", path="src/a.py", content="hacked"),
        call("search", pattern="41"),
        text("I only looked"),
    ]
    with scripted(tmp_path, script) as (config, server):
        tools = ["list_files", "search", "read_file", "write_file", "shell"]
        result = Runtime(config=config).run(at_work, {"tools": tools, "role": "review-agent"})
    assert result == "I only looked def f():\n    return 41\n"
    told = outputs(server, 3)
    assert told[0].startswith("denied")
    assert told[1].startswith("denied")
    assert "src/a.py:2:" in told[2]
    assert "hacked" not in json.dumps(told[2])


def test_nothing_of_a_run_is_left_behind(tmp_path: Path) -> None:
    with scripted(tmp_path, [text("hi")]) as (config, _):
        Runtime(config=config).run(at_work, {"tools": [], "role": "agent"})
    assert [p for p in (tmp_path / "environments").iterdir() if p.is_dir()] == []
