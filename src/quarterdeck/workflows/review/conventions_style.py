"""The repository's own linter and formatter: which it configured in the base, and what they say of the changed lines.

ruff stands in for all of them: it is what the toolbox has. It takes ruff's configuration as it is, and flake8's, black's
and isort's as far as it has the same settings; what it cannot stand in for is said.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from .analyzers import trees
from .model import NotChecked
from .paths import is_utf8, to_argument

CONFIG_FILES = ("pyproject.toml", "ruff.toml", ".ruff.toml", "setup.cfg", "tox.ini", ".flake8", ".isort.cfg", ".pre-commit-config.yaml")
MENTION_FILES = ("Makefile", "noxfile.py", "justfile")
MAX_NESTED = 50

_STABLE = re.compile(
    r"[EFW]|E[4579]|E40[12]|E501|E70[1-3]|E71[1-4]|E72[12]|E731|E74[1-3]|E902|W[1256]|W191|W29?|W29[1-3]|W505|W605|C9|C90|C901"
    r"|F[4-9]|F40[1-7]|F50[1-9]|F52[1-5]|F541|F60[12]|F62[12]|F63[1-4]|F70[1-7]|F722|F811|F82[1-3]|F84[12]|F901"
)
_ISORT_KNOWN = frozenset(
    {"profile", "line_length", "known_first_party", "src_paths", "skip", "skip_glob", "extend_skip", "extend_skip_glob"}
)
_RUFF_FORMAT = re.compile(r"\bruff\s+format\b|id:\s*['\"]?ruff-format\b")
_RUFF_CHECK = re.compile(r"\bruff\s+(check|\.)|id:\s*['\"]?ruff(-check)?['\"]?\s*$", re.MULTILINE)
_BLACK = re.compile(r"id:\s*['\"]?black\b|(^|[\s'\"])black\s+(--|\.|src|\$|[\w/]+/?\s*$)", re.MULTILINE)
_FLAKE8 = re.compile(r"id:\s*['\"]?flake8\b", re.MULTILINE)

Kind = Literal["lint", "imports", "format"]


class StyleTool(msgspec.Struct, frozen=True):
    """One tool of the base, as options for ruff. It covers the files below `folder` (`""` is the root)."""

    kind: Kind
    meant: str
    """What the repository uses: ruff, flake8, isort, ruff format, black."""
    source: str
    """The file of the base that says so."""
    options: tuple[str, ...]
    folder: str = ""
    new_files: bool = True
    """False when a new file may be excluded by a setting that ruff cannot read: then only files of the base count."""

    def covers(self, path: str) -> bool:
        return not self.folder or path.startswith(f"{self.folder}/")


def wanted(paths: Sequence[str]) -> list[str]:
    """Which files of the base `detect` must be given."""
    nested = [p for p in paths if is_utf8(p) and "/" in p and p.rsplit("/", 1)[1] in ("pyproject.toml", "ruff.toml", ".ruff.toml")]
    workflows = [p for p in paths if p.startswith(".github/workflows/")]
    return [*CONFIG_FILES, *MENTION_FILES, *workflows[:20], *nested[:MAX_NESTED]]


def detect(files: Mapping[str, bytes]) -> tuple[tuple[StyleTool, ...], tuple[NotChecked, ...]]:
    """Tell the tools from the base's files (path -> content). Broken files count as absent, with a remark."""
    missing: list[NotChecked] = []
    tables = {path: _toml(path, data, missing) for path, data in files.items() if path.endswith(".toml")}
    inis = {path: _ini(path, files[path], missing) for path in ("setup.cfg", "tox.ini", ".flake8", ".isort.cfg") if path in files}
    mentions = "\n".join(data.decode("utf-8", "replace") for path, data in files.items() if "/" not in path or path.startswith(".github/"))
    ruffs = list(_ruff_configs(tables))
    root = next((tool for tool in ruffs if not tool.folder), None)
    lint = root or _flake8(inis, mentions) or _bare_ruff(mentions)
    tools = [*(tool for tool in ruffs if tool.folder), *([lint] if lint else [])]
    tools += _formatter(tables, mentions, root)
    if not (lint and lint.meant == "ruff"):
        tools += _isort(tables, inis, missing)
    if lint and lint.meant == "flake8":
        missing.append(
            NotChecked(
                "flake8's white space rules and plugins",
                f"{lint.source} asks for flake8, which is not in the toolbox; ruff stood in for E4, E5, E7, E9, F, W and C90 only.",
            )
        )
    return tuple(sorted(tools, key=lambda t: -len(t.folder))), tuple(missing)


def tool_for(tools: Sequence[StyleTool], kind: Kind, path: str) -> StyleTool | None:
    """The nearest tool of a kind: tools are ordered deepest folder first."""
    return next((tool for tool in tools if tool.kind == kind and tool.covers(path)), None)


def _ruff_configs(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[StyleTool]:
    """ruff reads the nearest configuration, and in one folder `.ruff.toml` before `ruff.toml` before `pyproject.toml`."""
    seen: set[str] = set()
    order = {".ruff.toml": 0, "ruff.toml": 1, "pyproject.toml": 2}
    for path in sorted(tables, key=lambda p: order.get(p.rsplit("/", 1)[-1], 3)):
        folder, _, name = path.rpartition("/")
        if folder in seen or (name == "pyproject.toml" and "ruff" not in _table(tables[path], "tool")):
            continue
        seen.add(folder)
        yield StyleTool("lint", "ruff", path, ("--config", f"{trees.BASE}/{to_argument(path)}"), folder)


def _bare_ruff(mentions: str) -> StyleTool | None:
    if _RUFF_CHECK.search(mentions):
        return StyleTool("lint", "ruff", ".pre-commit-config.yaml", ("--isolated",))
    return None


def _flake8(inis: Mapping[str, configparser.RawConfigParser], mentions: str) -> StyleTool | None:
    source = next((p for p in (".flake8", "setup.cfg", "tox.ini") if p in inis and inis[p].has_section("flake8")), None)
    if source is None:
        return StyleTool("lint", "flake8", ".pre-commit-config.yaml", _flake8_options({})) if _FLAKE8.search(mentions) else None
    return StyleTool("lint", "flake8", source, _flake8_options({k.replace("_", "-"): v or "" for k, v in inis[source].items("flake8")}))


def _flake8_options(config: Mapping[str, str]) -> tuple[str, ...]:
    options = ["--isolated", f"--line-length={_int(config.get('max-line-length', ''), 79)}"]
    select = _codes(config.get("select", "")) or ["E", "F", "W"]
    complexity = _int(config.get("max-complexity", ""), -1)
    if complexity >= 0:
        options += ["--config", f"lint.mccabe.max-complexity = {complexity}"]
        select.append("C901")
    options.append("--select=" + ",".join([*select, *_codes(config.get("extend-select", ""))]))
    if ignored := _codes(config.get("ignore", "") + "," + config.get("extend-ignore", "")):
        options.append("--ignore=" + ",".join(ignored))
    globs = [g for g in re.split(r"[,\s]+", config.get("exclude", "") + "," + config.get("extend-exclude", "")) if g]
    options += [f"--extend-exclude={glob}" for glob in globs[:100] if "," not in glob]
    for rule in re.split(r"[\n]+", config.get("per-file-ignores", "")):
        glob, _, codes = rule.strip().rpartition(":")
        options += [f"--extend-per-file-ignores={glob.strip()}:{code}" for code in _codes(codes) if glob.strip()]
    return tuple(options)


def _codes(text: str) -> list[str]:
    """The codes that ruff has as stable rules: it refuses a whole run for one that it does not know."""
    return [code for code in re.split(r"[,\s]+", text) if _STABLE.fullmatch(code)]


def _formatter(tables: Mapping[str, Mapping[str, Any]], mentions: str, root: StyleTool | None) -> list[StyleTool]:
    config = tables.get(root.source, {}) if root else {}
    ruff = config if root and root.source != "pyproject.toml" else _table(config, "tool", "ruff")
    black = _table(tables.get("pyproject.toml", {}), "tool", "black")
    if "format" in ruff or _RUFF_FORMAT.search(mentions):
        return [
            StyleTool(
                "format", "ruff format", root.source if root else ".pre-commit-config.yaml", root.options if root else ("--isolated",)
            )
        ]
    if black or _BLACK.search(mentions):
        source = "pyproject.toml" if black else ".pre-commit-config.yaml"
        excluding = any(key in black for key in ("exclude", "extend-exclude", "force-exclude", "include"))
        return [StyleTool("format", "black", source, _black_options(black), new_files=not excluding)]
    return []


def _black_options(black: Mapping[str, Any]) -> tuple[str, ...]:
    options = ["--isolated", f"--line-length={_int(str(black.get('line-length', '')), 88)}"]
    if black.get("skip-string-normalization") is True:
        options += ["--config", "format.quote-style = 'preserve'"]
    if black.get("skip-magic-trailing-comma") is True:
        options += ["--config", "format.skip-magic-trailing-comma = true"]
    targets = black.get("target-version")
    versions = (
        sorted(int(t[3:]) for t in targets if isinstance(t, str) and re.fullmatch(r"py3\d{1,2}", t)) if isinstance(targets, list) else []
    )
    if versions:
        options.append(f"--target-version=py3{min(max(versions[0], 7), 14)}")
    return tuple(options)


def _isort(
    tables: Mapping[str, Mapping[str, Any]], inis: Mapping[str, configparser.RawConfigParser], missing: list[NotChecked]
) -> list[StyleTool]:
    config: dict[str, Any] = dict(_table(tables.get("pyproject.toml", {}), "tool", "isort"))
    source = "pyproject.toml"
    for path, section in ((".isort.cfg", "settings"), ("setup.cfg", "isort"), ("tox.ini", "isort")):
        if not config and path in inis and inis[path].has_section(section):
            config, source = dict(inis[path].items(section)), path
    if not config:
        return []
    strange = sorted(set(config) - _ISORT_KNOWN)
    if config.get("profile") != "black" or strange:
        what = f"with {', '.join(strange[:5])}" if strange else "without the profile black"
        missing.append(NotChecked("import order", f"{source} sets isort {what}, for which ruff has no equal setting."))
        return []
    options = ["--isolated", "--select=I", f"--line-length={_int(str(config.get('line_length', '')), 88)}"]
    known = config.get("known_first_party", [])
    names = [
        n for n in (re.split(r"[,\s]+", known) if isinstance(known, str) else known) if isinstance(n, str) and re.fullmatch(r"[\w.]+", n)
    ]
    if names:
        options += ["--config", f"lint.isort.known-first-party = {names!r}"]
    return [
        StyleTool(
            "imports", "isort", source, tuple(options), new_files=not set(config) & {"skip", "skip_glob", "extend_skip", "extend_skip_glob"}
        )
    ]


def _int(text: str, default: int) -> int:
    return int(text) if re.fullmatch(r"\d{1,4}", text.strip()) else default


def _table(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        inner = value.get(key)
        value = inner if isinstance(inner, dict) else {}
    return value


def _toml(path: str, data: bytes, missing: list[NotChecked]) -> Mapping[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        missing.append(NotChecked(f"style settings in {path}", "the base's file is not valid TOML."))
        return {}


def _ini(path: str, data: bytes, missing: list[NotChecked]) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, inline_comment_prefixes=("#",))
    try:
        parser.read_string(data.decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        missing.append(NotChecked(f"style settings in {path}", "the base's file cannot be parsed."))
        return configparser.RawConfigParser()
    return parser
