"""The principal of this process."""

from __future__ import annotations

import getpass
import os


def local_principal() -> str:
    """`user:NAME`, NAME being the operating system's user (role owner); its number where it has no name."""
    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"user:{os.getuid()}"
