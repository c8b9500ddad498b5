"""The report of a review: a pure function of the run's artifacts, written as a whole, and provable afterwards.

`build` draws all output files from artifacts, and refuses to claim what no artifact shows; `write` puts them on disk;
`verify` reads such a directory, compares it with the run's log, derives everything again and names each difference.
The JSON form is published in `schema.json` beside this file (draft 2020-12, `schema_version` 1).
"""

from .build import build, encode
from .data import (
    OUTPUTS,
    Decisions,
    Derived,
    Deriver,
    Dismissal,
    DocFact,
    Docs,
    ModelFindings,
    RunFacts,
    Step,
    Ticket,
)
from .verify import VerifyResult, verify
from .write import write

__all__ = [
    "OUTPUTS",
    "Decisions",
    "Derived",
    "Deriver",
    "Dismissal",
    "DocFact",
    "Docs",
    "ModelFindings",
    "RunFacts",
    "Step",
    "Ticket",
    "VerifyResult",
    "build",
    "encode",
    "verify",
    "write",
]
