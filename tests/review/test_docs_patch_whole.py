"""The documentation patch applies with `git apply` on the head and holds facts only (A10)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repos import Link, Tree, build, git

from quarterdeck.workflows.review.docs_patch import DocsPatch, docs_patch
from quarterdeck.workflows.review.intake import read_change
from quarterdeck.workflows.review.patches import Edit, edited, split_lines, unified
from quarterdeck.workflows.review.repository import open_repository


class Applied:
    """A patch, and the head's files after really applying it in a checkout."""

    def __init__(self, tmp_path: Path, base: Tree, head: Tree) -> None:
        self.repo = build(tmp_path, base, head)
        before = git(self.repo, "status", "--porcelain")
        with open_repository(self.repo) as opened:
            change = read_change(opened, opened.range())
            self.docs: DocsPatch = docs_patch(opened, opened.range(), change)
        assert git(self.repo, "status", "--porcelain") == before, "never applied by itself"
        if self.docs.patch:
            git(self.repo, "apply", "--check", stdin=self.docs.patch)
            git(self.repo, "apply", stdin=self.docs.patch)

    def text(self, path: str) -> str:
        return (self.repo / path).read_bytes().decode()

    @property
    def added(self) -> list[str]:
        return [line[1:] for line in self.docs.patch.decode().splitlines() if line.startswith("+") and not line.startswith("+++")]


OLD = "def total(items, rate):\n    return sum(items) * rate\n\n\ndef gone(): pass\n"
NEW = "def total(items, *, tax: float = 0.0):\n    return sum(items) + tax\n\n\n"
NEW += "class Basket:\n    def __init__(self, owner): pass\n    def add(self, item): pass\n"
KEEP = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Something earlier.\n\n"
KEEP += "## [1.0.0] - 2024-01-01\n\n### Added\n\n- All.\n\n[Unreleased]: https://x\n"
SRC = "src/shop/cart.py"


def test_a10_a_keep_a_changelog_entry(tmp_path: Path) -> None:
    done = Applied(tmp_path, {SRC: OLD, "CHANGELOG.md": KEEP}, {SRC: NEW})
    assert done.text("CHANGELOG.md") == (
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Something earlier.\n- `shop.cart.Basket(owner)`.\n\n"
        "### Changed\n\n- `shop.cart.total(items, rate)` is now `shop.cart.total(items, *, tax: float=0.0)`.\n\n"
        "### Removed\n\n- `shop.cart.gone()`.\n\n"
        "## [1.0.0] - 2024-01-01\n\n### Added\n\n- All.\n\n[Unreleased]: https://x\n"
    )
    assert len(done.docs.facts) == 3 and "CHANGELOG.md: Added `shop.cart.Basket(owner)`." in done.docs.facts


FLAT = "* `shop.cart.Basket(owner)`"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("CHANGES.md", "## Unreleased\n* Old one,\n  in two lines\n\n## 1.0\n", "## Unreleased\n* Old one,\n  in two lines\n{}\n## 1.0\n"),
        ("CHANGES.md", "## Unreleased\n## 1.0\n", "## Unreleased\n\n{}\n## 1.0\n"),
        ("CHANGES.md", "# 2.0 (unreleased)", "# 2.0 (unreleased)\n\n{}"),
        ("CHANGES.md", "## Unreleased\n\n- Nothing changed yet.\n\n## 1.0\n", "## Unreleased\n\n{}\n## 1.0\n"),
        ("CHANGES.md", "## Unreleased\r\n\r\n- A\r\n", "## Unreleased\r\n\r\n- A\r\n{}"),
        ("HISTORY.rst", "History\n=======\n\nUnreleased\n----------\n\n* One\n\n1.0\n---\n\n* Two\n", None),
        ("docs/changelog.rst", "2.0 (unreleased)\n================\n\n- Nothing changed yet.", None),
    ],
    ids=["bullets", "empty", "end-of-file", "nothing-yet", "crlf", "rst", "rst-nothing"],
)
def test_a10_entries_in_other_forms(tmp_path: Path, path: str, before: str, after: str | None) -> None:
    done = Applied(tmp_path, {SRC: OLD, path: before}, {SRC: NEW})
    ticks = "``" if path.endswith("rst") else "`"
    nl = "\r\n" if "\r" in before else "\n"
    bullet = "*" if "* O" in before else "-"
    entries = (
        f"{bullet} Added {ticks}shop.cart.Basket(owner){ticks}.{nl}"
        f"{bullet} Changed {ticks}shop.cart.total(items, rate){ticks} is now {ticks}shop.cart.total(items, *, tax: float=0.0){ticks}.{nl}"
        f"{bullet} Removed {ticks}shop.cart.gone(){ticks}.{nl}"
    )
    got = (done.repo / path).read_bytes().decode()
    if after is not None:
        assert got == after.format(entries)
    else:
        assert entries in got and got.replace(entries, "") in (before, before.replace("- Nothing changed yet.", ""))


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ({}, {}),
        ({"CHANGELOG.md": KEEP}, {"CHANGELOG.md": KEEP.replace("earlier", "mine")}),
        ({"README.md": "# Changelog\n## Unreleased\n"}, {}),
        ({"CHANGELOG.md": Link(b"README.md"), "README.md": KEEP}, {}),
    ],
    ids=["no-log", "already-written", "other-file", "link"],
)
def test_a10_nothing_to_say_is_an_empty_patch(tmp_path: Path, base: Tree, head: Tree) -> None:
    assert Applied(tmp_path, {SRC: OLD, **base}, {SRC: NEW, **head}).docs == DocsPatch()


@pytest.mark.parametrize("log", ["# 1.0\n\n- All.\n", "Unreleased\n==========\n\nFixed\n-----\n- x\n"])
def test_a10_a_log_that_is_not_understood_is_left_alone_and_said(tmp_path: Path, log: str) -> None:
    docs = Applied(tmp_path, {SRC: OLD, "CHANGELOG.rst": log}, {SRC: NEW}).docs
    assert not docs.patch and docs.not_checked[0].what == "change log entry" and "left alone" in docs.not_checked[0].why


def test_a10_private_names_bodies_and_tests_are_no_entries(tmp_path: Path) -> None:
    base = {"a.py": "def f():\n    return 1\n", "CHANGELOG.md": KEEP}
    assert not Applied(
        tmp_path, base, {"a.py": "def f():\n    return 2\ndef _g(): pass\n", "tests/test_a.py": "def test_f(): pass\n"}
    ).docs.patch


def test_a10_what_may_still_be_there_and_what_is_too_long_to_quote(tmp_path: Path) -> None:
    long = ", ".join(f"argument_{i}=None" for i in range(30))
    base = {"a.py": f"class C(Base):\n    def m(self): pass\ndef f({long}): pass\ndef g(x): pass\n", "CHANGES.md": "## Unreleased\n"}
    done = Applied(tmp_path, base, {"a.py": f"class C(Base):\n    pass\ndef f(new, {long}): pass\ndef g(x: int) -> None: pass\n"})
    assert done.added == ["", "- Changed the arguments of `a.f`."]


GOOGLE = '''def f(a, {b}c):
    """Do it.

    Args:
        a: First.
        b (dict[str, int]): Second,
            over two lines.

        c: Third.

    Returns:
        Nothing: b is mentioned here.
    """
'''
NUMPY = '''def f(a, {b}c):
    """Do it.

    Parameters
    ----------
    a : int
        First.
    b, c : dict
        Both.

    Returns
    -------
    b : int
    """
'''
SPHINX = '''def f(a, {b}c):
    r"""Do it.

    :param a: First.
    :param dict b: Second,
        over two lines.
    :type b: dict
    :param c: Third.
    :return: b
    """
'''


@pytest.mark.parametrize(
    ("source", "before", "after"),
    [
        (GOOGLE, "        b (dict[str, int]): Second,\n            over two lines.\n", ""),
        (NUMPY, "    b, c : dict\n", "    c : dict\n"),
        (SPHINX, "    :param dict b: Second,\n        over two lines.\n    :type b: dict\n", ""),
    ],
    ids=["google", "numpy", "sphinx"],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a10_parameters_that_are_gone_leave_the_docstring(tmp_path: Path, source: str, before: str, after: str, newline: str) -> None:
    old, new = (source.format(b=b).replace("\n", newline) for b in ("b, ", ""))
    done = Applied(tmp_path, {"pkg/a.py": old}, {"pkg/a.py": new})
    assert done.text("pkg/a.py") == source.format(b="").replace(before, after).replace("\n", newline)
    assert done.docs.facts == ("pkg/a.py: `f` has no parameter `b` any more.",)


def test_a10_a_section_that_becomes_empty_goes(tmp_path: Path) -> None:
    old = 'class C:\n    """A thing.\n\n    Args:\n        only: One.\n    """\n\n    def __init__(self, only): pass\n'
    done = Applied(tmp_path, {"a.py": old}, {"a.py": old.replace("self, only", "self")})
    assert done.text("a.py").startswith('class C:\n    """A thing.\n    """\n')


def test_a10_a_parameter_with_a_new_name_keeps_its_description(tmp_path: Path) -> None:
    old = SPHINX.format(b="b, ")
    done = Applied(tmp_path, {"a.py": old}, {"a.py": old.replace("(a, b, c)", "(a, bee, c)")})
    assert (
        ":param dict bee: Second,\n" in done.text("a.py") and ":type bee: dict" in done.text("a.py") and ":return: b\n" in done.text("a.py")
    )
    assert done.docs.facts == ("a.py: parameter `b` of `f` is called `bee` now.",)


def test_a10_docstrings_in_other_forms_are_left_alone_and_said(tmp_path: Path) -> None:
    old = 'def f(a, b):\n    """:param a: First.\n    :param b: Second."""\n'
    docs = Applied(tmp_path, {"a.py": old}, {"a.py": old.replace("(a, b)", "(a)")}).docs
    assert not docs.patch and "`" not in docs.not_checked[0].why and "docstring of f" in docs.not_checked[0].what
    code = 'def f(a, b):\n    x = """\n    :param b: no docstring\n    """\n    return x\n'
    assert Applied(tmp_path / "2", {"a.py": code}, {"a.py": code.replace("(a, b)", "(a)")}).docs == DocsPatch()


def test_a10_signatures_in_pages_follow_the_code(tmp_path: Path) -> None:
    page = "# `total(items, rate)`\nUse `cart.total(items, rate)`:\n\n    x = total(items, rate)\n    def total(items, rate):\n"
    rst = ".. py:function:: shop.cart.total(items, rate)\n\nSee ``total(items, rate)``, or ``gone()``.\n\n.. function:: gone()\n"
    done = Applied(tmp_path, {SRC: OLD, "README.md": page, "docs/api.rst": rst}, {SRC: NEW})
    new = "total(items, *, tax=0.0)"
    assert done.text("README.md") == f"# `{new}`\nUse `cart.{new}`:\n\n    x = total(items, rate)\n    def {new}:\n"
    assert done.text("docs/api.rst") == f".. py:function:: shop.cart.{new}\n\nSee ``{new}``, or ``gone()``.\n\n.. function:: gone()\n"
    assert f"README.md line 1: `total(items, rate)` is `{new}` now." in done.docs.facts
    assert [n.why.split(",")[0] for n in done.docs.not_checked] == ["line 5 quotes `gone()`"]


def test_a10_annotated_signatures_keep_the_pages_spelling(tmp_path: Path) -> None:
    base = {
        "a.py": "def f(a: int, b: str='x') -> int: pass\n",
        "README.md": "`f(a: int, b: str = 'x') -> int` `f(a: int, b: str='x')` `f(a, b='x')`\n",
    }
    done = Applied(tmp_path, base, {"a.py": "def f(a: int) -> str: pass\n"})
    assert done.text("README.md") == "`f(a: int) -> str` `f(a: int)` `f(a)`\n"


def test_a10_a_spelling_with_another_meaning_is_left_alone(tmp_path: Path) -> None:
    """Another class has a method that is written alike, so the page may speak of that."""
    base = {SRC: OLD, "src/shop/other.py": "class O:\n    def total(self, items, rate): pass\n", "README.md": "`total(items, rate)`\n"}
    assert Applied(tmp_path, base, {SRC: NEW}).docs == DocsPatch()


def test_a10_a_renamed_function_is_followed(tmp_path: Path) -> None:
    old = "def compute(items, rate):\n    return sum(items) * rate\n"
    base = {SRC: old, "README.md": "Call `compute(items, rate)`.\n", "CHANGES.md": "## Unreleased\n"}
    done = Applied(tmp_path, base, {SRC: old.replace("compute", "total")})
    assert done.text("README.md") == "Call `total(items, rate)`.\n"
    assert "- Changed `shop.cart.compute(items, rate)` is now `shop.cart.total(items, rate)`." in done.text("CHANGES.md")


def test_a30_hostile_names_and_content(tmp_path: Path) -> None:
    names = ('docs/we"ird\tpage.md', "docs/spa ce.md", b"docs/n\xff.md")
    base = {
        SRC: OLD,
        **{n: "`total(items, rate)`" for n in names},
        "docs/latin.md": b"`total(items, rate)` \xff",
        "docs/l.md": Link(b"/etc/passwd"),
    }
    done = Applied(tmp_path, base, {SRC: NEW})
    assert len(done.added) == 3 and set(done.added) == {"`total(items, *, tax=0.0)`"}
    assert all("\t" not in f and "\n" not in f for f in done.docs.facts)


LINES = st.lists(st.sampled_from([b"a", b"b", b"", b"\\ No newline", b"--- x", b"c\r", b"@@ -1 +1 @@"]), max_size=25)


@given(LINES, st.booleans(), st.lists(st.tuples(st.integers(0, 25), st.integers(0, 4), LINES), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a10_every_patch_is_taken_by_git(
    tmp_path: Path, rows: list[bytes], last: bool, changes: list[tuple[int, int, list[bytes]]]
) -> None:
    data = b"\n".join(rows) + (b"\n" if last else b"")
    lines = split_lines(data)
    edits: list[Edit] = []
    for start, length, new in sorted(changes):
        start = max(start, edits[-1].end + 1 if edits else 0)
        if start + length < len(lines) and (length or new):
            edits.append(Edit(start, start + length, tuple(n + b"\n" for n in new)))
    after = edited(lines, edits)
    if after == data or not data:
        return
    (tmp_path / "f").write_bytes(data)
    git(tmp_path, "apply", "--whitespace=nowarn", stdin=unified("f", lines, edits))
    assert (tmp_path / "f").read_bytes() == after
