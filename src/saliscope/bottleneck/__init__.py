"""What a bottleneck keeps: an encoder-decoder, cut in two and audited.

Probes need scikit-learn (``pip install 'saliscope[zoo]'``). Names are imported on first use.

>>> from saliscope import bottleneck
>>> "audit" in dir(bottleneck)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saliscope.bottleneck.auditing import audit
    from saliscope.bottleneck.cut import Cut, cut_of
    from saliscope.bottleneck.feeding import Feed
    from saliscope.bottleneck.figures import figures_of
    from saliscope.bottleneck.record import Audit, read_audit
    from saliscope.bottleneck.representing import Scan
    from saliscope.bottleneck.tasks import (
        Labelled,
        Task,
        families_of,
        read_flip,
        read_labels,
        sample,
    )
    from saliscope.bottleneck.words import document

_WHERE = {
    "audit": "auditing",
    **dict.fromkeys(("Audit", "read_audit"), "record"),
    **dict.fromkeys(("Cut", "cut_of"), "cut"),
    "Feed": "feeding",
    "Scan": "representing",
    "figures_of": "figures",
    **dict.fromkeys(
        ("Labelled", "Task", "families_of", "read_flip", "read_labels", "sample"), "tasks"
    ),
    "document": "words",
}

__all__ = [
    "Audit", "Cut", "Feed", "Labelled", "Scan", "Task", "audit", "cut_of", "document",
    "families_of", "figures_of", "read_audit", "read_flip", "read_labels", "sample",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _WHERE:
        msg = f"module 'saliscope.bottleneck' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"saliscope.bottleneck.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
