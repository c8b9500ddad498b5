"""The review workflow: a pull request goes in, an evidence-backed report comes out.

`prepare` resolves what to review, `review` is the workflow, `verify_report` checks a report against its run's log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checking import verify_report
    from .host import prepare, scope_of
    from .workflow import review

__all__ = ["prepare", "review", "scope_of", "verify_report"]

_HOMES = {"prepare": "host", "review": "workflow", "scope_of": "host", "verify_report": "checking"}


def __getattr__(name: str) -> Any:
    """Import late: the pure parts are used without the workflow."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
