"""Text cut at its units."""

from __future__ import annotations

import numpy as np
import pytest

from saliscope.show.reading import Track, tracks
from saliscope.show.sections import colored
from saliscope.show.segments import right_to_left, segments

from .show_records import REVIEW, words


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        (REVIEW, None),
        ("unbelievably good", [(0, 2), (2, 8), (8, 12), (13, 17)]),
        ("two\nlines \t here ", None),
        ("שלום עולם", None),
        ("a 😀 b", [(0, 1), (2, 3), (4, 5)]),
        ("unordered here", [(10, 14), (0, 9)]),
    ],
)
def test_segments_join_to_the_text(text, spans):
    [track] = tracks(words(text, spans))
    assert "".join(s.text for s in segments(track)) == text
    assert "".join(p[0] for p in colored(track).parts) == text
    assert sum(len(s.units) for s in segments(track)) == len(track.values)


def test_pieces_of_one_letter_are_summed():
    [track] = tracks(words("a 😀", [(0, 1), (2, 3), (2, 3), (2, 3)], values=[1, 2, 3, -1]))
    assert [(s.text, s.value) for s in segments(track) if s.units] == [("a", 1.0), ("😀", 4.0)]


def test_without_offsets_labels_are_joined():
    track = Track(np.array([1.0, 2.0]), (1, 2), ("good", "film"), "word")
    assert "".join(s.text for s in segments(track)) == "good film"


def test_every_strong_unit_carries_a_sign():
    parts = colored(tracks(words("a b c", values=[1.0, -0.5, 0.001]))[0]).parts
    assert [p[3] for p in parts if p[1]] == ["+", "−", ""]


def test_direction():
    assert right_to_left("123 שלום")
    assert not right_to_left("film שלום")
    assert not right_to_left("123")
