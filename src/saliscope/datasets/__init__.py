"""Small data sets that come with the package, and readers for copies that the user has.

What comes with the package is open and small; what does not is read from a file, checked to be the
file that it should be, and named and typed in one way. Names are imported on first use.

>>> from saliscope import datasets
>>> datasets.sentences()["positive"].mean().round(2)
np.float64(0.5)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

if TYPE_CHECKING:
    from saliscope.datasets.cards import About, Sample, about, available
    from saliscope.datasets.credit import german_credit
    from saliscope.datasets.marking import clothes
    from saliscope.datasets.people import adult, compas, ricci
    from saliscope.datasets.pictures import Pictures, fashion_mnist
    from saliscope.datasets.shipped import (
        Line,
        labeled_proteins,
        lines,
        proteins,
        reviews,
        sentences,
        tp53,
        tpmt,
    )
    from saliscope.datasets.swaps import hatecheck, identity_phrases, winobias

_WHERE = {
    **dict.fromkeys(("About", "Sample", "about", "available"), "cards"),
    "clothes": "marking",
    "german_credit": "credit",
    **dict.fromkeys(("adult", "compas", "ricci"), "people"),
    **dict.fromkeys(("Pictures", "fashion_mnist"), "pictures"),
    **dict.fromkeys(
        ("Line", "labeled_proteins", "lines", "proteins", "reviews", "sentences", "tp53", "tpmt"),
        "shipped"),
    **dict.fromkeys(("hatecheck", "identity_phrases", "winobias"), "swaps"),
}  # fmt: skip

__all__ = [
    "About", "Line", "Pictures", "Sample", "about", "adult", "available", "clothes", "compas",
    "fashion_mnist", "german_credit", "hatecheck", "identity_phrases", "labeled_proteins", "lines",
    "proteins", "reviews", "ricci", "sentences", "tp53", "tpmt", "winobias",
]  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _WHERE)
