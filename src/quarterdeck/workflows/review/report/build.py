"""The report as a pure function of its artifacts: equal bytes in, equal bytes out, on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping

from quarterdeck.protocol.canonical import canonical
from quarterdeck.protocol.errors import BadInput

from . import data
from .claims import Json
from .data import Deriver, RunFacts
from .document import document
from .inputs import contradictions, decode, read


def encode(value: object) -> bytes:
    """Return the bytes of a JSON artifact (canonical form): what the workflow records and `build` reads."""
    return canonical(value)


def build(artifacts: Mapping[str, bytes], facts: RunFacts, derive: Deriver) -> dict[str, bytes]:
    """Return the output files, by name. `facts` must be what `artifacts["run.json"]` says.

    Raises BadInput when an artifact is unreadable, contradicts what `derive` finds in the raw artifacts, or when a
    sentence would have no artifact behind it. Whatever `derive` raises passes through.
    """
    inputs = read(artifacts)
    if decode(data.RUN, artifacts[data.RUN], RunFacts) != facts:
        raise BadInput("run.json holds other facts than those given", param=data.RUN, hint="record run.json before building")
    for artifact, sentence in contradictions(inputs, derive(artifacts), artifacts):
        raise BadInput(f"{artifact} {sentence}", param=artifact, hint="run the review again; the report would claim what nothing shows")
    return render(document(artifacts, inputs), artifacts)


def render(doc: Json, artifacts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Draw every output file from the report's data; only the patch is copied as it is."""
    from .html import page  # here, because each renderer is needed only when a report is written
    from .junit import junit
    from .markdown import markdown
    from .sarif import sarif

    patch = artifacts.get(data.DOCS_PATCH, b"")
    return {
        "report.json": pretty(doc),
        "report.md": markdown(doc, patch).encode("utf-8", "replace"),
        "report.html": page(doc, patch).encode("utf-8", "replace"),
        "findings.sarif": pretty(sarif(doc)),
        "junit.xml": junit(artifacts),
        "docs.patch": patch,
    }


def pretty(value: Json) -> bytes:
    """JSON for people: sorted keys, one space of indentation, UTF-8, a last newline."""
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
