"""What every scene may use: where it plays, how it speaks, and how the command is called from here."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from quarterdeck.config import Config, default_home, load_config
from quarterdeck.protocol.errors import QuarterdeckError, StoreError

KEPT = 3
"""So many earlier showings keep their folder: the commands that they printed still work."""
COMMAND_S = 120.0


class SceneFailed(QuarterdeckError):
    """A scene did not end as it must; the message says what was expected and what was seen."""


@dataclass(frozen=True)
class Ran:
    """A command of ours that has ended."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """Its last words, for a message."""
        lines = (self.out + "\n" + self.err).strip().splitlines()
        return f"`{shlex.join(self.argv)}` ended with {self.code}: {' / '.join(lines[-3:])}"


@dataclass
class Show:
    """One showing. `home` is the runtime's HOME, `folder` holds what this showing builds, `model` is empty or provider/name."""

    home: Path
    folder: Path
    seed: int
    model: str = ""
    given_home: bool = False
    run: str = ""
    """The review of this showing, once it has ended."""
    live: bool = field(default_factory=lambda: sys.stdout.isatty() and os.environ.get("TERM") != "dumb")

    def say(self, text: str = "") -> None:
        """Print a line at once; on a terminal it takes the place of what `doing` wrote."""
        print(f"\r\033[K{text}" if self.live else text, flush=True)

    def doing(self, text: str) -> None:
        """On a terminal, show what happens right now; elsewhere only what has ended is printed."""
        if self.live:
            print(f"\r\033[K  {text[: shutil.get_terminal_size().columns - 4]}", end="", flush=True)

    @property
    def program(self) -> str:
        """How a person calls us from the folder they are in."""
        script = Path(sys.executable).parent / "quarterdeck"
        on_path = shutil.which("quarterdeck")
        if on_path is not None and Path(on_path).resolve() == script.resolve():
            return "quarterdeck"
        here = Path.cwd()
        return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))

    def command(self, *words: str) -> str:
        """A command line of ours on this showing's HOME, as a person would type it."""
        return f"{self.program} {shlex.join(words)} --home {shown(self.home)}"

    def again(self, scene: str) -> str:
        """The command that plays one scene again."""
        model = ["--model", self.model] if self.model else []
        words = ["demo", "--scene", scene, "--seed", str(self.seed), *model]
        return self.command(*words) if self.given_home else f"{self.program} {shlex.join(words)}"

    def config(self, **providers: dict[str, object]) -> Config:
        """The configuration of this HOME, with the user's own providers and prices, and those given here."""
        config, own = load_config(self.home), load_config(default_home())
        tables = {name: {**own.tables.get(name, {}), **config.tables.get(name, {})} for name in ("providers", "prices")}
        tables["providers"] |= providers
        return Config(self.home, config.values, {**config.tables, **tables})

    def environment(self) -> dict[str, str]:
        """The environment of our own commands: this HOME, no colour, nothing that asks."""
        return {**os.environ, "QUARTERDECK_HOME": str(self.home), "NO_COLOR": "1"}

    def argv(self, *words: str) -> tuple[str, ...]:
        """How a scene starts another process of ours."""
        return (sys.executable, "-c", "from quarterdeck.cli import main; raise SystemExit(main())", *words)

    async def quarterdeck(self, *words: str) -> Ran:
        """Run one of our commands in a process of its own and wait for it. SceneFailed if it hangs."""
        process = await asyncio.create_subprocess_exec(
            *self.argv(*words), env=self.environment(), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(), COMMAND_S)
        except TimeoutError:
            raise SceneFailed(f"`quarterdeck {shlex.join(words)}` did not end within {COMMAND_S:.0f} s.") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        code = process.returncode if process.returncode is not None else -1
        return Ran(("quarterdeck", *words), code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def open_show(home: Path | None, seed: int, model: str) -> Show:
    """Make room for a showing, in `home` or in the demo's own HOME beside the user's; the oldest showings go. StoreError."""
    place = (home or default_home() / "demo").absolute()
    shows = place / "shows"
    try:
        shows.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in sorted(shows.iterdir(), key=lambda p: p.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"seed-{seed}-", dir=shows))
    except OSError as error:
        raise StoreError(f"{shows} cannot be written: {error.strerror}.", hint="Choose another place with --home.") from error
    return Show(place, folder, seed, model, given_home=home is not None)


def shown(path: Path) -> str:
    """A path as people write it."""
    home = Path.home()
    return f"~/{shlex.quote(str(path.relative_to(home)))}" if path.is_relative_to(home) and path != home else shlex.quote(str(path))
