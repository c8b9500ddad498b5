"""The parts of a report as JSON data; each makes the claims that it needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from quarterdeck.protocol.errors import BadInput

from ..model import Change, NotChecked, Summary, TestReport
from . import data
from .claims import Claims, Json, step_of
from .data import DocFact, Docs
from .inputs import Inputs, Reported, decode
from .verdict import blocks, plural
from .words import percent, place, ranges

_TEST_LISTS = {
    "newly_failing": ("fails on the head and passed on the base", "fail on the head and passed on the base"),
    "flaky": ("failed once and passed on a second run", "failed once and passed on a second run"),
    "still_failing": ("fails on both sides", "fail on both sides"),
    "newly_passing": ("passes now and failed on the base", "pass now and failed on the base"),
    "removed": ("is gone from the head", "are gone from the head"),
}


def change(claims: Claims, change: Change | None) -> Json | None:
    """Who, what, how big, how risky."""
    if change is None:
        return None
    lines = f"{change.added:,} added and {change.deleted:,} deleted lines"
    where = f"{plural(len(change.files), 'file')} in {plural(len(change.commits), 'commit')}"
    claims.add("change.size", f"The change touches {where}: {lines}.", data.CHANGE, "/files")
    reasons = "; ".join(r.rstrip(".") for r in change.risk_reasons)
    claims.add("change.risk", f"Risk is {change.risk}" + (f": {reasons}." if reasons else "."), data.CHANGE, "/risk_reasons")
    public = sum(s.public for s in change.symbols)
    if change.symbols:
        text = f"It touches {plural(len(change.symbols), 'function or class', 'functions and classes')}, {public} of them public."
        claims.add("change.symbols", text, data.CHANGE, "/symbols")
    return {
        "repository": change.repository,
        "base": change.base,
        "head": change.head,
        "risk": change.risk,
        "risk_reasons": list(change.risk_reasons),
        "commits": [{"sha": c.sha, "author": c.author, "subject": c.subject} for c in change.commits],
        "files": [
            {"path": f.path, "old_path": f.old_path, "status": f.status, "added": f.added, "deleted": f.deleted} for f in change.files
        ],
    }


def _severities(entries: Sequence[Reported]) -> str:
    count = Counter(e.finding.severity for e in entries)
    return ", ".join(f"{count[s]} {s}" for s in ("high", "medium", "low") if count[s])


def findings(claims: Claims, inputs: Inputs, entries: Sequence[Reported]) -> list[Json]:
    """All findings, worst first, each with the list that records it and the raw output behind it."""
    active = {s: [e for e in entries if e.source == s and not e.dismissal] for s in ("analyzer", "model", "convention")}
    if inputs.findings is not None:
        text = (
            f"The analyzers report {plural(len(active['analyzer']), 'finding')}"
            if active["analyzer"]
            else "The analyzers report no finding"
        )
        split = _severities(active["analyzer"])
        claims.add("findings.analyzers", text + (f": {split}." if split else "."), data.FINDINGS)
    if inputs.model:
        dropped = inputs.model.dropped
        added = plural(len(active["model"]), "finding") if active["model"] else "no finding"
        text = f"{inputs.model.model or 'The model'} adds {added}"
        text += (
            f"; {plural(dropped, 'answer')} of it did not match the diff and {'was' if dropped == 1 else 'were'} dropped."
            if dropped
            else "."
        )
        claims.add("findings.model", text, data.MODEL_FINDINGS)
        for n, reason in enumerate(inputs.model.reasons):
            claims.add(f"dropped.{n}", f"Dropped: {reason}", data.MODEL_FINDINGS, f"/reasons/{n}")
    put_aside = sum(1 for e in entries if e.dismissal)
    if put_aside:
        verb = "was dismissed earlier and does" if put_aside == 1 else "were dismissed earlier and do"
        claims.add("findings.dismissed", f"{plural(put_aside, 'finding')} {verb} not count.", data.DISMISSED)
    if data.CONVENTIONS in claims.names:
        text = "The change breaks no convention that was checked."
        if active["convention"]:
            broken = active["convention"]
            text = f"The change breaks conventions of the repository in {plural(len(broken), 'place')}: {_severities(broken)}."
        claims.add("conventions.count", text, data.CONVENTIONS)
    return [_finding(claims, inputs, n, e) for n, e in enumerate(entries)]


def _finding(claims: Claims, inputs: Inputs, n: int, entry: Reported) -> Json:
    f = entry.finding
    text = f"{place(f.path, f.line, f.end_line)}: {f.message} ({f.tool} {f.rule}, {f.severity})"
    item: Json = msgspec.to_builtins(f)
    return item | {
        "source": entry.source,
        "blocking": blocks(entry, inputs),
        "dismissed": entry.dismissal is not None,
        "claim": claims.add(
            f"finding.{n}", text, entry.artifact, f"/{entry.index}" if entry.source != "model" else f"/findings/{entry.index}"
        ),
    }


def tests(claims: Claims, inputs: Inputs) -> Json | None:
    """Base against head. The tests that speak are listed with their message; the whole is in `junit.xml`."""
    report = inputs.tests
    if report is None or not (report.base or report.head):
        claims.add("tests.none", "The test suite was not run.", *_why_no_tests(inputs))
        return None
    count = Counter(c.outcome for c in report.head)
    split = ", ".join(f"{count[k]:,} {k}" for k in ("passed", "failed", "error", "skipped") if count[k])
    text = f"{report.runner} ran {plural(len(report.base), 'test')} on the base and {len(report.head):,} on the head"
    claims.add("tests.run", text + (f": {split}." if split else "."), data.TESTS, "/head")
    if not report.newly_failing:
        claims.add("tests.newly_failing", "No test fails newly.", data.TESTS, "/newly_failing")
    base, head = ({c.id: c for c in side} for side in (report.base, report.head))
    lists: Json = {}
    for name, (one, many) in _TEST_LISTS.items():
        ids: tuple[str, ...] = getattr(report, name)
        if ids:
            claims.add(f"tests.{name}", f"{plural(len(ids), 'test')} {one if len(ids) == 1 else many}.", data.TESTS, f"/{name}")
        lists[name] = []
        for n, id in enumerate(ids):
            case = head.get(id) or base.get(id)
            claim = claims.add(f"test.{name}.{n}", f"{id} {one}.", data.TESTS, f"/{name}/{n}")
            lists[name].append({"id": id, "message": case.message if case else "", "claim": claim})
    return {
        "runner": report.runner,
        "base": len(report.base),
        "head": len(report.head),
        **{k: count[k] for k in ("passed", "failed", "error", "skipped")},
        **lists,
    }


def _why_no_tests(inputs: Inputs) -> tuple[str, str]:
    """The artifact and pointer that say why: the suite's own report, the list of what was not checked, or the run."""
    if inputs.tests:
        return data.TESTS, "/not_checked"
    reason = next((i for i, n in enumerate(inputs.not_checked) if "test" in n.what.lower()), None)
    return (data.RUN, "/steps") if reason is None else (data.NOT_CHECKED, f"/{reason}")


def coverage(claims: Claims, report: TestReport | None) -> Json | None:
    """Which changed lines the tests of the head execute."""
    if report is None or not report.changed_lines:
        return None
    part, whole = report.covered_lines, report.changed_lines
    text = f"The tests execute {part:,} of {plural(whole, 'changed line')} ({percent(part, whole)})."
    claims.add("coverage.lines", text, data.TESTS, "/covered_lines")
    files = []
    for n, (path, lines) in enumerate(sorted(report.uncovered.items())):
        if lines:
            claim = claims.add(f"uncovered.{n}", f"{path}: not executed: {ranges(lines)}.", data.TESTS, f"/uncovered/{step_of(path)}")
            files.append({"path": path, "lines": list(lines), "claim": claim})
    return {"changed_lines": whole, "covered_lines": part, "uncovered": files}


def summary(claims: Claims, summary: Summary | None) -> Json | None:
    """The technical summary as blocks: paragraphs, list items and headings, each a quotation of `summary.json`."""
    if summary is None:
        return None
    blocks: list[Json] = []
    for paragraph in re.split(r"\n\s*\n", summary.text.strip()):
        for line in re.split(r"\n(?=\s*(?:[-*]|#+)\s)|(?<=\n)(?=#)", paragraph):
            text = " ".join(line.split())
            mark, _, rest = text.partition(" ")
            kind = "item" if mark in ("-", "*") else "heading" if mark and not mark.strip("#") else "paragraph"
            text = text if kind == "paragraph" else rest
            if text:
                blocks.append({"kind": kind, "text": text, "claim": claims.add(f"summary.{len(blocks)}", text, data.SUMMARY, "/text")})
    author = "by template, without a model" if summary.source == "template" else f"by {summary.source}"
    claims.add("summary_source", f"Written {author}.", data.SUMMARY, "/source")
    return {"text": summary.text, "source": summary.source, "blocks": blocks}


def docs(claims: Claims, docs: Docs | None, patch: bytes) -> Json | None:
    """The documentation patch. It is shown and never applied."""
    if docs is None and not patch:
        return None
    lines = patch.decode("utf-8", "replace").splitlines()
    files = sum(line.startswith("+++ ") for line in lines)
    added = sum(line.startswith("+") and not line.startswith("+++ ") for line in lines)
    if patch:
        text = f"A patch for {plural(files, 'file')} with {plural(added, 'added line')} waits in docs.patch; nothing was applied."
        claims.add("docs.patch", text, data.DOCS_PATCH)
    else:
        claims.add("docs.patch", "No documentation patch is proposed.", data.DOCS)
    facts = [DocFact(f) if isinstance(f, str) else f for f in (docs.facts if docs else ())]
    return {
        "files": files,
        "added_lines": added,
        "facts": [
            {"text": f.text, "path": f.path, "line": f.line, "claim": claims.add(f"doc.{n}", f.text, data.DOCS, f"/facts/{n}")}
            for n, f in enumerate(facts)
        ],
    }


def tickets(claims: Claims, inputs: Inputs) -> list[Json]:
    """Ticket intents in the outbox; none of them is claimed to have arrived."""
    items = []
    for n, t in enumerate(inputs.tickets):
        claim = claims.add(f"ticket.{n}", f"Ticket “{t.title}” is {t.state} for {t.target}.", data.TICKETS, f"/{n}")
        items.append(msgspec.to_builtins(t) | {"claim": claim})
    return items


def dismissed(claims: Claims, inputs: Inputs) -> list[Json]:
    """What people dismissed earlier."""
    items = []
    for n, d in enumerate(inputs.dismissed):
        because = f": {d.reason}" if d.reason else "."
        claim = claims.add(f"dismissal.{n}", f"{d.who} dismissed {d.fingerprint}{because}", data.DISMISSED, f"/{n}")
        items.append(msgspec.to_builtins(d) | {"claim": claim})
    return items


def not_checked(claims: Claims, inputs: Inputs) -> list[Json]:
    """Everything that could not be checked, from every source, each once."""
    sources: list[tuple[str, str, Sequence[NotChecked]]] = [(data.NOT_CHECKED, "", inputs.not_checked)]
    if inputs.tests:
        sources.append((data.TESTS, "/not_checked", inputs.tests.not_checked))
    if inputs.docs:
        sources.append((data.DOCS, "/not_checked", inputs.docs.not_checked))
    if inputs.change:
        sources.append((data.CHANGE, "/notes", [NotChecked("part of the change", note) for note in inputs.change.notes]))
    items: list[Json] = []
    seen: set[NotChecked] = set()
    for artifact, pointer, entries in sources:
        for n, entry in enumerate(entries):
            if entry not in seen:
                seen.add(entry)
                claim = claims.add(f"unchecked.{len(items)}", f"{entry.what}: {entry.why}", artifact, f"{pointer}/{n}")
                items.append({"what": entry.what, "why": entry.why, "claim": claim})
    if not items and data.NOT_CHECKED in claims.names:
        claims.add("not_checked.none", "Every check that was planned left a result.", data.NOT_CHECKED)
    return items


class _Probe(msgspec.Struct, frozen=True):
    """The head of a RawRun; its output stays where it is."""

    name: str
    state: str
    exit_code: int | None
    truncated: bool = False


def probes(claims: Claims, artifacts: Mapping[str, bytes]) -> list[Json]:
    """The commands of analyzers, conventions and suites, and how each ended."""
    items: list[Json] = []
    for name in sorted(a for a in artifacts if a.startswith("raw/") and a.endswith(".json")):
        try:
            probe = decode(name, artifacts[name], _Probe)
        except BadInput:  # a raw answer of a model, say: it is evidence, but no command
            continue
        ended = f"exit code {probe.exit_code}" if probe.state == "exited" else probe.state
        text = f"{probe.name} ended with {ended}" + ("; its output was cut." if probe.truncated else ".")
        items.append(msgspec.to_builtins(probe) | {"artifact": name, "claim": claims.add(f"probe.{len(items)}", text, name, "/exit_code")})
    return items
