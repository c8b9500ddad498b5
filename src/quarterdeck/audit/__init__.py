"""Audit: proofs over the leaves that the store commits with every record. In this part: verification of a run's hash chain."""

from __future__ import annotations

from .verify import Problem, verify_run

__all__ = ["Problem", "verify_run"]
