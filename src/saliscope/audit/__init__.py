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
    from saliscope.audit.pictures.cues import cues
    from saliscope.audit.record import LIMITS, Audit
    from saliscope.audit.tables.groups import groups
    from saliscope.audit.tables.proxies import proxies
    from saliscope.audit.tables.reasons import reason_codes
    from saliscope.audit.text.terms import identity_terms, swapped

_WHERE = {
    "audit_html": "page",
    "cues": "pictures.cues",
    "groups": "tables.groups",
    "proxies": "tables.proxies",
    "reason_codes": "tables.reasons",
    **dict.fromkeys(("LIMITS", "Audit"), "record"),
    **dict.fromkeys(("identity_terms", "swapped"), "text.terms"),
}

__all__ = [
    "LIMITS", "Audit", "audit_html", "cues", "groups", "identity_terms", "proxies", "reason_codes",
    "swapped",
]  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _WHERE)
