"""Memory: what a model is shown (`build_context`, pure) and what is remembered between runs."""

from __future__ import annotations

from .context import Context, build_context
from .executor import MemoryReader, MemoryWriter

__all__ = ["Context", "MemoryReader", "MemoryWriter", "build_context"]
