"""The `[sandbox]` settings that docs/operations.md lists hold: in environments of workflows and of reviews (A16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quarterdeck import Context, Runtime, workflow

SETTINGS = "[sandbox]\nworkspace_mb = 48\ntmp_mb = 24\npids = 60\nmemory_mb = 300\ncpu = 1.5\n"


@workflow(name="measure")
async def measure(ctx: Context) -> dict[str, Any]:
    await ctx.environment()
    sizes = await ctx.shell("df --output=size -BM /workspace /tmp", effect="read_only")
    limits = await ctx.limits()
    return {"sizes": sizes.stdout.text.split()[1:], "pids": limits.pids, "memory": limits.memory_bytes, "cpu": limits.cpu}


@pytest.mark.parametrize("way", ["file", "environment"])
def test_an_environment_has_the_size_that_the_operator_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "file":
        (tmp_path / "quarterdeck.toml").write_text(SETTINGS)
    else:
        for line in SETTINGS.splitlines()[1:]:
            name, value = line.split(" = ")
            monkeypatch.setenv(f"QUARTERDECK_SANDBOX_{name.upper()}", value)
    assert Runtime(tmp_path).run(measure) == {"sizes": ["48M", "24M"], "pids": 60, "memory": 300 << 20, "cpu": 1.5}
