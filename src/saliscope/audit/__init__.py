"""Audits of a model: what its output responds to, and should not. Names are imported on first use.

>>> from saliscope import audit
>>> "Audit" in dir(audit)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

if TYPE_CHECKING:
    from saliscope.audit.page import audit_html
    from saliscope.audit.record import LIMITS, Audit

_WHERE = {
    "audit_html": "page",
    **dict.fromkeys(("LIMITS", "Audit"), "record"),
}

__all__ = ["LIMITS", "Audit", "audit_html"]

__getattr__, __dir__ = lazily(__name__, _WHERE)
