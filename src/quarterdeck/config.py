"""Configuration: flags > environment > HOME/quarterdeck.toml > defaults. Each value knows where it comes from."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.protocol.errors import ConfigError

FILE = "quarterdeck.toml"


class Setting(msgspec.Struct, frozen=True):
    """One setting: its type, its default, the environment variable that sets it, and what it is for."""

    kind: type
    default: Any
    env: str
    help: str


SETTINGS: dict[str, Setting] = {
    "model": Setting(str, "", "QUARTERDECK_MODEL", "the model of agents and reviews, provider/name; empty: none"),
    "policy": Setting(str, "", "QUARTERDECK_POLICY", "a Cedar policy file that replaces the packaged one"),
    "budget_usd": Setting(float, 2.0, "QUARTERDECK_BUDGET", "US dollars that one run and its children may spend on models"),
    "project_budget_usd": Setting(float, 0.0, "QUARTERDECK_PROJECT_BUDGET", "US dollars for the whole project; 0: no cap"),
    "lease_s": Setting(float, 10.0, "QUARTERDECK_LEASE", "seconds after which a hung worker loses its runs"),
    "approval_days": Setting(float, 7.0, "QUARTERDECK_APPROVAL_DAYS", "days after which an unanswered question expires"),
    "sandbox.memory_mb": Setting(int, 2048, "QUARTERDECK_SANDBOX_MEMORY_MB", "memory of one environment"),
    "sandbox.workspace_mb": Setting(int, 2048, "QUARTERDECK_SANDBOX_WORKSPACE_MB", "size of /workspace"),
    "sandbox.tmp_mb": Setting(int, 512, "QUARTERDECK_SANDBOX_TMP_MB", "size of /tmp"),
    "sandbox.pids": Setting(int, 512, "QUARTERDECK_SANDBOX_PIDS", "processes of one environment"),
    "sandbox.cpu": Setting(float, 2.0, "QUARTERDECK_SANDBOX_CPU", "cores of one environment"),
    "keep_environments": Setting(bool, False, "QUARTERDECK_KEEP_ENVIRONMENTS", "keep a run's environment after its end, for looking at it"),
}
TABLES = ("providers", "prices", "sandbox")


class Value(msgspec.Struct, frozen=True):
    """A setting in force. `origin`: flag, environment, file or default."""

    name: str
    value: Any
    origin: str


class Config:
    """The configuration of one HOME."""

    def __init__(self, home: Path, values: Mapping[str, Value], tables: Mapping[str, Any]) -> None:
        self.home, self.values, self.tables = home, values, tables

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def micro_usd(self, name: str) -> int:
        return round(float(self[name]) * 1_000_000)


def default_home() -> Path:
    """`QUARTERDECK_HOME`, or `.quarterdeck` in the user's home."""
    chosen = os.environ.get("QUARTERDECK_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".quarterdeck"


def _typed(name: str, value: Any, origin: str) -> Any:
    kind = SETTINGS[name].kind
    try:
        if kind is bool and isinstance(value, str):
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
        if isinstance(value, bool) != (kind is bool) or (kind is str and not isinstance(value, str)):
            raise ValueError
        converted = kind(value)
        if kind in (int, float) and (converted != converted or converted < 0 or converted in (float("inf"),)):
            raise ValueError
        return converted
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{origin}: {name} must be a {kind.__name__}, not {value!r}.", hint="`quarterdeck config show` lists all settings."
        ) from error


def _flatten(table: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    flat: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for key, value in table.items():
        if key == "sandbox" and isinstance(value, dict):
            flat.update({f"sandbox.{k}": v for k, v in value.items()})
        elif key in ("providers", "prices") and isinstance(value, dict):
            tables[key] = value
        else:
            flat[key] = value
    for key in flat:
        if key not in SETTINGS:
            if key == "review":
                hint = "Move it into the quarterdeck.toml of the repository that is reviewed."
                raise ConfigError(f"{path}: [review] belongs to a repository, not to HOME.", hint=hint)
            near = difflib.get_close_matches(key, [*SETTINGS, *TABLES], 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{path}: there is no setting {key!r}.{meant}", hint="`quarterdeck config show` lists all settings.")
    return flat, tables


def load_config(home: Path, flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Config:
    """Read the configuration in force. ConfigError names the file or variable and the key."""
    env = os.environ if env is None else env
    path = home / FILE
    flat: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    if path.exists():
        try:
            parsed = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}.", hint="Mend the file, or move it away.") from error
        flat, tables = _flatten(parsed, path)
    values: dict[str, Value] = {}
    for name, setting in SETTINGS.items():
        given = (flags or {}).get(name)
        if given is not None:
            values[name] = Value(name, _typed(name, given, "flag"), "flag")
        elif env.get(setting.env):
            values[name] = Value(name, _typed(name, env[setting.env], f"${setting.env}"), f"environment ({setting.env})")
        elif name in flat:
            values[name] = Value(name, _typed(name, flat[name], str(path)), f"file ({path})")
        else:
            values[name] = Value(name, setting.default, "default")
    return Config(home, values, tables)
