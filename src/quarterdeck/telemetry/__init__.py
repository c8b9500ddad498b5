"""Telemetry: what a run's log says of its time, money and decisions, as a tree of spans and as totals.

Everything here is a pure function of runs and records; nothing is measured twice and nothing is sent anywhere. The names of
attributes are OpenTelemetry's where it has them (`names.py`), so that an exporter of a later part only has to copy them.
"""

from __future__ import annotations

from . import names
from .summary import Totals, summarize
from .trace import Span, tree_of

__all__ = ["Span", "Totals", "names", "summarize", "tree_of"]
