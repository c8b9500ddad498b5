"""`report.html`: one page, no script, nothing loaded from anywhere; strangers' text is escaped at one place, `esc`."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html import escape
from importlib.resources import files
from urllib.parse import quote

from .claims import Json
from .html_parts import finding_card, test_card
from .html_text import bullet, claim, esc, evidence, more, rich, tag
from .text import cut
from .view import SHOWN, TITLES, Tile, View, source_name
from .words import short

DIFF_LINES = 1500
"""Lines of the patch that the page shows; `docs.patch` has all."""


@cache
def _style() -> tuple[str, str]:
    """The style sheet and the hash that alone the page's policy admits."""
    css = re.sub(r"\n\s*", "", files(__package__).joinpath("style.css").read_text("utf-8"))
    return css, base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")


def page(doc: Json, patch: bytes) -> str:
    """Draw the page. Every element with `data-claim` holds one claim and the link to the artifact that shows it."""
    view = View(doc)
    css, digest = _style()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    body = [
        _banner(view),
        tag("ul", "".join(_tile(t) for t in view.tiles()), "tiles"),
        _summary(view),
        _findings(view),
        _tests(view),
        _coverage(view),
        _conventions(view),
        _docs(view, patch),
        _tickets(view),
        _unchecked(view),
        _governance(view),
        _evidence(view),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>Quarterdeck review</title>\n<style>{css}</style>\n</head>\n<body>\n"
        '<header class="top"><span class="brand">Quarterdeck</span><h1>Review of a pull request</h1></header>\n<main>\n'
        + "\n".join(part for part in body if part)
        + "\n</main>\n<footer>Check all of this again: <code>quarterdeck report verify DIR</code></footer>\n</body>\n</html>\n"
    )


def section(title: str, body: str, kind: str = "") -> str:
    """A titled part of the page; empty when it has nothing to say."""
    slug = title.lower().replace(" ", "-")
    return f'<section id="{slug}" class="{kind}" aria-labelledby="h-{slug}"><h2 id="h-{slug}">{title}</h2>{body}</section>' if body else ""


def bullets(claims: list[Json]) -> str:
    """A list of claims."""
    return tag("ul", "".join(bullet(c) for c in claims), "claims") if claims else ""


def _items(items: list[Json], view: View) -> str:
    return bullets([view.claim(i["claim"]) for i in items[:SHOWN]]) + more(items, view)


def _banner(view: View) -> str:
    doc = view.doc
    state = doc["verdict"]["state"]
    body = tag("p", TITLES[state], "word") + claim(view.claim(doc["verdict"]["claim"]))
    if doc["change"]:
        change, size = doc["change"], view.claim("change.size")
        refs = f"{esc(change['repository'])} · <code>{esc(short(change['base']))}</code> → <code>{esc(short(change['head']))}</code>"
        body += claim(size, "refs", refs)
    body += tag("ul", "".join(bullet(c) for c in view.group("verdict")), "claims reasons") if view.group("verdict") else ""
    return f'<section class="verdict {state}" role="status" aria-label="Verdict">{body}</section>'


def _tile(tile: Tile) -> str:
    href = "artifacts/" + quote(tile.claim["artifact"])
    title = esc(f"{tile.claim['text']} {source_name(tile.claim)}")
    inside = tag("span", tile.label, "label") + tag("span", esc(tile.value), "value") + tag("span", esc(tile.note), "note")
    return f'<li class="{tile.tone}" data-claim="{esc(tile.claim["id"])}"><a href="{href}" title="{title}">{inside}</a></li>'


def _summary(view: View) -> str:
    summary = view.doc["summary"]
    body = bullets(view.group("change"))
    if summary:
        blocks = [(b["kind"], view.claim(b["claim"])) for b in summary["blocks"]]
        text = "".join(claim(c, kind, tag("strong", rich(c["text"])) if kind == "heading" else "") for kind, c in blocks)
        body += tag("div", text, "quote") + claim(view.claim("summary_source"), "rule")
    return section("What changed and why it matters", body)


def _findings(view: View) -> str:
    body = bullets([*view.group("findings"), *view.group("dropped")[:SHOWN]])
    for severity in ("high", "medium", "low"):
        items = view.findings(severity)
        if items:
            cards = "".join(finding_card(view, f, severity) for f in items[:SHOWN])
            body += tag("h3", f"{severity} severity") + cards + more(items, view)
    aside = view.put_aside()
    if aside:
        cards = "".join(finding_card(view, f, "aside") for f in aside[:SHOWN]) + more(aside, view)
        body += f"<details><summary>Dismissed earlier</summary>{cards}{_items(view.doc['dismissed'], view)}</details>"
    return section("Findings", body)


def _tests(view: View) -> str:
    body, tests = bullets(view.group("tests")), view.doc["tests"]
    if tests:
        for kind, title in (("newly_failing", "Newly failing"), ("flaky", "Flaky")):
            if tests[kind]:
                body += tag("h3", title) + "".join(test_card(view, t, kind) for t in tests[kind][:SHOWN]) + more(tests[kind], view)
        for kind, title in (("still_failing", "Failing on both sides"), ("newly_passing", "Newly passing"), ("removed", "Removed")):
            if tests[kind]:
                body += f"<details><summary>{title}</summary>{_items(tests[kind], view)}</details>"
    return section("Tests", body)


def _coverage(view: View) -> str:
    coverage = view.doc["coverage"]
    if not coverage:
        return ""
    whole, part = coverage["changed_lines"], coverage["covered_lines"]
    bar = f'<progress max="{whole}" value="{part}" aria-label="Changed lines that tests execute"></progress>'
    return section("Coverage of the changed lines", claim(view.claim("coverage.lines")) + bar + _items(coverage["uncovered"], view))


def _conventions(view: View) -> str:
    items = view.conventions()
    cards = "".join(finding_card(view, f, f["severity"]) for f in items[:SHOWN])
    return section("Conventions", bullets(view.group("conventions")) + cards + more(items, view))


def _docs(view: View, patch: bytes) -> str:
    docs = view.doc["docs"]
    if not docs:
        return ""
    facts = docs["facts"]
    listed = ""
    for fact in facts[:SHOWN]:
        told = view.claim(fact["claim"])
        listed += bullet(told, f"<code>{esc(fact['path'])}</code> {rich(told['text'])}" if fact["path"] else "")
    body = claim(view.claim("docs.patch")) + (tag("ul", listed, "claims") if listed else "") + more(facts, view)
    if patch:
        shown = _diff(patch.decode("utf-8", "replace"))
        body += f'<details data-claim="docs.patch"><summary>Show the patch</summary>{evidence(view.claim("docs.patch"))}{shown}</details>'
    return section("Documentation patch", body)


def _diff(text: str) -> str:
    lines = text.splitlines()
    kinds = {"+": "a", "-": "d", "@": "h"}
    rows = []
    for line in lines[:DIFF_LINES]:
        kind = "h" if line.startswith(("+++", "---", "diff ")) else kinds.get(line[:1], "")
        rows.append(tag("span", esc(cut(line, 2000)), kind))
    if len(lines) > DIFF_LINES:
        rows.append(tag("span", "… the rest is in docs.patch", "h"))
    return f'<pre class="diff" tabindex="0">{"".join(rows)}</pre>'


def _tickets(view: View) -> str:
    return section("Tickets", _items(view.doc["tickets"], view))


def _unchecked(view: View) -> str:
    items = view.doc["not_checked"]
    return section("What could not be checked", _items(items, view) + bullets(view.group("not_checked")), "unchecked" if items else "")


def _governance(view: View) -> str:
    body = bullets([*view.group("run"), *view.group("run_note")])
    steps, probes = view.group("step"), view.group("probe")
    columns = (tag("h3", "Steps") + bullets(steps) if steps else "", tag("h3", "Commands") + bullets(probes) if probes else "")
    body += tag("div", "".join(tag("div", c) for c in columns if c), "columns") if steps or probes else ""
    return section("How it was run", body)


def _evidence(view: View) -> str:
    rows = ""
    for artifact in view.doc["artifacts"]:
        name = f'<a href="artifacts/{quote(artifact["name"])}">{esc(artifact["name"])}</a>'
        rows += f'<tr data-artifact="{esc(artifact["name"])}"><td>{name}</td><td class="num">{artifact["bytes"]:,}</td>'
        rows += f'<td class="mono">{artifact["sha256"]}</td></tr>'
    head = '<thead><tr><th scope="col">Artifact</th><th scope="col" class="num">Bytes</th><th scope="col">SHA-256</th></tr></thead>'
    return section("Evidence", f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>')
