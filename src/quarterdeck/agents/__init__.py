"""Agents: the loop model -> tool -> result, as a pure decider of the log."""

from __future__ import annotations

from .agent import Agent
from .loop import AgentLoop
from .toolset import Toolset

__all__ = ["Agent", "AgentLoop", "Toolset"]
