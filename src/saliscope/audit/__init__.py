"""Audits of a model: what its output responds to, and should not. Names are imported on first use.

>>> from saliscope import audit
>>> "Audit" in dir(audit)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

if TYPE_CHECKING:
    from saliscope.audit.by_group import groups
    from saliscope.audit.page import audit_html
    from saliscope.audit.proxy import proxies
    from saliscope.audit.reasons import reason_codes
    from saliscope.audit.record import LIMITS, Audit

_WHERE = {
    "audit_html": "page",
    "groups": "by_group",
    "proxies": "proxy",
    "reason_codes": "reasons",
    **dict.fromkeys(("LIMITS", "Audit"), "record"),
}

__all__ = ["LIMITS", "Audit", "audit_html", "groups", "proxies", "reason_codes"]

__getattr__, __dir__ = lazily(__name__, _WHERE)
