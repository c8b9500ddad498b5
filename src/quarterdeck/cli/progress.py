"""What is shown while a run is driven: a line per stage in a pipe, a live display on a terminal. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quarterdeck.protocol.records import Record, Run

from .face import Face
from .words import clean, one_line, seconds

if TYPE_CHECKING:
    from rich.live import Live

TEXT_CHARS, TEXT_LINES = 2000, 3
MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "denied": ("✗", "red"), "cancelled": ("-", "yellow"), "unknown": ("?", "yellow")}


class Open:
    """Something that runs now."""

    def __init__(self, name: str, at: int, command: str = "") -> None:
        self.name, self.at, self.command = name, at, command


class Display:
    """Fed with committed records (`record`) and with what is not durable (`event`). Knows stages, top-level actions and findings."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.stages: dict[tuple[str, str, int], Open] = {}
        self.actions: dict[tuple[str, int], Open] = {}
        self.findings = 0
        self.text = ""
        self.past = False
        self._seen: dict[str, int] = {}
        self._started = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Display:
        if self.face.live():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False)
            self._live = Live(get_renderable=self._render, console=console, transient=True, refresh_per_second=8, redirect_stdout=False)
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    # --- what comes in

    def record(self, run: Run, record: Record) -> None:
        """A committed record, once. A reader that went away (`2>&1 | head`) is no reason to fail a run, see `Face.note`."""
        if record.seq <= self._seen.get(run.id, -1):
            return
        self._seen[run.id] = record.seq
        fold = getattr(self, f"_{record.kind.replace('.', '_')}", None)
        if fold is not None:
            fold(run, record, record.body)

    def event(self, run: str, event: Mapping[str, Any]) -> None:
        """Something of this moment: a command that begins, text that a model streams."""
        if event.get("kind") == "text":
            self.text = (self.text + str(event.get("text", "")))[-TEXT_CHARS:]
        elif event.get("kind") == "command":
            for action in self.actions.values():
                if action.name == event.get("step"):
                    action.command = one_line(str(event.get("command", "")))

    def _stage_started(self, run: Run, record: Record, body: Mapping[str, Any]) -> None:
        self.stages[(run.id, body["name"], body["occurrence"])] = Open(body["name"], record.at)

    def _stage_completed(self, run: Run, record: Record, body: Mapping[str, Any]) -> None:
        stage = self.stages.pop((run.id, body["name"], body["occurrence"]), None)
        result = body.get("result")
        if isinstance(result, dict) and "/" not in body["name"]:
            self.findings += sum(len(result[key]) for key in ("findings", "from_model") if isinstance(result.get(key), list))
        if stage is not None and "/" not in stage.name:
            self._line(stage, record.at, body["state"], body.get("error"))

    def _action_requested(self, run: Run, record: Record, body: Mapping[str, Any]) -> None:
        self.actions[(run.id, record.seq)] = Open(body["name"], record.at)
        decision = body["decision"]["effect"]
        if decision not in ("allow", "ask") and not self.past:
            self._say(f"  {body['name']}: {decision} by {', '.join(body['decision']['policies']) or 'no policy that permits it'}", "yellow")

    def _action_completed(self, run: Run, record: Record, body: Mapping[str, Any]) -> None:
        action = self.actions.pop((run.id, body["action"]), None)
        if action is None:
            return
        self.text = "" if action.name == "model" else self.text
        if ("/" not in action.name and not any(k[0] == run.id for k in self.stages)) or run.kind == "agent":
            self._line(action, record.at, body["state"], body.get("error"), _exit(body.get("result")), indent=run.parent is not None)

    def _approval_requested(self, run: Run, record: Record, body: Mapping[str, Any]) -> None:
        if not self.past:
            self._say(f"? waits for {body['role']}: {_asked(body['question'])}", "yellow")

    # --- what goes out

    def _line(self, what: Open, at: int, state: str, error: Any, exit_words: str = "", indent: bool = False) -> None:
        mark, style = MARKS.get(state, ("?", "yellow"))
        words = f" {exit_words}" if exit_words else ""
        if state != "done" and isinstance(error, dict) and error.get("message"):
            words += f": {one_line(error['message'], 160)}"
        earlier = " (earlier)" if self.past else ""
        shown = f" {one_line(what.command, 70)}" if what.command else ""
        took = seconds((at - what.at) / 1e6)
        self._say(f"{'  ' if indent else ''}{mark} {what.name}{shown} {took}{words}{earlier}", "dim" if self.past else style)

    def _say(self, text: str, style: str) -> None:
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(clean(text), style=style), soft_wrap=True)
        else:
            self.face.note(self.face.style(text, style, sys.stderr))

    def _render(self) -> Any:
        from rich.text import Text

        now = time.time_ns() // 1000
        lines = Text(no_wrap=True, overflow="ellipsis")
        names = [n for n in self.stages.values() if not any(o.name.startswith(n.name + "/") for o in self.stages.values())]
        for stage in names:
            lines.append(f"▸ {clean(stage.name)}", style="bold")
            lines.append(f"  {seconds(max(0, now - stage.at) / 1e6)}\n")
        for action in list(self.actions.values())[:4]:
            name = action.name.rpartition("/")[2]
            shown = f"{name}: {action.command}" if action.command else name
            lines.append(f"  {seconds(max(0, now - action.at) / 1e6)}  {one_line(shown, 300)}\n", style="cyan")
        for line in self.text.splitlines()[-TEXT_LINES:]:
            lines.append(f"  {one_line(line, 300)}\n", style="dim")
        found = f", {self.findings} findings so far" if self.findings else ""
        lines.append(f"  {seconds(time.monotonic() - self._started)}{found}; Ctrl-C stops, and it can be resumed", style="dim")
        return lines


def _exit(result: Any) -> str:
    """A command's end, if the result is one."""
    if not isinstance(result, dict) or "exit_code" not in result or "stdout" not in result:
        return ""
    state = result.get("state", "exited")
    return f"exit {result['exit_code']}" if state == "exited" else str(state)


def _asked(question: Mapping[str, Any]) -> str:
    """A question in one line."""
    if "question" in question:
        return one_line(str(question["question"]), 160)
    return one_line(f"{question.get('kind', '')} {question.get('step', '')}: {'; '.join(question.get('reasons', ()))}", 160)
