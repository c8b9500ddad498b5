"""What went wrong with a provider, in clear words: the status, the provider's own sentence, and what to do next. Never a key (law 6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ..protocol.errors import ModelError
from .providers import ProviderConfig

RETRIED_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Refusals that a later try may not meet: timeouts, conflicts, rate limits, and trouble on the provider's side."""
_TRANSIENT_CODES = frozenset({"server_error", "rate_limit_exceeded", "overloaded", "overloaded_error", "timeout", "internal_error"})
_HOPELESS_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_LONGEST = 500


class Redactor:
    """Takes secrets out of text from outside, and what would move a terminal's cursor."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def provider_words(body: bytes) -> tuple[str, str]:
    """Return the message and the code of an error body, in any of the shapes that servers use."""
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return re.sub(r"<[^>]*>", " ", text), ""
    return error_words(data) if isinstance(data, dict) else (text, "")


def error_words(data: dict[str, Any]) -> tuple[str, str]:
    """Return message and code of `{error: {message, code}}`, `{error: text}`, `{message}`, or `{detail}`."""
    error = data.get("error") or data
    if not isinstance(error, dict):
        return str(error), ""
    message = error.get("message") or error.get("detail") or json.dumps(error, ensure_ascii=False)
    return str(message), str(error.get("code") or error.get("type") or "")


def refused(config: ProviderConfig, model: str, status: int, body: bytes, redact: Redactor) -> ModelError:
    """Return the error for an HTTP answer other than 200."""
    message, code = provider_words(body)
    said = f" It says: {redact(message)}" if message.strip() else ""
    retryable = status in RETRIED_STATUSES and code not in _HOPELESS_CODES
    what, hint = _explain(config, model, status, code, message)
    return ModelError(f"{config.name} {what} (HTTP {status}).{said}", hint=hint, status=status, retryable=retryable, billable=False)


def _explain(config: ProviderConfig, model: str, status: int, code: str, message: str) -> tuple[str, str]:
    check = f"Then: quarterdeck models check {config.name}/{model}"
    if status == 401 or (status == 403 and "key" in message.lower()):
        where = f"the key in {config.api_key_env}" if config.api_key_env else f"api_key_env of [providers.{config.name}]; no key was sent"
        return "did not accept the key", f"Check {where}. {check}"
    if status == 403:
        return f"forbids the use of {model!r} with this key", "Ask for access to the model, or use another one."
    if status == 402 or code in _HOPELESS_CODES:
        return "wants to be paid first", "Check the credit and the limits of the account."
    if status == 404:
        pull = f" or run: ollama pull {model}" if config.name == "ollama" else ""
        return f"knows no model {model!r}, or {config.base_url} is not its address", f"Check the model's name and base_url{pull}. {check}"
    if status == 413 or code == "context_length_exceeded" or "context length" in message.lower():
        return f"refused the request: it is too long for {model!r}", "Shorten the input, or use a model with a larger context window."
    if "content_filter" in code or "content_policy" in code:
        return (
            "refused the request: its content filter stopped it",
            "Look at what the request contains; another model may judge it otherwise.",
        )
    if 300 <= status < 400:
        return f"answers with a redirect; {config.base_url} has moved", f"Set base_url of [providers.{config.name}] to the new address."
    if status == 429:
        return "limits the rate of calls", "Wait, or use another model or key."
    if status in RETRIED_STATUSES:
        return "has trouble of its own", "Try again later; the provider's status page may know more."
    return f"refused the request for {model!r}", "The provider's sentence names the reason; the model may lack this feature."


def reported(config: ProviderConfig, data: dict[str, Any], redact: Redactor) -> ModelError:
    """Return the error for an error event inside a stream that began well."""
    message, code = error_words(data)
    filtered = "content_filter" in code or "content_policy" in code
    transient = not filtered and (code in _TRANSIENT_CODES or (code.isdigit() and int(code) in RETRIED_STATUSES))
    what = "its content filter stopped the answer" if filtered else "the provider broke the answer off"
    hint = "Look at what the request contains." if filtered else "Call again; if it stays, the provider's sentence names the reason."
    return ModelError(
        f"{config.name}: {what} ({redact(code) or 'no code'}). It says: {redact(message)}",
        hint=hint,
        status=int(code) if code.isdigit() else 0,
        retryable=transient,
    )


def missing_key(config: ProviderConfig) -> ModelError:
    """Return the error for a key that is not in the environment."""
    return ModelError(
        f"{config.name} needs a key, and the environment variable {config.api_key_env} is not set.",
        hint=f"Run: export {config.api_key_env}=…   (or name another variable in api_key_env of [providers.{config.name}])",
        billable=False,
    )


def unusable_key(config: ProviderConfig) -> ModelError:
    """Return the error for a key that no HTTP header can carry (a pasted line break, a typographic quote)."""
    return ModelError(
        f"The environment variable {config.api_key_env} holds characters that no key has (a line break, or a letter outside ASCII).",
        hint=f"Copy the key again: export {config.api_key_env}=…",
        billable=False,
    )


def unreachable(config: ProviderConfig, why: str, redact: Redactor) -> ModelError:
    """Return the error for a server that could not be connected to."""
    if "certificate" in why.lower():
        trust = "Set SSL_CERT_FILE to a file with your authority's certificate, or correct base_url."
        return ModelError(
            f"{config.name} at {config.base_url} shows a certificate that is not trusted: {redact(why)}.", hint=trust, billable=False
        )
    start = f"Is {config.name} running there?" if config.local else "Check the network, the proxy variables and base_url."
    return ModelError(f"{config.name} cannot be reached at {config.base_url}: {redact(why)}.", hint=start, retryable=True, billable=False)


def cut(config: ProviderConfig, why: str, redact: Redactor) -> ModelError:
    """Return the error for a stream that ended before its end."""
    return ModelError(
        f"{config.name}: the stream was cut before the answer was complete: {redact(why)}.",
        hint="Nothing of it was kept. Call again.",
        retryable=True,
    )


def malformed(config: ProviderConfig, why: str, redact: Redactor) -> ModelError:
    """Return the error for an answer that is not what the protocol says."""
    return ModelError(
        f"{config.name} sent an answer that cannot be read: {redact(why)}.",
        hint=f'Check that protocol = "{config.protocol}" is what {config.base_url} speaks.',
        retryable=True,
    )
