"""Tables as a whole: what columns are worth to a model, and how its output runs along one.

Single rows are explained by `saliscope.explain`, as any other input.
"""

from __future__ import annotations

from saliscope.tables.dependence import Dependence, dependence
from saliscope.tables.importance import importance

__all__ = ["Dependence", "dependence", "importance"]
