"""Inside: finds secrets by their shape. What is printed is redacted here, so that no artifact ever holds a secret of the head."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from quarterdeck.workflows.review.analyzers.inside.common import Hit, run

# rule, shape, severity. Every pattern is linear: one run of a class with bounded context, no nested repetition.
SHAPES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (f"secrets/{rule}", re.compile(pattern), "high")
    for rule, pattern in (
        ("private-key", r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED |PGP )?PRIVATE KEY(?: BLOCK)?-----"),
        ("aws-access-key", r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"),
        ("github-token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b"),
        ("gitlab-token", r"\bgl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,64}"),
        ("slack-token", r"\bxox[abeoprs]-[A-Za-z0-9-]{20,255}"),
        ("slack-webhook", r"https://hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}"),
        ("stripe-key", r"\b[rs]k_live_[A-Za-z0-9]{20,255}"),
        ("google-api-key", r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
        ("google-oauth", r"\bGOCSPX-[A-Za-z0-9_-]{28}"),
        ("npm-token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("pypi-token", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
        ("openai-key", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{0,100}T3BlbkFJ[A-Za-z0-9_-]{10,}|\bsk-proj-[A-Za-z0-9_-]{40,}"),
        ("anthropic-key", r"\bsk-ant-[A-Za-z0-9_-]{40,}"),
        ("jwt", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    )
)
URL_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"<>{}$]{1,64}:(?P<value>[^\s:/@'\"<>{}$]{8,128})@[A-Za-z0-9]")
WORDS = r"passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key"
NAME = rf"[A-Za-z0-9_.-]{{0,40}}(?:{WORDS})[A-Za-z0-9_-]{{0,20}}"
ASSIGNED = re.compile(
    rf"(?<![A-Za-z0-9_.-])['\"]?(?P<name>{NAME})['\"]?\]?\s{{0,8}}(?::\s{{0,4}}str\s{{0,4}})?(?:=|:|=>)\s{{0,8}}[rbuRBU]?(?P<quote>['\"])(?P<value>[^'\"\s]{{8,256}})(?P=quote)",
    re.I,
)
UNQUOTED = re.compile(rf"^\s{{0,40}}(?:export\s{{1,4}})?(?P<name>{NAME})\s{{0,4}}[=:]\s{{0,4}}(?P<value>[^\s'\"#]{{12,256}})\s*$", re.I)
UNQUOTED_FILES = re.compile(r"(?:^|/)(?:\.env[^/]*|\.npmrc|\.pypirc|\.netrc)$|\.(?:env|ini|cfg|conf|properties|ya?ml|toml)$", re.I)

PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|change.?me|replace|your[_-]|[_-]here$|redacted|insert|fixme|todo|x{4,}|\*{3,}|\.\.\.|<|>|\$\{|\{\{|%\(|"
    r"^(?:test|fake|mock|none|null|true|false|undefined|secret|password|token|foo|bar|abc|123)",
    re.I,
)
LOOKUP = re.compile(r"environ|getenv|secrets\.|vault|config\[|settings\.|^[A-Za-z_]+(?:[.:/-][A-Za-z_]+)*$|^https?://|^/|^\{|^\$", re.I)
# Names that speak about a secret without holding it.
ABOUT = re.compile(
    r"(?:pattern|regex|re|format|field|name|label|header|url|uri|path|file|type|prefix|suffix|hint|help|message|error|policy|length|limit|"
    r"tokens|count|ttl|param|parameter|class|env|var)$",
    re.I,
)
# Documentation's own keys, published by their vendors.
KNOWN = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
HASHES = re.compile(r"^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|sha\d+[-:].*)$", re.I)
LINE_CHARS = 4096
"""Assignments are looked for in lines up to this length; token shapes in every line."""


def entropy(text: str) -> float:
    """Shannon entropy in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def redacted(value: str) -> str:
    """What may be shown of a secret: its first 4 characters and its length."""
    return f"{value[:4]}… ({len(value)} characters)"


def is_placeholder(value: str) -> bool:
    return value in KNOWN or bool(PLACEHOLDER.search(value)) or len(set(value)) < 5


def looks_random(value: str) -> bool:
    """True for values that nobody types as a name: mixed characters and enough entropy for their length."""
    if all(part.isalpha() or part.isdigit() for part in re.split(r"[-_.:/ ]+", value) if part):
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]"))
    if kinds < 2 or (kinds < 3 and len(value) < 16):
        return False
    return entropy(value) >= (3.0 if len(value) < 20 else 3.4)


def shaped(line: str) -> Iterator[tuple[str, str, str]]:
    """Rule, severity and value of each token of a known shape."""
    for rule, pattern, severity in SHAPES:
        for match in pattern.finditer(line):
            value = match.group()
            if rule.endswith("private-key") or not is_placeholder(value.split("_", 1)[-1] if rule.endswith("npm-token") else value):
                yield rule, severity, value


def assigned(path: str, line: str) -> Iterator[tuple[str, str, str]]:
    """Rule, severity and value of what looks like a password in an assignment, a mapping or a URL."""
    if len(line) > LINE_CHARS:
        return
    matches = list(ASSIGNED.finditer(line))
    if not matches and UNQUOTED_FILES.search(path) and (match := UNQUOTED.match(line)):
        matches = [match]
    for match in matches:
        value = match["value"]
        if not (ABOUT.search(match["name"]) or is_placeholder(value) or LOOKUP.search(value) or HASHES.match(value)) and looks_random(
            value
        ):
            yield "secrets/assigned", "high", value
    for match in URL_PASSWORD.finditer(line):
        worded = re.search(r"secret|passw|pass$|token", match["value"], re.I)
        if not worded and not is_placeholder(match["value"]) and not LOOKUP.search(match["value"]):
            yield "secrets/url-password", "high", match["value"]


def check(path: str, text: str) -> Iterator[Hit]:
    for number, line in enumerate(text.split("\n"), 1):
        seen: list[str] = []
        for rule, severity, value in (*shaped(line), *assigned(path, line)):
            if any(value in other or other in value for other in seen):
                continue
            seen.append(value)
            kind = rule.partition("/")[2].replace("-", " ")
            # `key` carries the secret itself to tell a moved one from a new one; it stays in this process.
            yield Hit(number, rule, severity, f"looks like a secret ({kind}); revoke it, then take it out", redacted(value), key=value)


def main() -> None:
    run(check)
