"""The smallest pieces of the page: escaping, and a claim with its link."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import quote

from .claims import Json
from .text import visible
from .verdict import plural
from .view import SHOWN, View, source_name


def esc(text: object) -> str:
    """Return text that HTML shows as it is, in an element or in a quoted attribute."""
    return escape(visible(str(text)), quote=True)


def rich(text: str) -> str:
    """Escape text; single-backtick spans become code."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"<code>{esc(part)}</code>" if n % 2 else esc(part) for n, part in enumerate(parts))


def tag(name: str, inside: str, kind: str = "") -> str:
    """An element around markup that is already escaped."""
    return f'<{name} class="{kind}">{inside}</{name}>' if kind else f"<{name}>{inside}</{name}>"


def evidence(claim: Json) -> str:
    """The link to what shows a claim; its title carries the digest."""
    return artifact_link(claim["artifact"], source_name(claim), f"SHA-256 {claim['sha256']}")


def artifact_link(name: str, text: str = "", title: str = "") -> str:
    """A small link to an artifact."""
    return f'<a class="ev" href="artifacts/{quote(name)}" title="{esc(title or name)}">{esc(text or name)}</a>'


def claim(claim: Json, kind: str = "", inside: str = "") -> str:
    """A paragraph that holds one claim; `inside` is its markup where it differs from its text."""
    return f'<p class="{("claim " + kind).strip()}" data-claim="{esc(claim["id"])}">{inside or rich(claim["text"])} {evidence(claim)}</p>'


def bullet(claim: Json, inside: str = "") -> str:
    """A list item that holds one claim."""
    return f'<li data-claim="{esc(claim["id"])}">{inside or rich(claim["text"])} {evidence(claim)}</li>'


def more(items: list[Json], view: View) -> str:
    """Say how many entries of a long list are left out, with a link to where they are."""
    if len(items) <= SHOWN:
        return ""
    first = view.claim(items[SHOWN]["claim"])
    text = plural(len(items) - SHOWN, "further entry", "further entries")
    return f'<p class="rule" data-claim="{esc(first["id"])}">{text} {evidence(first)}</p>'
