"""Tests of maps, which say whether they are true to the model; `saliscope.trust` runs them."""

from __future__ import annotations

from saliscope.trust.comparing import Localization, agreement, localization, rank_similarity
from saliscope.trust.record import Trust, Verdict, verdict_of
from saliscope.trust.summary import summarize

__all__ = [
    "Localization", "Trust", "Verdict", "agreement", "localization", "rank_similarity",
    "summarize", "verdict_of",
]  # fmt: skip
