"""What is counted about maps of characters: on ink, spread, place; ink and paper of a line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import saliscope
from helpers import lines
from saliscope.core.errors import InputError, OptionError
from saliscope.reading.background import background_reliance, without_ink
from saliscope.reading.measures import center, columns, ink, measure_maps, spread, within


def bars(width: int = 48, dark: int = 20) -> np.ndarray:
    """Return a line of 16 rows with bars of ink at columns 8 to 11 and 28 to 31."""
    line = np.full((16, width), 230, dtype=np.uint8)
    for left in (8, 28):
        line[3:13, left : left + 4] = dark
    return line


@pytest.mark.parametrize("grain", [0, 5])
@pytest.mark.parametrize("turned", [False, True])
def test_ink_is_what_is_far_from_paper(grain: int, turned: bool) -> None:
    noise = np.random.default_rng(0).normal(0, grain, (16, 48)) if grain else 0
    line = np.clip(bars().astype(float) + noise, 0, 255)
    expected = bars() < 100
    assert (ink(255 - line if turned else line) == expected).all()
    assert (ink(line / 255) == expected).all()


def test_paper_alone_has_no_ink_and_a_stack_is_no_line() -> None:
    assert not ink(np.ones((4, 4))).any()
    with pytest.raises(InputError, match="not the shape"):
        ink(np.ones((4, 4, 3)))


def test_columns_within_center_and_spread_by_hand() -> None:
    values = [[2.0, -1.0, 0.0, 1.0], [0.0, 1.0, -5.0, 0.0]]
    profile = columns(values)
    assert profile.tolist() == [2.0, 1.0, 0.0, 1.0]
    assert within(profile, 0, 2) == 0.75
    assert within(profile, 0.5, 1.5) == (1.0 + 0.5) / 4
    assert center(profile) == (2 * 0.5 + 1.5 + 3.5) / 4
    bits, wide = spread(profile)
    assert bits == pytest.approx(1.5)
    assert wide == pytest.approx(2**1.5)
    assert within([0, 0], 0, 2) == 0
    assert np.isnan(center([0, 0]))
    assert np.isnan(spread([0, 0])).all()


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=40), st.integers(0, 40))
def test_a_cut_shares_the_mass(mass: list[float], cut: int) -> None:
    if sum(mass) < 1e-6:
        return
    count = len(mass)
    cut = min(cut, count)
    assert within(mass, 0, cut) + within(mass, cut, count) == pytest.approx(1)
    assert 0 <= center(mass) <= count
    assert 1 - 1e-9 <= spread(mass)[1] <= count + 1e-6


def test_measures_of_each_character_are_those_of_its_map() -> None:
    model = lines.ctc()
    a = saliscope.explain(model, bars(), "input_x_gradient", saliscope.Characters("ab"))
    found = measure_maps(a)
    assert found["character"].tolist() == ["a", "b"]
    assert found["number"].tolist() == [1, 2]
    black = bars() < 100
    for row, values in zip(found.itertuples(), a.values.values, strict=True):
        mass = np.clip(values, 0, None)
        assert row.on_ink == pytest.approx(mass[black].sum() / mass.sum())
        assert row.ink == pytest.approx(black.mean())
        assert row.peak == mass.sum(0).argmax() + 0.5
        assert row.columns == pytest.approx(2**row.entropy)
        outside = max(row.left - row.peak, row.peak - row.right, 0)
        assert row.away == pytest.approx(outside)


def test_measures_are_in_pixels_of_the_picture() -> None:
    model = lines.ctc()
    large = np.repeat(np.repeat(bars(), 2, 0), 2, 1)
    a = saliscope.explain(model, large, "input_x_gradient", saliscope.Characters("ab"))
    found = measure_maps(a)
    profile = columns(a.values.values[0])
    assert found["peak"][0] == 2 * (profile.argmax() + 0.5)
    assert found["columns"][0] == pytest.approx(2 * spread(profile)[1])


def test_a_whole_text_has_no_characters_to_measure() -> None:
    a = saliscope.explain(lines.ctc(), bars(), "input_x_gradient", saliscope.String("ab"))
    with pytest.raises(InputError, match="Characters"):
        measure_maps(a)


def test_a_decoder_has_no_places() -> None:
    model = lines.line_network(head="decoder")
    a = saliscope.explain(model, bars(), "input_x_gradient", saliscope.Characters("ab"))
    found = measure_maps(a)
    assert found[["left", "right", "away"]].isna().all().all()
    assert found["peak"].between(0, 48).all()


def test_paper_without_ink_keeps_the_paper() -> None:
    slope = np.linspace(200, 240, 48)[None].repeat(16, 0)
    line = np.where(bars() < 100, 20, slope)
    paper = without_ink(line)
    black = bars() < 100
    assert np.abs(paper - slope).max() < 15
    kept = np.ones_like(black)
    for left in (8, 28):
        kept[1:15, left - 2 : left + 6] = False
    assert (paper[kept] == slope[kept]).all()


def test_ink_is_missed_and_paper_is_not() -> None:
    # Words of one color on two papers: the recognizer is blind to a tone that is everywhere.
    model = lines.line_network()
    first, second = bars(), bars(60, dark=40)
    second[second == 230] = 226
    found = background_reliance(model, [first, second])
    assert found["replaced"].tolist()[:4] == [
        "nothing", "paper", "half of the ink", "as much paper"
    ]  # fmt: skip
    by = found.groupby("replaced")
    assert (by["errors"].max()["nothing"], by["fall"].max()["nothing"]) == (0, 0)
    first_rows = found[found["line"] == 0].set_index("replaced")
    grown = np.zeros((16, 48), dtype=bool)
    for left in (8, 28):
        grown[1:15, left - 2 : left + 6] = True
    assert first_rows["pixels"]["paper"] == pytest.approx((~grown).mean())
    assert first_rows["pixels"]["half of the ink"] == pytest.approx(grown.sum() // 2 / grown.size)
    assert first_rows["pixels"]["as much paper"] == first_rows["pixels"]["half of the ink"]
    assert abs(first_rows["fall"]["half of the ink"]) > abs(first_rows["fall"]["as much paper"])


def test_the_same_seed_gives_the_same_rows() -> None:
    model = lines.ctc()
    one = background_reliance(model, [bars(), bars(60)], ["ab", "c"], seed=3)
    two = background_reliance(model, [bars(), bars(60)], ["ab", "c"], seed=3)
    assert one.equals(two)
    assert one["length"].tolist() == [2] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("count", "options", "reason"),
    [
        (1, {}, "at least two"),
        (2, {"truths": ["a"]}, "truths has 1 entries for 2 lines"),
        (2, {"pages": ["p", "p"]}, "all lines are of one page"),
    ],
)
def test_too_few_lines_are_refused(count: int, options: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        background_reliance(lines.ctc(), [bars()] * count, **options)
