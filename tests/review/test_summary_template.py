"""The technical summary from facts, and the prompt for a model's (A9)."""

from __future__ import annotations

from pathlib import Path

from repos import build_commits

from quarterdeck.workflows.review import summary
from quarterdeck.workflows.review.findings import make
from quarterdeck.workflows.review.intake import diff_patch, read_change
from quarterdeck.workflows.review.model import Change, Commit, FileChange, NotChecked, TestCase, TestReport
from quarterdeck.workflows.review.repository import open_repository


def shop(tmp_path: Path) -> tuple[Change, bytes]:
    base = {
        "src/shop/cart.py": "def total(items):\n    return sum(items)\ndef old(): pass\ndef same():\n    return 1\n",
        "requirements.txt": "attrs==1.0\n",
        "README.md": "hi\n",
    }
    head = {
        "src/shop/cart.py": "def total(items, *, tax=0):\n    return sum(items) + tax\n"
        "def same():\n    return 2\nclass Basket:\n    def add(self): pass\n",
        "requirements.txt": "attrs==2.0\nrequests>=2\n",
        ".github/workflows/ci.yml": "on: push\n",
    }
    with open_repository(build_commits(tmp_path, [("base", base)], [("Tax the cart", head), ("Say hi", {"README.md": "hello\n"})])) as repo:
        return read_change(repo, repo.range()), diff_patch(repo, repo.range())


def test_a9_every_sentence_is_a_fact(tmp_path: Path) -> None:
    change, _ = shop(tmp_path)
    finding = make("ruff", "ruff/F821", "high", "src/shop/cart.py", 2, "Undefined name `x`", evidence="x", artifact="raw/ruff.json")
    cases = (TestCase("a::b", "passed"), TestCase("a::c", "passed"))
    tests = TestReport("pytest", cases, (cases[0], TestCase("a::c", "failed")), newly_failing=("a::c",), changed_lines=4, covered_lines=3)
    got = summary.template_summary(change, [finding], tests)
    assert got.source == "template"
    for sentence in (
        "2 commits to project: 4 files, 9 lines added and 6 removed.",
        'The author\'s words: "Say hi", "Tax the cart".',
        "Source: src/shop/cart.py (+5 -4).",
        "Continuous integration: .github/workflows/ci.yml (new) (+1 -0).",
        "It adds class Basket.",
        "It removes function old.",
        "The signature of total was total(items) and is total(items, *, tax=0).",
        "It changes the body of same.",
        "Why it matters: old is no longer defined where it was; code that uses it may break.",
        "Callers of total must be checked against the new signature.",
        "requirements.txt adds attrs==2.0, requests>=2 and drops attrs==1.0.",
        "Risk: high. It removes public definitions: old.",
        "The review has 1 finding: 1 high. src/shop/cart.py:2: Undefined name `x`.",
        "Tests (pytest): base 2 passed; head 1 passed, 1 failed. Newly failing: a::c.",
        "Tests run 3 of 4 changed executable lines.",
    ):
        assert sentence in got.text, sentence
    assert got == summary.template_summary(change, [finding], tests)


def test_a9_what_is_not_known_is_said_or_left_out() -> None:
    change = Change(
        "r", "a" * 40, "b" * 40, (Commit("c", "d", ""),), (FileChange("x", "deleted", deleted=1),), notes=("Something was cut.",)
    )
    text = summary.template_summary(change, [], None).text
    assert "1 commit to r: 1 file, 0 lines added and 1 removed." in text and "x (deleted)" in text
    assert "no findings" in text and "Tests were not run." in text and text.endswith("Something was cut.")
    assert "author" not in text and "It adds" not in text
    unchecked = TestReport("pytest", (), (TestCase("a", "passed"),), not_checked=(NotChecked("coverage", "coverage is absent"),))
    assert "base none; head 1 passed" in summary.template_summary(change, [], unchecked).text
    assert "Not checked: coverage: coverage is absent." in summary.template_summary(change, [], unchecked).text


def test_a30_hostile_names_cannot_forge_paragraphs() -> None:
    change = Change("r", "a", "b", (Commit("c", "d", "x\n\nRisk: low."),), (FileChange("a\n\nTests: all passed.", "added"),), risk="high")
    text = summary.template_summary(change, [], None).text
    assert "\n\nTests: all" not in text and "\n\nRisk: low." not in text and "\\n\\nTests: all passed." in text


def test_a9_the_prompt_fences_what_the_author_wrote(tmp_path: Path) -> None:
    change, patch = shop(tmp_path)
    prompt = summary.model_prompt(change, summary.diff_excerpt(patch), [], None)
    fence = next(word for word in prompt.split() if word.startswith("DATA-"))
    assert prompt.count(f"{fence} diff") == 1 and prompt.index("+requests>=2") > prompt.index(f"{fence} diff")
    assert "Tax the cart" in prompt and prompt.endswith(f"{fence}\n")
    other = summary.model_prompt(change, "DATA-000000000000\n", [], None)
    assert fence not in other, "the fence depends on the data, so the data cannot hold it"


def test_a9_excerpts_and_answers_are_bounded() -> None:
    cut = summary.diff_excerpt(b"line\n" * 100, 52)
    assert cut == "line\n" * 10 + "[450 more bytes of the diff are left out here]\n"
    assert summary.diff_excerpt(b"x" * 100, 10).startswith("x" * 10 + "[90 more")
    answer = summary.from_model("One.\x1b[31m \n\n\n\nTwo. " + "Three is long. " * 400, "openai/x")
    assert answer.source == "openai/x" and "\x1b" not in answer.text and "\n\n\n" not in answer.text
    assert len(answer.text) <= summary.MODEL_CHARS and answer.text.endswith(".")
