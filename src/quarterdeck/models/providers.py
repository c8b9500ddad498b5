"""Who can be asked: presets that need no file, and the operator's `[providers.NAME]` tables."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from typing import Literal, cast
from urllib.parse import urlsplit

import msgspec

from ..protocol.errors import ConfigError

Wire = Literal["chat", "responses"]


class ProviderConfig(msgspec.Struct, frozen=True):
    """One provider. `api_key_env` names the variable that holds the key (empty: none is sent); the key itself is never kept here."""

    name: str
    protocol: Wire
    base_url: str
    api_key_env: str = ""
    local: bool = False
    """Runs on the operator's own machines: a call costs an explicit 0."""
    headers: dict[str, str] = {}
    """Sent with every request. Their values may be secret: they are left out of `repr` and of messages."""
    context_window: int = 0
    """Tokens; 0 takes the profile's."""

    def __repr__(self) -> str:
        fields = f"name={self.name!r}, protocol={self.protocol!r}, base_url={self.base_url!r}, api_key_env={self.api_key_env!r}"
        return f"ProviderConfig({fields}, local={self.local}, headers={sorted(self.headers)}, context_window={self.context_window})"


PRESETS: Mapping[str, ProviderConfig] = {
    preset.name: preset
    for preset in (
        ProviderConfig("openai", "responses", "https://api.openai.com/v1", "OPENAI_API_KEY"),
        ProviderConfig("openrouter", "chat", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        ProviderConfig("ollama", "chat", "http://localhost:11434/v1", local=True),
        ProviderConfig("vllm", "chat", "http://localhost:8000/v1", local=True),
        ProviderConfig("llamacpp", "chat", "http://localhost:8080/v1", local=True),
    )
}

_KEYS = ("protocol", "base_url", "api_key_env", "local", "headers", "context_window")


def split_model(model: str, providers: Mapping[str, ProviderConfig]) -> tuple[ProviderConfig, str]:
    """Return the provider of `provider/NAME` and NAME, which may hold slashes. Raises ConfigError."""
    provider, slash, name = model.partition("/")
    if not slash or not provider or not name:
        raise ConfigError(
            f"{model!r} is not a model: a model is named provider/NAME.",
            hint=f"Write for example openai/{model or 'NAME'} or ollama/{model or 'NAME'}.",
        )
    if provider not in providers:
        raise ConfigError(
            f"There is no provider {provider!r} for the model {model!r}.{did_you_mean(provider, providers)}",
            hint=f"Known: {', '.join(sorted(providers))}. Another one is a table [providers.{provider}] in quarterdeck.toml "
            'with protocol = "chat" or "responses", and base_url.',
        )
    return providers[provider], name


def providers_from(table: Mapping[str, object], source: str = "quarterdeck.toml") -> dict[str, ProviderConfig]:
    """Return the presets, overridden and extended by the `[providers]` table of the file `source`. Raises ConfigError naming the key.

    A table overrides a preset field by field. Only `local` does not follow to a public address: there the file must say `local = true`
    itself, so that no hosted model is free by accident.
    """
    providers = dict(PRESETS)
    for name, given in table.items():
        key = f"{source}: providers.{name}"
        if not isinstance(given, Mapping):
            raise ConfigError(f"{key} is not a table.", hint=f'Write [providers.{name}] and below it base_url = "https://…/v1".')
        if not name or "/" in name or any(char.isspace() for char in name):
            raise ConfigError(
                f"{key}: a provider's name holds no slash and no space.", hint="It is what stands before the slash in provider/NAME."
            )
        providers[name] = _provider(name, given, key, PRESETS.get(name))
    return providers


def did_you_mean(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """Return ` Did you mean 'x'?` for the nearest of `known`, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _provider(name: str, given: Mapping[str, object], key: str, preset: ProviderConfig | None) -> ProviderConfig:
    for unknown in (field for field in given if field not in _KEYS):
        raise ConfigError(f"{key}.{unknown} is unknown.{did_you_mean(unknown, _KEYS)}", hint=f"Known keys: {', '.join(_KEYS)}.")
    base_url = _text(given, "base_url", key, preset.base_url if preset else "")
    protocol = _text(given, "protocol", key, preset.protocol if preset else "")
    if protocol not in ("chat", "responses"):
        raise ConfigError(
            f'{key}.protocol is {protocol!r}; it must be "chat" or "responses".', hint="Most servers other than OpenAI's speak chat."
        )
    base_url = _checked_url(base_url, f"{key}.base_url")
    local = given.get("local", preset is not None and preset.local and _is_private(urlsplit(base_url).hostname or ""))
    if not isinstance(local, bool):
        raise ConfigError(
            f"{key}.local is {local!r}; it must be true or false.", hint="true means: your own machine, each call costs an explicit 0."
        )
    window = given.get("context_window", 0)
    if not isinstance(window, int) or isinstance(window, bool) or window < 0:
        raise ConfigError(f"{key}.context_window is {window!r}; it must be a number of tokens.", hint="For example 32768.")
    return ProviderConfig(
        name=name,
        protocol=cast(Wire, protocol),
        base_url=base_url,
        api_key_env=_text(given, "api_key_env", key, preset.api_key_env if preset else ""),
        local=local,
        headers=_headers(given.get("headers", {}), f"{key}.headers"),
        context_window=window,
    )


def _text(given: Mapping[str, object], field: str, key: str, default: str) -> str:
    value = given.get(field, default)
    if not isinstance(value, str):
        raise ConfigError(f"{key}.{field} is {value!r}; it must be text in quotes.", hint=f'Write {field} = "…".')
    return value


def _checked_url(url: str, key: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{key} is {url!r}; it must be an http or https address.", hint='For example base_url = "http://localhost:8000/v1".'
        )
    if "@" in parts.netloc:
        raise ConfigError(
            f"{key} holds a user name or password.", hint="Put the key into an environment variable and name it in api_key_env."
        )
    if parts.query or parts.fragment:
        raise ConfigError(f"{key} holds a ? or a #.", hint="Give only the part before /chat/completions or /responses.")
    return url.rstrip("/")


def _is_private(host: str) -> bool:
    """Whether `host` is this machine or one of the operator's network, as far as its name tells."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".internal", ".localhost"))


def _headers(value: object, key: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key} must be a table of texts.", hint='For example headers = { X-Team = "core" }.')
    for name, text in value.items():
        if not isinstance(text, str) or not text.isprintable() or not text.isascii():
            raise ConfigError(f"{key}.{name} must be printable ASCII text.", hint='For example headers = { X-Team = "core" }.')
    return {str(name): str(text) for name, text in value.items()}
