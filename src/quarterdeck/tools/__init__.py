"""Tools: what an agent or a workflow can have done. Executors for shell, files and environments, and typed functions as tools."""

from __future__ import annotations

from .environment import EnvironmentExecutor
from .files import FileReader, FileWriter
from .function import FunctionTool, FunctionTools, tool
from .shell import ShellExecutor

__all__ = ["EnvironmentExecutor", "FileReader", "FileWriter", "FunctionTool", "FunctionTools", "ShellExecutor", "tool"]
