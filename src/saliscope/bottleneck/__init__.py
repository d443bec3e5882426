"""What a bottleneck keeps: an encoder-decoder, cut in two and audited.

Probes need scikit-learn (``pip install 'saliscope[bio]'``). Names are imported on first use.

>>> from saliscope import bottleneck
>>> "audit" in dir(bottleneck)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _WHERE)
