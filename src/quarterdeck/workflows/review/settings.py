"""The reviewed repository's own wishes: the `[review]` table of its `quarterdeck.toml`, read from the base.

From the base, never the head, so that a pull request cannot loosen its own review; and `[review]` only, so that a
repository cannot configure the runtime that judges it (policy, models, budgets, keys).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable
from typing import Any, cast

from .model import SEVERITIES, Settings
from .paths import shown
from .repository import Range, Repository

FILE = "quarterdeck.toml"
MAX_BYTES = 256 << 10
MAX_TIMEOUT_S = 4 * 3600.0
MAX_GLOBS = 200

Check = tuple[Callable[[Any], bool], str]
"""Whether a value is good, and what a good one is."""


def _is_severity(value: Any) -> bool:
    return isinstance(value, str) and value in SEVERITIES


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


_CHECKS: dict[str, Check] = {
    "fail_on": (_is_severity, "one of low, medium, high"),
    "ticket_on": (_is_severity, "one of low, medium, high"),
    "tests": (lambda v: isinstance(v, str) and len(v) <= 4096 and "\0" not in v, "a shell command of at most 4096 characters"),
    "test_timeout_s": (lambda v: _is_number(v, 1, MAX_TIMEOUT_S), f"a number of seconds from 1 to {MAX_TIMEOUT_S:.0f}"),
    "exclude": (
        lambda v: isinstance(v, list) and len(v) <= MAX_GLOBS and all(isinstance(g, str) and g and len(g) <= 500 for g in v),
        f"a list of at most {MAX_GLOBS} path patterns",
    ),
    "max_complexity": (lambda v: isinstance(v, int) and _is_number(v, 1, 1000), "a whole number from 1 to 1000"),
    "extras": (
        lambda v: isinstance(v, dict) and all(isinstance(x, str | int | float | bool) for x in v.values()),
        "a table of plain values",
    ),
}


def read_settings(repo: Repository, span: Range) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings of the base, and a note for everything in the file that was refused. Never raises for content."""
    entry = repo.tree(span.base_sha).get(FILE)
    if entry is None:
        return Settings(), ()
    data = repo.read(span.base_sha, FILE, MAX_BYTES)
    if data is None:
        return Settings(), (f"{FILE} of the base was not read: it is no regular file of at most {MAX_BYTES >> 10} kB. Defaults are used.",)
    return parse_settings(data)


def parse_settings(data: bytes) -> tuple[Settings, tuple[str, ...]]:
    """Read the bytes of a `quarterdeck.toml`. A bad value gives a note and the default; so does a broken file."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return Settings(), (f"{FILE} of the base is not valid TOML ({_brief(error)}). Defaults are used.",)
    notes = [
        f"{FILE} of the base sets [{shown(name)[:80]}], which a reviewed repository may not: it was refused."
        for name in document
        if name != "review"
    ]
    table = document.get("review", {})
    if not isinstance(table, dict):
        return Settings(), (*notes, f"review in {FILE} of the base is not a table. Defaults are used.")
    good: dict[str, object] = {}
    for key, value in table.items():
        check = _CHECKS.get(key)
        if check is None:
            near = difflib.get_close_matches(key, list(_CHECKS), 1)
            notes.append(
                f"{FILE} of the base: [review] has no key {shown(key)[:80]!r}{f' (did you mean {near[0]}?)' if near else ''}: ignored."
            )
        elif not check[0](value):
            notes.append(f"{FILE} of the base: [review] {key} must be {check[1]}. The default is used.")
        else:
            good[key] = value
    return _settings(good), tuple(notes)


def _settings(good: dict[str, object]) -> Settings:
    if "exclude" in good:
        good["exclude"] = tuple(cast(list[str], good["exclude"]))
    if "test_timeout_s" in good:
        good["test_timeout_s"] = float(cast(float, good["test_timeout_s"]))
    return Settings(**cast(dict[str, Any], good))


def _brief(error: Exception) -> str:
    return shown(str(error).splitlines()[0])[:200] if str(error) else type(error).__name__
