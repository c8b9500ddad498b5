"""No finding shows a secret: a lint rule may well quote the very line on which one leaks (law 6)."""

from __future__ import annotations

import msgspec

from ..model import Finding
from .inside.secrets import assigned, redacted, shaped


def without_secrets(finding: Finding) -> Finding:
    """Return the finding with every secret in its words shortened to its first 4 characters. The fingerprint stays."""
    message, evidence, help_text = (hide(text, finding.path) for text in (finding.message, finding.evidence, finding.help))
    if (message, evidence, help_text) == (finding.message, finding.evidence, finding.help):
        return finding
    return msgspec.structs.replace(finding, message=message, evidence=evidence, help=help_text)


def hide(text: str, path: str = "") -> str:
    """Replace what looks like a secret in `text`, read as lines of the file `path`."""
    values = {value for line in text.split("\n") for _, _, value in (*shaped(line), *assigned(path, line))}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, redacted(value))
    return text
