"""Quarterdeck: a self-hosted, governed runtime for AI agents.

from quarterdeck import Agent, Runtime, tool, workflow
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quarterdeck.agents import Agent
    from quarterdeck.app import Runtime
    from quarterdeck.tools import tool
    from quarterdeck.workflows import Context, workflow

__version__ = "0.1.0"
__all__ = ["Agent", "Context", "Runtime", "__version__", "tool", "workflow"]

_HOMES = {"Agent": "agents", "Context": "workflows", "Runtime": "app", "tool": "tools", "workflow": "workflows"}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: `quarterdeck --help` needs none of them."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"quarterdeck.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'quarterdeck' has no attribute {name!r}")
