"""Health: what should make a reader doubt this map.

Every sentence that can appear stands in `CATALOG` (`saliscope.core.findings`), so that wording,
severity and remedy live in one place. A finding is made with `finding(code, **facts)`; the facts
fill the sentence and are kept as data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from saliscope.core.findings import CATALOG, Severity

__all__ = ["CATALOG", "Finding", "Health", "Severity", "finding"]

_ORDER: dict[str, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One reason for doubt.

    Parameters
    ----------
    code : str
        A key of `CATALOG`.
    severity : {"error", "warning", "note"}
        An error means that the map should not be used as it is.
    sentence, remedy : str
        What was found, and what the reader can do about it.
    facts : mapping
        The numbers in the sentence, as data.
    """

    code: str
    severity: Severity
    sentence: str
    remedy: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON data."""
        return {
            "code": self.code,
            "severity": self.severity,
            "sentence": self.sentence,
            "remedy": self.remedy,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Rebuild a finding from `to_dict`."""
        return cls(**data)


def finding(code: str, **facts: Any) -> Finding:
    """Make the finding `code`, its sentence filled with `facts`.

    Examples
    --------
    >>> finding("training_mode").severity
    'warning'
    """
    severity, sentence, remedy = CATALOG[code]
    return Finding(code, severity, sentence.format(**facts), remedy, facts)


class Health:
    """Findings, the worst first, each code once.

    Examples
    --------
    >>> health = Health([finding("token_dropout"), finding("training_mode")])
    >>> [f.code for f in health]
    ['training_mode', 'token_dropout']
    >>> health.ok
    True
    """

    __slots__ = ("findings",)

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        unique: dict[str, Finding] = {}
        for item in findings:
            unique.setdefault(item.code, item)
        ranked = sorted(unique.values(), key=lambda f: _ORDER[f.severity])
        self.findings: tuple[Finding, ...] = tuple(ranked)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Health) and self.findings == other.findings

    def __hash__(self) -> int:
        return hash(tuple(f.code for f in self.findings))

    def __contains__(self, code: object) -> bool:
        return any(f.code == code for f in self.findings)

    def __repr__(self) -> str:
        if not self.findings:
            return "Health(nothing found)"
        return "Health(" + ", ".join(f"{f.severity}: {f.code}" for f in self.findings) + ")"

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings of severity "error"."""
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def ok(self) -> bool:
        """Whether there is no error (warnings and notes may be there)."""
        return not self.errors

    def worst(self, count: int = 3) -> tuple[Finding, ...]:
        """Return at most `count` findings, the worst first: what is shown to a reader."""
        return self.findings[:count]
