"""The catalogue: faults of seven kinds and honest edits that look a little like them, read from `faults.toml`.

No secret stands in the source: the keys that a pull request leaks are made up by seed when it is built.
"""

from __future__ import annotations

import string
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from random import Random
from typing import Literal

import msgspec

from .repository import Edit

Kind = Literal["failing-test", "leaked-key", "api-break", "style", "missing-docs", "workflow", "unsafe-call"]
KINDS: tuple[Kind, ...] = ("failing-test", "leaked-key", "api-break", "style", "missing-docs", "workflow", "unsafe-call")

RULES: dict[Kind, tuple[str, ...]] = {
    "failing-test": ("tests/",),
    "leaked-key": ("secrets/",),
    "api-break": ("api/",),
    "style": ("conv/lint/", "conv/format", "conv/imports", "ruff/"),
    "missing-docs": ("conv/missing-docstring", "conv/changelog"),
    "workflow": ("risky/",),
    "unsafe-call": ("unsafe/", "bandit/"),
}
"""Which rules count as having found a fault of a kind, by the beginning of their names."""

ALNUM = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Fault:
    """One way to plant a fault. `marker` is text whose line in the head is the fault's; empty: the file as a whole."""

    kind: Kind
    subject: str
    description: str
    path: str
    edits: tuple[Edit, ...]
    marker: str = ""
    entry: str = ""
    """The line that an honest author would add to the changelog."""
    failing: tuple[str, ...] = ()
    """Tests that fail with it, as `classname::name` of JUnit."""
    omit_changelog: bool = False


@dataclass(frozen=True)
class Decoy:
    """An honest edit that nobody should be blamed for."""

    subject: str
    edits: tuple[Edit, ...]
    entry: str = ""


@dataclass(frozen=True)
class Catalogue:
    fault: tuple[Fault, ...]
    decoy: tuple[Decoy, ...]
    """The first is what every pull request is about; the others come and go."""


@cache
def catalogue() -> Catalogue:
    text = resources.files(__package__).joinpath("faults.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Catalogue)


def of_kind(kind: Kind) -> list[Fault]:
    """All the ways to plant a fault of a kind, keys not yet filled in."""
    return [fault for fault in catalogue().fault if fault.kind == kind]


def draw(kind: Kind, random: Random) -> Fault:
    """Choose a fault of a kind, with a key of its own where one leaks."""
    fault = random.choice(of_kind(kind))
    if kind != "leaked-key":
        return fault
    made_up = {"@KEY@": token(random), "@PEM@": pem(random)}

    def fill(text: str) -> str:
        for name, value in made_up.items():
            text = text.replace(name, value)
        return text

    edits = tuple(Edit(edit.path, fill(edit.new), edit.old) for edit in fault.edits)
    return replace(fault, edits=edits, marker=fill(fault.marker))


def token(random: Random) -> str:
    """A token in the shape of a real provider's. The prefixes are in halves, so that no scanner takes this file for a leak."""

    def run(alphabet: str, count: int) -> str:
        return "".join(random.choice(alphabet) for _ in range(count))

    shapes = (
        "AK" + "IA" + run(string.ascii_uppercase + "234567", 16),
        "gh" + "p_" + run(ALNUM, 36),
        "gl" + "pat-" + run(ALNUM, 20),
        "xo" + "xb-" + run(string.digits, 10) + "-" + run(string.digits, 10) + "-" + run(ALNUM, 22),
        "sk" + "_live_" + run(ALNUM, 24),
        "AI" + "za" + run(ALNUM, 35),
    )
    return random.choice(shapes)


def pem(random: Random) -> str:
    """A block in the shape of a private key; the bytes are noise."""
    noise = "".join(random.choice(ALNUM + "+/") for _ in range(192))
    lines = [noise[i : i + 64] for i in range(0, len(noise), 64)]
    return "\n".join(("-----BEGIN " + "PRIVATE KEY-----", *lines, "-----END " + "PRIVATE KEY-----", ""))
