"""The reviewers that need no model. Each analyzer plans commands for the sandbox and reads what they printed; it runs nothing itself.

Third-party tools (ruff, bandit, griffe) and our own scripts (`inside/`) are the same to the workflow. What is absent or unreadable
becomes `NotChecked`. `collect` merges all findings; `model_findings` filters what a model adds.
"""

from __future__ import annotations

from .api import Api
from .bandit import Bandit
from .base import Analyzer
from .complexity import Complexity
from .deployment import Deployment
from .merge import collect
from .model_findings import FINDINGS_FORMAT, FINDINGS_SCHEMA, instructions, validate
from .risky import Risky
from .ruff import Ruff
from .secrets import Secrets
from .unsafe import Unsafe

ANALYZERS: tuple[Analyzer, ...] = (Ruff(), Bandit(), Secrets(), Api(), Complexity(), Risky(), Unsafe(), Deployment())
"""All analyzers, in the order in which they run."""

__all__ = ["ANALYZERS", "FINDINGS_FORMAT", "FINDINGS_SCHEMA", "Analyzer", "collect", "instructions", "validate"]
