"""What follows from an audit's tables: how much goes through, and what can be read off."""

from __future__ import annotations

from saliscope.bottleneck.record import Audit

__all__ = ["passed", "standing"]


def passed(audit: Audit) -> str:
    """Return how much goes through: "everything", "part" or "nothing" beyond wrong bottlenecks."""
    own = audit.accuracy()
    assert own is not None
    table = audit["rebuilt"]
    wrong = table[(table["group"] == "all") & (table["from"] != "bottleneck")]
    if float(own["low"]) <= float(wrong["high"].max()):
        return "nothing"
    return "everything" if float(own["accuracy"]) > 0.9 else "part"


def standing(audit: Audit, task: str) -> tuple[bool, bool]:
    """Return whether a task can be read off the bottleneck, and surely better than elsewhere."""
    table = audit["probes"]
    own = table[table["task"] == task]
    best = audit.best(task, "bottleneck")
    if best is None:
        return (False, False)
    chance = 0.5 if best["measure"] == "AUROC" else 0.0
    there = float(best["selectivity low"]) > 0 and float(best["value low"]) > chance
    others = own[~own["features"].str.contains("bottleneck")]
    more = there and (others.empty or float(best["value low"]) > float(others["value high"].max()))
    return there, more
