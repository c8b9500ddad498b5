"""A4: ruff, bandit, unsafe calls, complexity and API compatibility on real small trees, each rule with what it must not report."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyzers_lab import Bench, rules, text_change, toolbox

from quarterdeck.workflows.review.analyzers import ANALYZERS, collect
from quarterdeck.workflows.review.model import Settings


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


OLD = """\
import json


def load(path):
    with open(path) as file:
        return json.load(file)
"""


def test_ruff_reports_bugs_on_new_lines_only_a4(bench: Bench) -> None:
    bench.change(
        "pkg/a.py", "x = undefined_before\n\n\ndef f(a=1):\n    return a\n", "x = undefined_before\n\n\ndef f(a=[]):\n    return aa\n"
    )
    found = bench.review("ruff")
    assert [(f.rule, f.line, f.severity) for f in found] == [("ruff/B006", 4, "medium"), ("ruff/F821", 5, "high")]
    assert found[0].evidence == "def f(a=[]):" and found[0].artifact == "raw/ruff-head.json" and found[0].path == "pkg/a.py"
    assert bench.not_checked == []


def test_ruff_does_not_blame_a_moved_line(bench: Bench) -> None:
    bench.change("a.py", "def f(a=[]):\n    return a\n", "")
    bench.change("b.py", None, "def f(a=[]):\n    return a\n")
    assert bench.review("ruff") == []


def test_a_file_that_stops_parsing_is_high_on_any_line_and_was_so_before_is_not(bench: Bench) -> None:
    bench.change("new.py", "def f():\n    pass\n", "def f((:\n    pass\n")
    bench.change("old.py", "def f(:\n    pass\nx = 1\n", "def f(:\n    pass\nx = 2\n")
    found = bench.review("ruff")
    assert [(f.path, f.rule, f.severity) for f in found] == [("new.py", "ruff/syntax", "high")]


def test_new_syntax_is_no_error(bench: Bench) -> None:
    bench.change("a.py", None, "type Names[T] = list[T]\n\n\ndef f[T](x: T) -> T:\n    return x\n")
    assert bench.review("ruff", "bandit", "unsafe", "complexity", "api") == []


def test_head_cannot_silence_ruff_or_bandit_and_trying_is_a_finding(bench: Bench) -> None:
    bench.change("a.py", "import os\n", "import os\n\n\ndef f(a=[]):  # noqa: B006\n    os.system(a)  # nosec\n")
    found = bench.review("ruff", "bandit", "unsafe")
    assert {"ruff/B006", "unsafe/shell", "bandit/B605", "review/suppression"} <= rules(found)
    assert [f.line for f in found if f.rule == "review/suppression"] == [4, 5]


@pytest.mark.parametrize("line", ["x = 1  # noqa: E501", "x = 1  # type: ignore[assignment]", "x = '# nosec'", "x = 1  # pragma: no cover"])
def test_style_suppressions_and_strings_are_no_finding(bench: Bench, line: str) -> None:
    bench.change("a.py", "x = 0\n", line + "\n")
    assert bench.review("unsafe") == []


def test_a_suppression_that_was_there_before_is_no_finding(bench: Bench) -> None:
    bench.change("a.py", "a = 1\nb = run()  # nosec\n", "b = run()  # nosec\na = 1\n")
    assert bench.review("unsafe") == []


UNSAFE = {
    "eval(text)": "unsafe/eval",
    "exec(text)": "unsafe/exec",
    "os.system(text)": "unsafe/shell",
    "sp.run(text, shell=True)": "unsafe/shell",
    "pickle.loads(text)": "unsafe/pickle",
    "yaml.load(text)": "unsafe/yaml-load",
    "yaml.load(text, Loader=yaml.FullLoader)": "unsafe/yaml-load",
    "tempfile.mktemp()": "unsafe/mktemp",
    "requests.get(text, verify=False)": "unsafe/tls-verify",
    "httpx.Client(verify=False)": "unsafe/tls-verify",
    "ssl._create_unverified_context()": "unsafe/tls-verify",
    "un(text)": "unsafe/pickle",
}
IMPORTS = "import os, pickle, ssl, subprocess as sp, tempfile\nimport httpx, requests, yaml\nfrom pickle import loads as un\n"


@pytest.mark.parametrize("code", UNSAFE)
def test_unsafe_calls(bench: Bench, code: str) -> None:
    bench.change("a.py", IMPORTS, f"{IMPORTS}\n\ndef f(text):\n    return {code}\n")
    assert [(f.rule, f.line, f.evidence) for f in bench.review("unsafe")] == [(UNSAFE[code], 7, f"return {code}")]


@pytest.mark.parametrize(
    "code",
    [
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "yaml.load(text, yaml.CSafeLoader)",
        "sp.run([text])",
        "sp.run(text, shell=False)",
        "requests.get(text, verify=True)",
        "model.eval()",
        "re.compile(text)",
        "self.exec(text)",
        "json.loads(text)",
        "tempfile.mkstemp()",
        "ast.literal_eval(text)",
        "check(verify=False)",
        "'eval(x)'",
    ],
)
def test_safe_calls(bench: Bench, code: str) -> None:
    bench.change("a.py", IMPORTS, f"{IMPORTS}\n\ndef f(text, self, model):\n    return {code}\n")
    assert bench.review("unsafe") == []


def test_fixed_shell_text_is_only_low(bench: Bench) -> None:
    bench.change("a.py", "import os\n", "import os\n\nos.system('make docs')\n")
    assert [(f.rule, f.severity) for f in bench.review("unsafe")] == [("unsafe/shell", "low")]


def test_the_same_problem_of_two_tools_is_reported_once(bench: Bench) -> None:
    code = "import subprocess\n\n\ndef f(cmd):\n    return subprocess.run(\n        cmd,\n        shell=True,\n    )\n"
    bench.change("a.py", None, code)
    both = bench.review("bandit", "unsafe")
    assert rules(both) == {"bandit/B602", "unsafe/shell"}
    assert [(f.line, f.severity) for f in collect(both)] == [(7, "high")]


def test_bandit_finds_sql_and_weak_hashes_and_leaves_tests_alone(bench: Bench) -> None:
    query = "    db.execute('select * from t where n = %s' % name)\n"
    code = f"import hashlib\n\n\ndef f(db, name):\n    assert name\n{query}    return hashlib.md5(name)\n"
    bench.change("pkg/a.py", None, code)
    bench.change("tests/test_a.py", None, "def test_a(tmp_path):\n    assert open('/tmp/x')\n")
    assert rules(bench.review("bandit")) == {"bandit/B608", "bandit/B324"}


BRANCHES = "def f(x):\n" + "".join(f"    if x == {i}:\n        return {i}\n" for i in range(12)) + "    return x\n"


def test_complexity_grown_beyond_the_limit(bench: Bench) -> None:
    bench.change("a.py", BRANCHES.replace("    if x == 0:\n        return 0\n", ""), BRANCHES)
    found = bench.review("complexity")
    assert [(f.rule, f.line, f.severity) for f in found] == [("complexity/grown", 1, "low")]
    assert "grew from 12 to 13" in found[0].message
    bench.settings = Settings(max_complexity=6)
    assert [f.severity for f in bench.review("complexity")] == ["medium"]
    bench.settings = Settings(max_complexity=13)
    assert bench.review("complexity") == []


def test_complexity_is_quiet_for_moves_renames_and_shrinking(bench: Bench) -> None:
    more = BRANCHES.replace("def f", "def h").replace("    return x\n", "    return x or 1 or 2\n")
    bench.change("a.py", BRANCHES + more, more.replace("x or 1 or 2", "x or 1"))
    bench.change("b.py", None, BRANCHES.replace("def f", "class C:\n  def g").replace("\n    ", "\n      "))
    assert bench.review("complexity") == []


API = {
    "removed function": ("def f(): ...\ndef g(): ...\n", "def f(): ...\n", "api/object-removed", "high"),
    "removed parameter": ("def f(a, b=1): ...\n", "def f(a): ...\n", "api/parameter-removed", "high"),
    "required parameter": ("def f(a): ...\n", "def f(a, b): ...\n", "api/parameter-added-required", "medium"),
    "method": ("class C:\n    def m(self, a=1): ...\n", "class C:\n    def m(self, a): ...\n", "api/parameter-changed-required", "medium"),
    "removed base": ("class B: ...\nclass C(B): ...\n", "class B: ...\nclass C: ...\n", "api/class-removed-base", "medium"),
    "default": ("def f(a=1): ...\n", "def f(a=2): ...\n", "api/parameter-changed-default", "low"),
}


@pytest.mark.parametrize("layout", ["src/pkg/core.py", "pkg/core.py", "single.py", "src/single.py"])
@pytest.mark.parametrize("case", API)
def test_api_breaks(bench: Bench, case: str, layout: str) -> None:
    old, new, rule, severity = API[case]
    if "/core" in layout:
        bench.same(layout.replace("core", "__init__"), "")
    bench.change(layout, old, new)
    found = bench.review("api")
    assert [(f.rule, f.severity, f.path) for f in found] == [(rule, severity, layout)], bench.not_checked
    assert found[0].line >= 1


QUIET = {
    "optional parameter": ("def f(a): ...\n", "def f(a, *, b=None): ...\n"),
    "private": ("def _f(a): ...\nclass C:\n    def _m(self): ...\n", "class C: ...\n"),
    "annotations": (
        "from typing import Optional\ndef f(a: Optional[int]) -> Optional[int]: ...\n",
        "def f(a: int | None) -> int | None: ...\n",
    ),
    "value": ("__version__ = '1'\nLIMIT = 3\n", "__version__ = '2'\nLIMIT = 4\n"),
    "moved and imported back": ("def f(a): ...\n", "from pkg.other import f\n"),
    "new class": ("", "class C:\n    def m(self): ...\n"),
}


@pytest.mark.parametrize("case", QUIET)
def test_api_keeps(bench: Bench, case: str) -> None:
    bench.same("pkg/__init__.py", "")
    bench.same("pkg/other.py", "def f(a): ...\n")
    bench.change("pkg/core.py", *QUIET[case])
    assert bench.review("api") == [] and bench.not_checked == []


def test_api_is_loaded_without_running_it(bench: Bench) -> None:
    trap = f"open({str(bench.head / 'ran')!r}, 'w')\n"
    bench.same("pkg/__init__.py", trap)
    bench.change("pkg/core.py", trap + "def f(): ...\n", trap)
    assert rules(bench.review("api")) == {"api/object-removed"}
    assert not (bench.head / "ran").exists()


def test_api_of_exports_private_modules_and_removed_modules(bench: Bench) -> None:
    bench.same("pkg/__init__.py", "from pkg._impl import f\nfrom pkg._impl import g\n__all__ = ['f', 'g']\n")
    bench.change("pkg/_impl.py", "def f(a, b=1): ...\ndef g(): ...\n", "def f(a): ...\ndef g(): ...\n")
    bench.change("pkg/gone.py", "def h(): ...\n", None)
    found = bench.review("api")
    assert {(f.rule, f.path) for f in found} == {("api/parameter-removed", "pkg/_impl.py"), ("api/object-removed", "pkg/gone.py")}


def test_api_says_when_it_cannot_judge(bench: Bench) -> None:
    bench.same("pkg/__init__.py", "")
    bench.change("pkg/core.py", "def f(): ...\n", "def f((: ...\n")
    assert bench.review("api") == []
    assert "does not parse" in bench.not_checked[0].why


def test_without_the_extra_each_absent_tool_is_not_checked_a24(bench: Bench) -> None:
    bench.change("a.py", "def f(): ...\n", "def g(): ...\n")
    bench.tools = toolbox("ruff", "bandit", "griffe", "yaml")
    assert bench.review() == []
    assert {n.what for n in bench.not_checked} == {"ruff", "bandit", "griffe"}
    assert all("pip install 'quarterdeck[review]'" in n.why for n in bench.not_checked)


def test_an_absent_yaml_is_not_checked_and_dockerfiles_still_are_a24(bench: Bench) -> None:
    bench.without_yaml()
    bench.change(".github/workflows/ci.yml", None, "on: push\n")
    bench.change("Dockerfile", None, "FROM python\n")
    assert rules(bench.review("risky", "deployment")) == {"deploy/latest-image"}
    assert {n.what for n in bench.not_checked} == {"risky: .github/workflows/ci.yml", "deployment: .github/workflows/ci.yml"}
    assert all("PyYAML is not installed" in n.why for n in bench.not_checked)


CLEAN_OLD = '''\
"""Totals."""
import subprocess

VERSION = "1.0"
TOKEN_URL = "https://example.org/token"


class Cart:
    """A cart."""

    def __init__(self, items):
        self.items = items

    def total(self, rate=0.2):
        """Return the total with tax."""
        result = 0
        for item in self.items:
            if item.price > 0:
                result = result + item.price
        return result * (1 + rate)


def describe(cart):
    """Return one line."""
    return "total: " + str(cart.total())


def revision():
    return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, check=False).stdout
'''
CLEAN_NEW = '''\
"""Totals."""

from __future__ import annotations

import subprocess
from typing import Any

VERSION = "1.1"
TOKEN_URL = "https://example.org/v2/token"


class Cart:
    """A cart."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def total(self, rate: float = 0.2) -> float:
        """Return the total with tax."""
        return _net(self.items) * (1 + rate)


def _net(items: list[Any]) -> float:
    return sum(item.price for item in items if item.price > 0)


def describe(cart: Cart) -> str:
    """Return one line."""
    return f"total: {cart.total()}"


def revision() -> bytes:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, check=False).stdout
'''


def test_a_clean_refactoring_gives_no_finding_at_all(bench: Bench) -> None:
    bench.same("shop/__init__.py", "from shop.cart import Cart\n")
    bench.change("shop/cart.py", CLEAN_OLD, CLEAN_NEW)
    bench.change(
        "tests/test_cart.py",
        "def test_a():\n    assert 1\n",
        "def test_a():\n    assert True\n\n\ndef test_b(tmp_path):\n    assert tmp_path\n",
    )
    bench.change("pyproject.toml", "[project]\nname='shop'\nversion='1.0'\n", "[project]\nname='shop'\nversion='1.1'\n")
    bench.change("README.md", "# Shop\n", "# Shop\n\nSet `API_KEY=your-key-here`, then run `curl https://example.org`.\n")
    bench.change("CHANGELOG.md", "", "- 1.1: clean up\n")
    assert bench.review() == []
    assert bench.not_checked == []


def test_plan_names_are_unique_slugs_and_many_files_are_split(bench: Bench) -> None:
    for number in range(1500):
        bench.files.append(text_change(f"package_with_a_long_name/module_with_a_long_name_{number:05}/file.py", None, "x = 1\n"))
    names = []
    for analyzer in ANALYZERS:
        plans = analyzer.plan(bench.pull, bench.tools, bench.settings)
        assert isinstance(plans, list)
        names += [p.name for p in plans]
        assert all(len(a.encode()) < 128 << 10 for p in plans for a in p.argv)
    assert len(names) == len(set(names)) and "ruff-head-2" in names
    assert all(n.replace("-", "").isalnum() and n == n.lower() for n in names)


def test_nothing_to_do_needs_no_tool(bench: Bench) -> None:
    bench.tools = toolbox("ruff", "bandit", "griffe", "yaml")
    for analyzer in ANALYZERS:
        assert analyzer.plan(bench.pull, bench.tools, bench.settings) == []


def test_excluded_paths_are_left_alone(bench: Bench) -> None:
    bench.change("vendor/a.py", None, "def f(a=[]):\n    eval(a)\n")
    bench.settings = Settings(exclude=("vendor/",))
    assert bench.review() == []
