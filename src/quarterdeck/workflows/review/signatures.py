"""What of a signature callers depend on: names, order, defaults and stars of its parameters, and a class's bases.

Annotations are left out: who adds types to a function changes nothing for those who call it. The text is taken apart by
its brackets and quotes, without parsing it as code.
"""

from __future__ import annotations

from functools import lru_cache

_OPEN, _CLOSE = "([{", ")]}"


def same_call(old: str, new: str) -> bool:
    """True when both signatures (as in `Symbol`) can be called alike."""
    return call_shape(old) == call_shape(new)


@lru_cache(4096)
def call_shape(signature: str) -> tuple[str, ...]:
    """Return the name, each parameter without its annotation, and what stands behind a class's arguments."""
    start = signature.find("(")
    bases = signature.find(": ")
    if start < 0 or 0 <= bases < start:
        return (signature,)
    parts = _split(signature[start + 1 :], ",", stop=True)
    rest = signature[start + 1 + sum(len(p) + 1 for p in parts) :]
    return (signature[:start], *(_plain(p) for p in parts if p.strip()), rest if rest.startswith(":") else "")


def _plain(parameter: str) -> str:
    """`a: int=1` becomes `a=1`; a colon of the default (a lambda's) stays."""
    before, *after = _split(parameter, "=", stop=False)
    name = _split(before, ":", stop=False)[0].strip()
    return "=".join([name, *(a.strip() for a in after)])


def _split(text: str, sign: str, *, stop: bool) -> list[str]:
    """Split at a sign outside of brackets and quotes; with `stop`, end at the bracket that closes the outermost one."""
    parts, depth, quote, start, position = list[str](), 0, "", 0, 0
    while position < len(text):
        char = text[position]
        if quote:
            position += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            if depth == 0 and stop:
                return [*parts, text[start:position]]
            depth -= 1
        elif char == sign and depth == 0:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]
