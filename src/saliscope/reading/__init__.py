"""Reading against the truth: what a recognizer got wrong in lines of text, and why.

Built on the public calls alone: `Recognizer.read` for the text, `saliscope.explain` for the maps.

>>> from saliscope.reading import align
>>> [(pair.read, pair.truth) for pair in align("barn", "bam")]
[('b', 'b'), ('a', 'a'), ('r', 'm'), ('n', '')]
"""

from __future__ import annotations

from saliscope.reading.alignment import Pair, align, characters_of
from saliscope.reading.background import background_reliance
from saliscope.reading.comparing import Comparison, Mistake, compare
from saliscope.reading.explaining import explain_characters, explain_mistakes
from saliscope.reading.gallery import confusions, gallery
from saliscope.reading.measures import column_table, measure_maps
from saliscope.reading.truth import read_truth

__all__ = [
    "Comparison",
    "Mistake",
    "Pair",
    "align",
    "background_reliance",
    "characters_of",
    "column_table",
    "compare",
    "confusions",
    "explain_characters",
    "explain_mistakes",
    "gallery",
    "measure_maps",
    "read_truth",
]
