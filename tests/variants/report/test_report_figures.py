"""The pictures: what they draw, and that nothing lies on anything else."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

sys.path.insert(0, str(Path(__file__).parent))

from figure_checks import overlaps
from report_examples import (
    BY_POSITION,
    DOMAINS,
    EVERY,
    HG01183,
    PAIR,
    REFERENCE,
    STRUCTURE,
    UNPHASED,
)

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.report.figures import (
    background_plot,
    lollipops,
    pair_plot,
    rolling_band,
    save_figures,
)

Y240C = HG01183.effects[1]


def drawn_ticks(figure: Figure) -> Figure:
    figure.canvas.draw()
    return figure


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.sample)
def test_no_text_of_any_picture_lies_on_another(one: object) -> None:
    assert hasattr(one, "effects")
    assert hasattr(one, "pairs")
    figures = [lollipops(one, domains=DOMAINS, structure=STRUCTURE)]
    figures += [background_plot(one, e) for e in one.effects if e.backgrounds and e.last_out]
    figures += [pair_plot(one, p) for p in one.pairs]
    for figure in figures:
        drawn_ticks(figure)
        for axes in figure.axes:
            # Ticks outside of the limits are never shown, yet have a text.
            for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())),
                                      (axes.yaxis, sorted(axes.get_ylim()))):  # fmt: skip
                for tick in axis.get_major_ticks():
                    tick.label1.set_visible(
                        bool(tick.label1.get_visible()) and low <= tick.get_loc() <= high
                        and axes.axison and bool(axis.get_tick_params().get("labelbottom", True))
                    )  # fmt: skip
        assert overlaps(figure) == []


def test_many_changes_in_one_place_are_told_apart() -> None:
    effects = tuple(
        replace(Y240C, position=p, short=f"Y{p}C", protein=f"p.Tyr{p}Cys", copy=1)
        for p in (3, 4, 5, 100, 101, 102, 103, 104, 243, 244, 245)
    )
    figure = drawn_ticks(lollipops(replace(HG01183, effects=effects), copies=[1]))
    named = [t for t in figure.findobj(Text) if t.get_text().startswith("Y")]
    assert len(named) == 11
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in named]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)


def test_lollipops_stand_at_residue_and_shift() -> None:
    figure = lollipops(HG01183)
    heads = {
        (line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor() == "none")
        for line in figure.axes[0].lines
        if line.get_marker() == "o"
    }
    assert heads == {(154, -2.31, False), (154, -1.93, True), (240, -1.26, False),
                     (240, -0.88, True)}  # fmt: skip
    second = [line for line in figure.axes[1].lines if line.get_marker() == "|"]
    assert [(m.get_xdata()[0], m.get_ydata()[0]) for m in second] == [(158, 0)]


def test_a_copy_or_domain_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="this person has copies 1 to 2"):
        lollipops(HG01183, copies=[3])
    with pytest.raises(InputError, match="domain 'x': runs from 0 to 9"):
        lollipops(HG01183, domains=[(0, 9, "x")])


def test_the_band_by_hand_and_without_changes() -> None:
    changes = [(10, float(i)) for i in range(21)]
    low, high = rolling_band(changes, 30, window=5)
    assert np.flatnonzero(~np.isnan(low)).tolist() == [7, 8, 9, 10, 11]
    assert (low[9], high[9]) == (1.0, 19.0)
    assert all(np.isnan(rolling_band([], 4)[0]))


@given(st.integers(1, 60))
def test_the_band_lies_within_the_changes(window: int) -> None:
    low, high = rolling_band(BY_POSITION, 245, window)
    shifts = [s for _, s in BY_POSITION]
    known = ~np.isnan(low)
    assert np.all(low[known] <= high[known])
    assert np.all((low[known] >= min(shifts)) & (high[known] <= max(shifts)))


def dots(figure: Figure) -> list[tuple[float, int, float]]:
    """Return (shift, row, area) of every dot."""
    found = []
    for collection in figure.axes[0].collections:
        assert isinstance(collection, PathCollection)
        ((x, y),) = np.asarray(collection.get_offsets())
        found.append((float(x), round(float(y)), float(collection.get_sizes()[0])))
    return found  # fmt: skip


def test_background_dots_have_areas_in_proportion() -> None:
    figure = background_plot(HG01183, Y240C)
    found = dots(figure)
    expected = [
        (b.shift, i, n) for b in Y240C.backgrounds for i, n in enumerate(b.counts.values()) if n
    ]
    assert [(x, row) for x, row, _ in found] == [(x, row) for x, row, _ in expected]
    areas = np.array([a for *_, a in found]) / np.array([n for *_, n in expected])
    assert np.allclose(areas, areas[0])
    assert any(np.allclose(line.get_xdata(), -1.26) for line in figure.axes[0].lines)
    low, high = figure.axes[0].get_xlim()
    assert low < -1.26
    assert high > 0


def test_only_scored_effects_with_backgrounds_are_drawn() -> None:
    with pytest.raises(OptionError, match="nothing to draw"):
        background_plot(HG01183, HG01183.effects[2])
    with pytest.raises(OptionError, match="nothing to draw"):
        background_plot(UNPHASED, UNPHASED.effects[2])


def test_the_histogram_counts_every_matched_pair() -> None:
    left, right = pair_plot(HG01183, PAIR).axes
    bars = [p for p in left.patches if isinstance(p, Rectangle)]
    assert sum(bar.get_height() for bar in bars) == 1000
    assert any(np.allclose(line.get_xdata(), -0.38) for line in left.lines)
    points = {(float(x), float(y)) for line in right.lines if line.get_marker() == "o"
              for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}  # fmt: skip
    assert {y for _, y in points} == {0.0, -1.93, -0.88, -3.19, -2.81}


def test_pictures_are_saved_once_each(tmp_path: Path) -> None:
    saved = save_figures(HG01183, tmp_path, kinds=["svg", "png"])
    names = sorted(path.name for path in saved)
    assert names == sorted(p.name for p in tmp_path.iterdir())
    assert [n for n in names if n.endswith(".svg")] == [
        "backgrounds-copy1-A154T.svg", "backgrounds-copy1-Y240C.svg",
        "backgrounds-copy2-Y240C.svg", "pair-copy1-A154T-Y240C.svg", "protein.svg",
    ]  # fmt: skip
    assert all(path.stat().st_size > 1000 for path in saved)


def test_names_of_files_are_plain_and_folders_must_be_there(tmp_path: Path) -> None:
    odd = replace(Y240C, short="../../x<y>")
    (_, first) = save_figures(replace(HG01183, effects=(odd,), pairs=()), tmp_path, kinds=["svg"])
    assert first.parent == tmp_path
    assert "/" not in first.name.removeprefix(str(tmp_path))
    with pytest.raises(OptionError, match="kind 'gif'"):
        save_figures(REFERENCE, tmp_path, kinds=["gif"])
    with pytest.raises(InputError, match="is no folder"):
        save_figures(REFERENCE, tmp_path / "no")
