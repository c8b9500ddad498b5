"""Changed symbols and risk (A3)."""

from __future__ import annotations

from pathlib import Path

from repos import Tree, build

from quarterdeck.workflows.review.intake import read_change
from quarterdeck.workflows.review.model import Change, Symbol
from quarterdeck.workflows.review.repository import open_repository
from quarterdeck.workflows.review.signatures import same_call
from quarterdeck.workflows.review.symbols import is_public, parse


def change(tmp_path: Path, base: Tree, head: Tree) -> Change:
    with open_repository(build(tmp_path, base, head, checkout=False)) as opened:
        return read_change(opened, opened.range())


def symbols(tmp_path: Path, old: str, new: str, path: str = "src/shop/cart.py") -> dict[str, Symbol]:
    return {s.name: s for s in change(tmp_path, {path: old}, {path: new}).symbols}


def test_a3_added_removed_and_modified_with_signatures(tmp_path: Path) -> None:
    found = symbols(
        tmp_path,
        "def gone(): pass\ndef kept(a): return a\ndef same(x):\n    return x\n",
        'import os\n\ndef kept(a, *, b: int = 1) -> int:\n    "Doc."\n    return a + b\n'
        "async def fresh(): pass\ndef same(x):\n\n    return x\n",
    )
    assert {n: (s.change, s.line, s.old_signature, s.signature) for n, s in found.items()} == {
        "gone": ("removed", 1, "gone()", ""),
        "kept": ("modified", 3, "kept(a)", "kept(a, *, b: int=1) -> int"),
        "fresh": ("added", 6, "", "async fresh()"),
    }
    assert found["kept"].documented and not found["fresh"].documented and found["fresh"].public


def test_a3_a_class_changes_only_by_its_own_lines_or_constructor(tmp_path: Path) -> None:
    old = "class A(Base):\n    x = 1\n    def __init__(self, a): self.a = a\n    def m(self):\n        return 1\n"
    assert set(symbols(tmp_path / "1", old, old.replace("return 1", "return 2"))) == {"A.m"}
    assert set(symbols(tmp_path / "2", old, old.replace("x = 1", "x = 2"))) == {"A"}
    found = symbols(tmp_path / "3", old, old.replace("(self, a)", "(self, a, b=0)"))
    assert (found["A"].old_signature, found["A"].signature, found["A"].kind) == ("A(a): Base", "A(a, b=0): Base", "class")
    assert not found["A.__init__"].public


def test_a3_conditional_definitions_decorators_and_properties_count(tmp_path: Path) -> None:
    old = "try:\n    import x\nexcept ImportError:\n    def f(): pass\nclass P:\n"
    old += "    @property\n    def v(self): return 1\n    @v.setter\n    def v(self, n): pass\n"
    found = symbols(tmp_path, old, old.replace("def f(): pass", "@cache\n    def f(): pass").replace("n): pass", "n): self.n = n"))
    assert {(n, s.signature) for n, s in found.items()} == {("f", "f()"), ("P.v", "v(self)")}


def test_a3_public_is_a_matter_of_every_name_in_the_path() -> None:
    assert is_public("src/pkg/mod.py", "Class.method") and is_public("pkg/__init__.py", "f") and is_public("__init__.py", "f")
    assert not is_public("pkg/_private/mod.py", "f") and not is_public("pkg/mod.py", "_C.m") and not is_public("pkg/mod.py", "C._m")
    assert not is_public("tests/test_x.py", "test_f") and not is_public("pkg/__main__.py", "_f")


def test_a3_renamed_files_are_compared_with_their_old_name(tmp_path: Path) -> None:
    body = "".join(f"def f{i}(): return {i}\n" for i in range(20))
    found = change(tmp_path, {"a.py": body}, {"a.py": None, "b.py": body.replace("return 7", "return 70")})
    assert [(s.path, s.name, s.change) for s in found.symbols] == [("b.py", "f7", "modified")]


def test_a30_sources_that_break_parsers_are_noted_and_the_rest_is_read(tmp_path: Path) -> None:
    deep = "x = " + "(" * 5000 + ")" * 5000 + "\n"
    head = {
        "deep.py": deep,
        "chain.py": "x = a" + ".a" * 300_000 + "\n",
        "minus.py": "x = " + "-" * 400_000 + "1\n",
        "bad.py": "def (:\n",
        "nul.py": "# coding: utf-16\nx = 'é'\n",
        "latin.py": b"# coding: latin-1\ndef caf\xe9(): pass\n",
        "big.py": "x = 1\n" * 200_000,
        "z.py": "def good(): pass\n",
    }
    found = change(tmp_path, {"a.py": "x = 1\n"}, head)
    assert {s.name for s in found.symbols} == {"good", "café"}
    noted = " ".join(found.notes)
    assert all(name in noted for name in ("deep.py", "bad.py", "nul.py", "big.py")) and "good" not in noted


def test_a30_a_crash_of_the_parser_costs_one_file() -> None:
    nested = b"".join(b" " * i + b"if x:\n" for i in range(99)) + b" " * 99 + b"pass\n"
    killer = b"x = " + b"[" * 150 + b"]" * 150 + b"\nlambda: " * 3000 + b"0\n"
    answers = parse([b"def a(): pass\n", killer, nested, b"def b(): pass\n"])
    assert set(answers[0].definitions) == {"a"} and set(answers[3].definitions) == {"b"} and len(answers) == 4


def test_a3_risk_names_its_reasons(tmp_path: Path) -> None:
    low = change(tmp_path / "1", {"README.md": "a\n"}, {"README.md": "b\n"})
    assert (low.risk, low.risk_reasons) == ("low", ())
    medium = change(tmp_path / "2", {"pkg/a.py": "x = 1\n"}, {"pkg/a.py": "x = 2\n"})
    assert medium.risk == "medium" and "no test" in medium.risk_reasons[0]
    high = change(
        tmp_path / "3",
        {"pkg/auth.py": "def login(): pass\n", "t": "1"},
        {
            "pkg/auth.py": "import subprocess\nsubprocess.run('x', shell=True)\n",
            ".github/workflows/ci.yml": "on: push\n",
            "requirements.txt": "x\n",
            "tests/test_a.py": "",
        },
    )
    text = " ".join(high.risk_reasons)
    assert high.risk == "high" and high.risk_reasons[0] == "It removes public definitions: login."
    for part in ("continuous integration", "dependencies", "speak of security: pkg/auth.py", "subprocess"):
        assert part in text
    assert "no test" not in text


def test_a3_a_name_that_is_imported_now_is_not_removed(tmp_path: Path) -> None:
    old = "def f(a): pass\ndef g(): pass\nclass C:\n    def m(self): pass\n    def n(self): pass\n"
    found = symbols(tmp_path, old, "from .other import f\nclass C:\n    m = f\n")
    assert {n: s.change for n, s in found.items()} == {
        "f": "modified",
        "g": "removed",
        "C": "modified",
        "C.m": "modified",
        "C.n": "removed",
    }
    assert found["f"].signature == found["f"].old_signature == "f(a)" and found["f"].line == 1


def test_a3_annotations_change_nothing_for_callers(tmp_path: Path) -> None:
    assert same_call(
        "f(a, b='x:,=', *c, d=lambda x: (1, 2))", "f(a: dict[str, int], b: 'A, B'='x:,=', *c: t.Any, d=lambda x: (1, 2)) -> int"
    )
    assert same_call("C(a): B", "C(a: int): B") and same_call("f()", "f() -> None") and same_call("C: B", "C: B")
    for old, new in (
        ("f(a)", "f(b)"),
        ("f(a)", "f(a=1)"),
        ("f(a=1)", "f(a=2)"),
        ("f(a)", "f(*a)"),
        ("C(a): B", "C(a): D"),
        ("f(a, b)", "f(a, *, b)"),
        ("C", "C(x)"),
    ):
        assert not same_call(old, new), (old, new)
    typed = change(tmp_path, {"pkg/a.py": "def f(a, b=1): pass\n"}, {"pkg/a.py": "def f(a: int, b: int = 1) -> None: pass\n"})
    assert not any("signature" in r for r in typed.risk_reasons)
