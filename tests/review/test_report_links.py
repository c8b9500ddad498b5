"""Every sentence that states a result links to its artifact, on both pages (A13, law 8)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest
import report_sample as sample
from markdown_it import MarkdownIt
from markdown_it.token import Token

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Sorts the page's text: inside a claim (with that claim's links), or outside of all claims."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.outside: list[str] = []
        self.claims: list[tuple[str, list[str], str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._stack: list[tuple[str, int | None]] = []
        self.feed(html)
        self.close()
        assert not self._stack, "unclosed elements"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        name = values.get("data-claim") or values.get("data-artifact")
        claim = len(self.claims) if name else self._stack[-1][1] if self._stack else None
        if name:
            self.claims.append((name, [], ""))
        if tag == "a" and claim is not None:
            self.claims[claim][1].append(values.get("href") or "")
        if tag not in VOID:
            self._stack.append((tag, claim))

    def handle_endtag(self, tag: str) -> None:
        assert self._stack and self._stack.pop()[0] == tag, f"badly nested {tag}"

    def handle_data(self, data: str) -> None:
        if not data.strip() or (self._stack and self._stack[-1][0] in ("style", "title")):
            return
        claim = self._stack[-1][1] if self._stack else None
        if claim is None:
            self.outside.append(data.strip())
        else:
            name, links, text = self.claims[claim]
            self.claims[claim] = (name, links, text + data)


def artifact_of(href: str) -> str:
    assert href.startswith("artifacts/"), href
    return unquote(href.removeprefix("artifacts/"))


@pytest.mark.parametrize("artifacts", [sample.rich(1), sample.rich(2), sample.empty(), sample.empty(error="It broke.")])
def test_each_claim_on_the_page_links_to_an_existing_artifact(artifacts: sample.Artifacts) -> None:  # A13
    page = Page(sample.built(artifacts)["report.html"].decode())
    assert len(page.claims) > 15
    for name, links, text in page.claims:
        assert links and text.strip(), name
        assert {artifact_of(link) for link in links} <= artifacts.keys(), name


def test_outside_of_claims_the_page_has_only_labels() -> None:  # A13: two reviews that share no datum share all such text
    one, two = (Page(sample.built(sample.rich(n))["report.html"].decode()) for n in (1, 2))
    labels = {"low severity"}  # the second review has no third group to title
    assert set(one.outside) - labels == set(two.outside) - labels
    assert not any(re.search(r"\d", text) for text in one.outside if text != "SHA-256")
    told = " ".join(text for _, _, text in one.claims)
    for datum in ("1 newly failing test", "src/ledger/transfer.py:41", "test_broken1", "90 %", "queued", "openai/model-1", "$0.01824"):
        assert datum in told


def inline_links(token: Token) -> list[str]:
    return [str(c.attrs["href"]) for c in token.children or () if c.type == "link_open"]


def sentences(text: str) -> tuple[list[tuple[str, list[str]]], list[str], list[Token]]:
    """Paragraphs, items and table cells with their links; headings; and fences that stand outside of list items."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert not [t for t in tokens if t.type == "html_block" or any(c.type == "html_inline" for c in t.children or ())]
    body: list[tuple[str, list[str]]] = []
    headings: list[str] = []
    fences: list[Token] = []
    row: list[Token] | None = None
    depth = 0
    for before, token in zip([None, *tokens], tokens, strict=False):
        depth += {"list_item_open": 1, "list_item_close": -1}.get(token.type, 0)
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            body.append((" | ".join(t.content for t in row), [href for t in row for href in inline_links(t)]))
            row = None
        elif token.type == "inline" and row is not None:
            row.append(token)
        elif token.type == "inline" and before is not None and before.type == "heading_open":
            headings.append(token.content)
        elif token.type == "inline":
            body.append((token.content, inline_links(token)))
        elif token.type == "fence" and not depth:
            fences.append(token)
    return body, headings, fences


STATIC = ("Artifact | Bytes | SHA-256", " |  |  | ", "Check all of this again with `quarterdeck report verify DIR`.")


@pytest.mark.parametrize("artifacts", [sample.rich(1), sample.rich(2), sample.empty(), sample.empty(error="It broke.")])
def test_each_sentence_of_the_markdown_ends_with_its_link(artifacts: sample.Artifacts) -> None:  # A13
    body, headings, fences = sentences(sample.built(artifacts)["report.md"].decode())
    unlinked = [text for text, links in body if not links]
    assert set(unlinked) <= set(STATIC)
    for text, links in body:
        assert {artifact_of(link) for link in links} <= artifacts.keys(), text
    assert [f.content for f in fences] == ([artifacts["docs.patch"].decode()] if artifacts.get("docs.patch") else [])
    assert not any(re.search(r"\d", heading) for heading in headings)


def test_markdown_headings_hold_no_data() -> None:  # A13
    one, two = (sentences(sample.built(sample.rich(n))["report.md"].decode())[1] for n in (1, 2))
    assert set(one) - {"Low"} == set(two) - {"Low"}


def test_both_pages_tell_the_same_claims() -> None:
    outputs = sample.built(sample.rich())
    page = Page(outputs["report.html"].decode())
    on_page = {name for name, _, _ in page.claims}
    tokens = MarkdownIt("commonmark").enable("table").parse(outputs["report.md"].decode())
    shown = " ".join("".join(c.content for c in t.children or () if c.type in ("text", "code_inline")) for t in tokens)
    for claim in json.loads(outputs["report.json"])["claims"]:
        assert claim["id"] in on_page, claim
        if not claim["id"].startswith(("finding.", "test.")):  # these are laid out, not quoted
            assert claim["text"].replace("`", "") in shown


def test_page_is_self_contained_and_names_its_policy() -> None:  # A12
    html = sample.built(sample.rich())["report.html"].decode()
    page = Page(html)
    attributes: list[dict[str, Any]] = [a for _, a in page.tags]
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & {t for t, _ in page.tags}
    assert not [a for a in attributes if {"src", "style", "srcset", "action"} & a.keys() or any(k.startswith("on") for k in a)]
    assert "url(" not in html and "@import" not in html and "http:" not in html and "https:" not in html
    policy = next(a["content"] for a in attributes if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    css = html.split("<style>")[1].split("</style>")[0]
    assert base64.b64encode(hashlib.sha256(css.encode()).digest()).decode() in policy


def test_headings_descend_without_gaps() -> None:
    levels = [int(t[1]) for t, _ in Page(sample.built(sample.rich())["report.html"].decode()).tags if re.fullmatch("h[1-6]", t)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
