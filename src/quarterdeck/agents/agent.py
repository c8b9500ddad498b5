"""`Agent`: a named set of instructions, a model and tools, as authors write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Agent:
    """An agent. `tools` are names of built-in tools or functions made with `@tool`; `output` is a JSON schema of its answer."""

    name: str = "agent"
    instructions: str = ""
    model: str = ""
    tools: Sequence[Any] = field(default=("shell", "read_file", "write_file", "list_files", "search"))
    output: Mapping[str, Any] | None = None
    max_steps: int = 30
    max_output_tokens: int = 4096
    role: str = "agent"

    def input(self, task: str) -> dict[str, Any]:
        """The input of a run of this agent on `task`."""
        names = [t if isinstance(t, str) else t.name for t in self.tools]
        return {
            "task": task, "instructions": self.instructions, "model": self.model, "tools": names,
            "output": dict(self.output) if self.output else None, "max_steps": self.max_steps, "max_output_tokens": self.max_output_tokens,
        }  # fmt: skip
