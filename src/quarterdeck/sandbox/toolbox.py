"""The runtime's own interpreter, packages and scripts, shown read-only inside under /opt/quarterdeck."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from pathlib import Path

from quarterdeck.protocol.environment import Bind, Toolbox

KNOWN = {"ruff": "ruff", "bandit": "bandit", "griffe": "griffe", "radon": "radon", "yaml": "yaml", "coverage": "coverage"}
"""Analyzer to the package whose folder shows that it is installed."""
VISIBLE = ("/usr", "/bin", "/lib", "/lib64", "/nix/store", "/gnu/store")
"""Folders that every environment shows anyway; see view.SYSTEM."""


def interpreter() -> tuple[str, tuple[Bind, ...]]:
    """Return the base interpreter's path and the binds that make it work inside at the same path."""
    python = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    roots = {os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)}
    if not any(python.startswith(root + "/") for root in roots):
        roots.add(python)
    hidden = sorted(root for root in roots if not any((root + "/").startswith(shown + "/") for shown in VISIBLE))
    return python, tuple(Bind(root, root) for root in hidden)


@functools.cache
def toolbox() -> Toolbox:
    """Describe the runtime's tools as seen from inside. Nothing heavy is imported; presence is checked on disk."""
    python, binds = interpreter()
    site = Path(sysconfig.get_path("purelib"))
    scripts = Path(sysconfig.get_path("scripts"))
    modules = tuple(name for name, package in KNOWN.items() if (site / package).is_dir() or (site / f"{package}.py").is_file())
    shown = [Bind(str(site), Toolbox(python).site)] if site.is_dir() else []
    # A virtual environment's scripts are its own; a system's /usr/bin is visible anyway, and too much to show twice.
    shown += [Bind(str(scripts), Toolbox(python).bin)] if scripts.is_dir() else []
    return Toolbox(python=python, modules=modules, binds=(*binds, *shown))
