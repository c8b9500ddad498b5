"""The one decision point: every action of every run is decided here, by Cedar, deny by default.

`load_bundle` reads and checks a policy file, `CedarGate` decides with it, `explain` puts a decision into words.
A *remediable forbid* carries `@obligation(...)`: the gate then answers "ask", "budget" or "transform", but only if
meeting the obligation would really lead to a yes. Facts about commands (`shell.facts`) are predictions that advise
policy; the sandbox is what enforces. Nothing here does I/O except reading the bundle, and `cedarpy` is imported late.
"""

from __future__ import annotations

from .bundle import Bundle, Policy, load_bundle, packaged_bundles
from .explain import explain
from .gate import CedarGate

__all__ = ["Bundle", "CedarGate", "Policy", "explain", "load_bundle", "packaged_bundles"]
