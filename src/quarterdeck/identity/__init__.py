"""Identity: who acts. In this part only the person at the command line; keys, projects and roles come with the server."""

from __future__ import annotations

from .principal import local_principal

__all__ = ["local_principal"]
