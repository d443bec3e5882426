"""Standard errors, values that are not sure of their sign, and interactions of pairs: drawn."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.text import Text

from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError
from saliscope.show import html, notebook, plot
from saliscope.show.interactions import pairs_of, strongest_pairs
from saliscope.show.reading import tracks as tracks_of
from saliscope.show.sections import rows
from saliscope.show.segments import segments
from saliscope.show.tensors import MOST_BARS

from .show_records import pairs, protein, tensor, words, written


def said(figure):
    return [t.get_text() for t in figure.findobj(Text)]


def rings(axes):
    """Return the cells that carry a ring, (row, column)."""
    found = [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]
    return {(round(y - 0.3), round(x - 0.33)) for cells in found for x, y in cells}


def with_errors(record, errors):
    dims = record.values.dims
    data = record.data.assign(stderr=(dims, np.broadcast_to(errors, record.values.shape).copy()))
    return Attribution(data, record.meta)


# -- plain tensors ------------------------------------------------------------------------------


def test_bars_of_a_tensor_carry_their_standard_errors():
    record = with_errors(tensor((2, 4)), [0.5, 0.25, 0.0, 1.0])
    figure = plot(record)
    for row, axes in enumerate(figure.axes):
        (bars,) = [c for c in axes.containers if isinstance(c, BarContainer)]
        (spread,) = bars.errorbar.lines[2]
        heights = [np.diff(segment[:, 1])[0] for segment in spread.get_segments()]
        np.testing.assert_allclose(heights, [1.0, 0.5, 0.0, 2.0], atol=1e-12)
        middle = [segment[:, 1].mean() for segment in spread.get_segments()]
        np.testing.assert_allclose(middle, record.to_numpy()[row])
        low, high = axes.get_ylim()
        assert low < (record.to_numpy() - 1.0).min() or low < record.to_numpy().min()
        assert high > record.to_numpy()[row].max()
    assert any("one standard error" in line for line in said(figure))
    assert [a.get_title(loc="left") for a in figure.axes] == [
        "example 0", "example 1",
    ]  # fmt: skip


def test_a_long_tensor_has_a_band():
    size = MOST_BARS + 1
    record = with_errors(tensor((1, size)), 0.5)
    plain, drawn = (len(plot(r).axes[0].collections) for r in (tensor((1, size)), record))
    assert drawn == plain + 1
    band = plot(record).axes[0].collections[-1].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(record.to_numpy().max() + 0.5)
    assert band.min() == pytest.approx(record.to_numpy().min() - 0.5)


def test_cells_of_a_matrix_that_are_not_sure_carry_a_ring():
    values = np.array([[[1.0, 0.1, -0.1], [0.3, 0.0, -2.0]]])
    record = tensor((1, 2, 3))
    record.data["values"].values[:] = values
    figure = plot(with_errors(record, 0.1))
    assert rings(figure.axes[0]) == {(0, 1), (0, 2), (1, 1)}
    assert any("ring: within two standard errors" in line for line in said(figure))
    exact = plot(with_errors(record, 0.0))
    assert rings(exact.axes[0]) == set()
    assert not any("standard error" in line for line in said(exact))


def test_places_of_a_tensor_are_counted_as_in_its_table():
    record = tensor((1, 3))
    assert [t.get_text() for t in plot(record).axes[0].get_xticklabels()] == ["0", "1", "2"]
    assert record.to_frame()["dim_1"].tolist() == [0, 1, 2]
    big = tensor((1, 200, 200))
    labels = [t.get_text() for t in plot(big).axes[0].get_yticklabels()]
    assert labels[:3] == ["0", "20", "40"]


# -- words and residues -------------------------------------------------------------------------


def test_words_that_are_not_sure_are_dotted_and_told():
    record = with_errors(words("good but dull", values=[1.0, 0.1, -0.5]), [0.1, 0.1, 0.1])
    (track,) = tracks_of(record)
    parts = [s for s in segments(track) if s.value is not None]
    assert [s.unsure for s in parts] == [False, True, False]
    assert parts[1].note.startswith("word 2: +0.1 ± 0.1")
    assert any("dotted: within two standard errors" in line for line in said(plot(record)))
    assert len(plot(record).axes[0].lines) == 1
    for page in (html([record]), notebook(record)):
        assert re.findall(r'sali-unsure"[^>]*>(\w+)<', page) == ["but", "dotted"]
    assert "1 of 3 values lie within two standard errors of zero" in html([record])
    sure = html([words("good but dull", values=[1.0, 0.1, -0.5])])
    assert "dotted" not in sure.partition("</style>")[2]


def test_rows_of_the_table_have_their_error_on_one_scale_with_the_bars():
    record = with_errors(words("good but dull", values=[3.0, 0.1, -1.0]), [1.0, 0.2, 0.0])
    found = rows(tracks_of(record)[0])
    assert [row.share for row in found] == [0.75, 0.25, 0.025]
    assert [row.ends for row in found] == [(0.5, 1.0), None, (0.0, 0.075)]
    assert [row.value for row in found] == ["+3 ± 1", "−1 ± 0", "+0.1 ± 0.2"]
    assert html([record]).count('class="spread"') == 2


def test_what_was_not_drawn_has_no_error():
    record = with_errors(protein("MVHLT"), 0.0)
    assert tracks_of(record)[0].stderr is None
    assert "±" not in html([record]).partition("</style>")[2]


def test_an_alignment_has_rings_too():
    record = written(2, 4)
    errors = np.where(np.arange(4) == 1, 5.0, 0.01)
    figure = plot(with_errors(record, errors))
    assert rings(figure.axes[0]) >= {(0, 1), (1, 1)}
    assert any("ring: within" in line for line in said(figure))


# -- pairs --------------------------------------------------------------------------------------


def test_the_strongest_pairs():
    (found,) = pairs_of(pairs(4))
    best = strongest_pairs(found, 3)
    assert [(p.first, p.second, p.value, p.stderr) for p in best] == [
        ("word2 3", "word3 4", -2.5, 0.2), ("word1 2", "word3 4", -2.0, 0.2),
        ("word0 1", "word3 4", 0.75, 0.2),
    ]  # fmt: skip
    frame = pairs(4).top_pairs(3)
    assert frame["value"].tolist() == [p.value for p in best]


def test_a_matrix_of_pairs_is_symmetric_named_and_numbered():
    figure = plot(pairs(4), kind="pairs")
    panel = figure.axes[0]
    image = np.ma.filled(panel.images[0].get_array(), np.nan)
    np.testing.assert_allclose(image, image.T)
    assert np.isnan(np.diag(image)).all()
    assert image[2, 3] == -2.5
    assert [t.get_text() for t in panel.texts].count("−2.5") == 2
    assert "word3 4" in said(figure)
    assert rings(panel) == {(0, 1), (1, 0)}  # 0.25, of an error of 0.2
    assert not plot(pairs(20), kind="pairs").axes[0].texts  # no numbers in so many cells
    exact = plot(pairs(4, drawn=False), kind="pairs")
    assert rings(exact.axes[0]) == set()


def test_every_target_has_its_matrix():
    record = pairs(4, targets=("good", "bad"))
    assert len(plot(record, kind="pairs").findobj(lambda a: bool(getattr(a, "images", [])))) >= 2
    assert sum("target: bad" in line for line in said(plot(record, kind="pairs"))) == 1
    alone = said(plot(record, kind="pairs", target="bad"))
    assert not any("target: good" in line for line in alone)
    page = html([record])
    assert "10 strongest pairs" not in page
    assert page.count("The 6 strongest pairs for") == 2


def test_the_page_shows_pairs():
    page = html([pairs(5)])
    body = page.partition("</style>")[2]
    assert "Interactions: what pairs of units do together" in body
    assert "word3 4 × word4 5" in body
    assert "−3.5 ± 0.2" in body
    assert "Shapley interaction index" in body
    assert "Interactions of pairs in pairs" in notebook(pairs(5))
    assert "interaction" not in html([words()]).partition("</style>")[2].lower()
    none = pairs(3)
    none.data["interaction"].values[:] = 0.0
    assert "strongest pairs" not in html([none])


def test_names_of_pairs_are_escaped():
    record = pairs(3)
    evil = ["<b>x</b>", "a & b", "c"]
    record = Attribution(record.data.assign_coords(first=evil, second=evil), record.meta)
    assert "<b>x</b>" not in html([record])


def test_records_without_pairs_say_how_to_get_them():
    with pytest.raises(OptionError, match="ask shapley with interactions=True"):
        plot(words(), kind="pairs")
    with pytest.raises(OptionError, match="no target 'x'"):
        plot(pairs(targets=("a", "b")), kind="pairs", target="x")


def test_pairs_of_examples_are_told_apart():
    second = np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, -2.0], [-2.0, 0.0]]])
    data = xr.Dataset(
        {"values": (("example", "dim_1"), np.ones((2, 2))),
         "interaction": (("example", "first", "second"), second)},
        {"first": ["0", "1"], "second": ["0", "1"], "example": [0, 1]},
    )  # fmt: skip
    record = Attribution(data, {"method": "shapley", "target": ["t"], "provenance": {}})
    assert [p.target for p in pairs_of(record)] == ["t, example 0", "t, example 1"]
    assert [strongest_pairs(p, 1)[0].value for p in pairs_of(record)] == [1.0, -2.0]
