"""What both pages show, and in which order, so that report.md and report.html never disagree."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from .claims import Json
from .words import duration, money, percent

SHOWN = 200
"""Entries of one list on a page; the JSON holds all, and the page says how many it left out."""

TITLES = {
    "pass": "Pass",
    "findings": "Findings to look at",
    "tests": "Newly failing tests",
    "could-not-run": "Could not run",
}


class Tile(NamedTuple):
    """One number of the strip. `tone` is good, bad, warn or plain; `claim` is the sentence it abbreviates."""

    label: str
    value: str
    note: str
    tone: str
    claim: Json


class View:
    """Access to the claims of a report by name."""

    def __init__(self, doc: Json) -> None:
        self.doc = doc
        self._claims: dict[str, Json] = {c["id"]: c for c in doc["claims"]}

    def claim(self, id: str) -> Json:
        """Return one claim."""
        return self._claims[id]

    def group(self, prefix: str) -> list[Json]:
        """Return the claims called `prefix.…`, in order."""
        return [c for id, c in self._claims.items() if id.startswith(prefix + ".")]

    def findings(self, severity: str) -> list[Json]:
        """Findings of analyzers and the model that count, worst first."""
        return [f for f in self.doc["findings"] if f["severity"] == severity and f["source"] != "convention" and not f["dismissed"]]

    def conventions(self) -> list[Json]:
        """Broken conventions that count."""
        return [f for f in self.doc["findings"] if f["source"] == "convention" and not f["dismissed"]]

    def put_aside(self) -> list[Json]:
        """Findings that somebody dismissed earlier and that are still there."""
        return [f for f in self.doc["findings"] if f["dismissed"]]

    def tiles(self) -> list[Tile]:
        """The numbers strip; a number that no artifact shows has no tile."""
        doc, n = self.doc, self.doc["counts"]
        tiles: list[tuple[str, str, str, str, str]] = []
        if doc["change"]:
            tiles.append(("Changed files", f"{n['files']:,}", f"+{n['added']:,} −{n['deleted']:,}", "plain", "change.size"))
            tone = {"high": "bad", "medium": "warn"}.get(doc["change"]["risk"], "good")
            tiles.append(("Risk", doc["change"]["risk"].capitalize(), "", tone, "change.risk"))
        if "findings.analyzers" in self._claims:
            tiles.append(("Findings", *self._found("analyzer"), "findings.analyzers"))
        if "findings.model" in self._claims:
            tiles.append(("By the model", *self._found("model"), "findings.model"))
        if doc["tests"]:
            tests = doc["tests"]
            tone = "bad" if n["newly_failing"] else "good"
            tiles.append(("Newly failing", f"{n['newly_failing']:,}", "tests", tone, "tests.newly_failing"))
            bad = tests["failed"] + tests["error"]
            tiles.append(("Passed", f"{tests['passed']:,}", f"of {tests['head']:,} tests", "warn" if bad else "good", "tests.run"))
        else:
            tiles.append(("Tests", "–", "not run", "warn", "tests.none"))
        if doc["coverage"]:
            part, whole = doc["coverage"]["covered_lines"], doc["coverage"]["changed_lines"]
            tone = "good" if part == whole else "warn"
            tiles.append(("Lines tested", percent(part, whole), f"{part:,} of {whole:,}", tone, "coverage.lines"))
        if doc["not_checked"]:
            tiles.append(("Not checked", f"{n['not_checked']:,}", "listed below", "warn", doc["not_checked"][0]["claim"]))
        run = doc["run"]
        tiles.append(("Cost", money(run["cost_microusd"]), f"{run['tokens']:,} tokens", "plain", "run.cost"))
        tiles.append(("Time", duration(run["seconds"]), "", "plain", "run.id"))
        return [Tile(label, value, note, tone, self.claim(claim)) for label, value, note, tone, claim in tiles]

    def _found(self, source: str) -> tuple[str, str, str]:
        """Value, note and tone of the tile for one source of findings."""
        found = [f for f in self.doc["findings"] if f["source"] == source and not f["dismissed"]]
        count = Counter(f["severity"] for f in found)
        split = " · ".join(f"{count[s]} {s}" for s in ("high", "medium", "low") if count[s])
        return f"{len(found):,}", split, "bad" if any(f["blocking"] for f in found) else "warn" if found else "good"


def source_name(claim: Json) -> str:
    """How a link to a claim's artifact reads: `findings.json/3`. Keys that are paths themselves are left out."""
    steps = [s for s in claim["pointer"].split("/") if "~" not in s]
    return "/".join([claim["artifact"], *filter(None, steps)])
