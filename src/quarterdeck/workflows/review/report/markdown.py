"""`report.md`: the report for a terminal, a forge's comment field or a mail."""

from __future__ import annotations

import re
from urllib.parse import quote

from .claims import Json
from .text import cut, one_line, quoted, visible
from .verdict import plural
from .view import SHOWN, TITLES, View, source_name
from .words import place

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#|~&!$@]|(?<=\w):(?=//)|(?<=www)\.)", re.IGNORECASE)


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line: no markup, no HTML, no automatic links."""
    return _escape(one_line(text))


def _escape(line: str) -> str:
    return _SPECIAL.sub(r"\\\1", line)


def code(text: str) -> str:
    """Return a code span that holds the text, whatever backticks it has itself."""
    text = one_line(text) or " "
    fence = "`" * (max((len(m) for m in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def prose(text: str) -> str:
    """Escape text, but keep its single-backtick code spans."""
    parts = re.split(r"`([^`]+)`", one_line(text))
    return "".join(code(part) if n % 2 else _escape(part) for n, part in enumerate(parts))


def block(text: str, language: str = "", indent: str = "") -> str:
    """Return a fenced code block that the text cannot leave."""
    lines = visible(text).rstrip("\n").split("\n")
    fence = "`" * max(3, max((len(m) for m in re.findall("`+", text)), default=0) + 1)
    return "\n".join(indent + line for line in (fence + language, *lines, fence))


def link(claim: Json) -> str:
    """Return the link to what shows a claim."""
    return f"[{escape(source_name(claim))}](artifacts/{quote(claim['artifact'])})"


def raw_link(name: str) -> str:
    """Return the link to an artifact by name."""
    return f"[{escape(name)}](artifacts/{quote(name)})"


def markdown(doc: Json, patch: bytes) -> str:
    """Draw the report. Every bullet and paragraph ends with the link to its evidence."""
    view = View(doc)
    head = view.claim(doc["verdict"]["claim"])
    lines = ["# Quarterdeck review", "", f"**{TITLES[doc['verdict']['state']]}.** {prose(head['text'])} {link(head)}", ""]
    lines += [*map(_bullet, view.group("verdict")), "", "| | | | |", "|---|---|---|---|"]
    lines += [f"| {t.label} | **{escape(t.value)}** | {escape(t.note)} | {link(t.claim)} |" for t in view.tiles()]
    lines += ["", *_change(view), *_summary(view), *_findings(view), *_tests(view), *_conventions(view)]
    lines += [*_docs(view, patch), *_tickets(view), *_limits(view), *_governance(view), *_evidence(doc)]
    squeezed = [line for n, line in enumerate(lines) if line or n == 0 or lines[n - 1]]
    return "\n".join(squeezed).rstrip("\n") + "\n"


def _bullet(claim: Json, label: str = "") -> str:
    return f"- {label}{prose(claim['text'])} {link(claim)}"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def _more(items: list[Json], view: View) -> list[str]:
    """Say how many entries of a long list are left out, with a link to where they are."""
    if len(items) <= SHOWN:
        return []
    return [f"- {plural(len(items) - SHOWN, 'further entry', 'further entries')} in {link(view.claim(items[SHOWN]['claim']))}"]


def _bullets(items: list[Json], view: View) -> list[str]:
    return [*(_bullet(view.claim(i["claim"])) for i in items[:SHOWN]), *_more(items, view)]


def _change(view: View) -> list[str]:
    return _section("The change", [_bullet(c) for c in view.group("change")])


def _summary(view: View) -> list[str]:
    summary = view.doc["summary"]
    if not summary:
        return []
    lines = []
    for part in summary["blocks"]:
        claim = view.claim(part["claim"])
        text = f"{prose(part['text'])} {link(claim)}"
        if part["kind"] == "heading":
            text = f"**{escape(part['text'])}** {link(claim)}"
        lines += [f"- {text}"] if part["kind"] == "item" else ["", text, ""]
    return _section("Technical summary", [*lines, "", _bullet(view.claim("summary_source"))])


def _finding(view: View, finding: Json) -> list[str]:
    claim = view.claim(finding["claim"])
    spot = place(finding["path"], finding["line"], finding["end_line"])
    links = raw_link(finding["artifact"]) + ("" if claim["artifact"] == finding["artifact"] else f", {link(claim)}")
    lines = [f"- {code(spot)} {prose(finding['message'])} ({code(finding['tool'] + ' ' + finding['rule'])}) {links}"]
    if finding["evidence"]:
        lines += ["", block(quoted(finding["evidence"], 1200), indent="  "), ""]
    return lines


def _findings(view: View) -> list[str]:
    lines = [_bullet(c) for c in (*view.group("findings"), *view.group("dropped")[:SHOWN])]
    for severity in ("high", "medium", "low"):
        items = view.findings(severity)
        if items:
            lines += ["", f"### {severity.capitalize()}", ""]
            lines += [line for f in items[:SHOWN] for line in _finding(view, f)]
            lines += _more(items, view)
    aside = view.put_aside()
    if aside:
        lines += ["", "### Dismissed earlier", "", *(line for f in aside[:SHOWN] for line in _finding(view, f)), *_more(aside, view)]
        lines += _bullets(view.doc["dismissed"], view)
    return _section("Findings", lines)


def _tests(view: View) -> list[str]:
    tests = view.doc["tests"]
    lines = [_bullet(c) for c in view.group("tests")]
    for title, name in _TEST_TITLES if tests else ():
        items = tests[name]
        if items:
            lines += ["", f"### {title}", ""]
            for item in items[:SHOWN]:
                lines.append(f"- {code(item['id'])} {link(view.claim(item['claim']))}")
                if item["message"] and name in ("newly_failing", "flaky"):
                    lines += ["", block(quoted(item["message"], 1500), indent="  "), ""]
            lines += _more(items, view)
    coverage = view.doc["coverage"]
    if coverage:
        lines += ["", "### Coverage of the changed lines", "", _bullet(view.claim("coverage.lines"))]
        lines += _bullets(coverage["uncovered"], view)
    return _section("Tests", lines)


_TEST_TITLES = (
    ("Newly failing", "newly_failing"),
    ("Flaky", "flaky"),
    ("Still failing", "still_failing"),
    ("Newly passing", "newly_passing"),
    ("Removed", "removed"),
)


def _conventions(view: View) -> list[str]:
    items = view.conventions()
    lines = [_bullet(c) for c in view.group("conventions")]
    lines += [line for f in items[:SHOWN] for line in _finding(view, f)]
    return _section("Conventions", [*lines, *_more(items, view)])


def _docs(view: View, patch: bytes) -> list[str]:
    docs = view.doc["docs"]
    if not docs:
        return []
    lines = [_bullet(view.claim("docs.patch"))]
    for fact in docs["facts"][:SHOWN]:
        lines.append(_bullet(view.claim(fact["claim"]), f"{code(fact['path'])} " if fact["path"] else ""))
    lines += _more(docs["facts"], view)
    if patch:
        lines += ["", block(cut(patch.decode("utf-8", "replace"), 20_000), "diff")]
    return _section("Documentation patch", lines)


def _tickets(view: View) -> list[str]:
    return _section("Tickets", _bullets(view.doc["tickets"], view))


def _limits(view: View) -> list[str]:
    lines = _bullets(view.doc["not_checked"], view)
    return _section("What could not be checked", [*lines, *map(_bullet, view.group("not_checked"))])


def _governance(view: View) -> list[str]:
    lines = [_bullet(c) for c in (*view.group("run"), *view.group("run_note"))]
    lines += ["", "### Steps", "", *map(_bullet, view.group("step"))] if view.doc["run"]["steps"] else []
    lines += ["", "### Commands", "", *map(_bullet, view.group("probe"))] if view.doc["probes"] else []
    return _section("How it was run", lines)


def _evidence(doc: Json) -> list[str]:
    lines = ["| Artifact | Bytes | SHA-256 |", "|---|---:|---|"]
    lines += [f"| {raw_link(a['name'])} | {a['bytes']:,} | `{a['sha256']}` |" for a in doc["artifacts"]]
    return _section("Evidence", ["Check all of this again with `quarterdeck report verify DIR`.", "", *lines])
