"""An agent with a tool of your own. A script stands in for the model, so that this runs anywhere and costs nothing.

For a real model leave the server out, and name one: Agent(model="ollama/NAME", ...) or Agent(model="openai/NAME", ...).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from quarterdeck import Agent, Runtime, tool
from quarterdeck.testing import ScriptedModel, call, text

DEPTHS = {"north": 7.5, "south": 4.0}


@tool(effect="read_only")
def depth(basin: str) -> dict[str, float]:
    """The depth of a basin of the harbour, in metres."""
    return {"metres": DEPTHS[basin]}


def main(home: Path) -> str:
    """Ask the agent, and return what it answers."""
    with ScriptedModel([call("depth", basin="north"), text("The north basin is 7.5 m deep.")]) as server:
        home.mkdir(parents=True, exist_ok=True)
        address = f'[providers.scripted]\nprotocol = "chat"\nbase_url = "{server.base_url}"\nlocal = true\n'
        (home / "quarterdeck.toml").write_text(address, encoding="utf-8")
        harbour = Agent(name="harbour", instructions="Answer in one sentence.", model="scripted/m", tools=[depth])
        answer: str = Runtime(home).run(harbour, "How deep is the north basin?")["text"]
    return answer


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(main(Path(os.environ.get("QUARTERDECK_HOME", folder)) / "tools-example"))
