"""Units, groupings and perturbations: properties that hold for every shape."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope import OptionError
from saliscope.core.perturbation import DELETE, Baseline, Perturbation
from saliscope.core.units import Grouping, Units

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)


def units_of(shape: tuple[int, ...]) -> Units:
    """Return plain units of a shape."""
    return Units(tuple(f"dim_{i}" for i in range(len(shape))), shape, "element")


def line(length: int, before: int, after: int) -> Units:
    """Return units on a line between special tokens."""
    keep = np.array([False] * before + [True] * length + [False] * after)
    return Units(("position",), (len(keep),), "token", keep=keep)


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Draw a shape, a window that fits and a stride that skips nothing."""
    shape = draw(shapes)
    window = tuple(draw(st.integers(1, n)) for n in shape)
    stride = tuple(draw(st.integers(1, w)) for w in window)
    return shape, window, stride


@given(windows())
def test_boxes_cover_every_unit_and_stay_inside(
    drawn: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    shape, window, stride = drawn
    grouping = units_of(shape).boxes(window, stride)
    covered = np.zeros(shape, dtype=int)
    assert grouping.boxes is not None
    for box in grouping.boxes:
        covered[box] += 1
        assert covered[box].shape == window
    assert (covered > 0).all()
    assert len(set(map(str, grouping.boxes))) == grouping.count


@given(windows())
def test_spread_is_the_mean_over_the_boxes_of_a_unit(
    drawn: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    shape, window, stride = drawn
    grouping = units_of(shape).boxes(window, stride)
    assert grouping.boxes is not None
    values = np.random.default_rng(0).normal(size=(2, grouping.count))
    got = grouping.spread(values, shape)
    for unit in itertools.product(*map(range, shape)):
        inside = [
            g for g, box in enumerate(grouping.boxes)
            if all(s.start <= u < s.stop for u, s in zip(unit, box, strict=True))
        ]  # fmt: skip
        np.testing.assert_allclose(got[(slice(None), *unit)], values[:, inside].mean(1))


@given(st.integers(1, 9), st.integers(0, 2), st.integers(0, 2), st.data())
def test_boxes_never_touch_special_tokens(
    length: int, before: int, after: int, data: st.DataObject
) -> None:
    units = line(length, before, after)
    window = data.draw(st.integers(1, length))
    grouping = units.boxes((window,), (data.draw(st.integers(1, window)),))
    touched = np.zeros(units.shape, dtype=bool)
    assert grouping.boxes is not None
    for box in grouping.boxes:
        touched[box] = True
    assert units.keep is not None
    assert (touched == units.keep).all()


@given(st.integers(1, 9), st.integers(0, 2), st.data())
def test_groups_are_relabeled_without_changing_who_is_together(
    length: int, before: int, data: st.DataObject
) -> None:
    units = line(length, before, 1)
    labels = data.draw(
        st.lists(st.integers(-1, 40), min_size=length, max_size=length).filter(
            lambda v: max(v) >= 0
        )
    )
    grouping = units.group(labels)
    used = sorted({v for v in labels if v >= 0})
    assert grouping.count == len(used)
    assert grouping.names == tuple(map(str, used))
    for group, label in enumerate(used):
        members = np.flatnonzero(grouping.members(group)) - before
        assert members.tolist() == [i for i, v in enumerate(labels) if v == label]
    values = np.arange(1.0, grouping.count + 1)[None]
    spread = grouping.spread(values, units.shape)[0, units.kept]
    assert spread.tolist() == [used.index(v) + 1 if v >= 0 else 0 for v in labels]


@given(shapes)
def test_each_and_whole_are_partitions(shape: tuple[int, ...]) -> None:
    units = units_of(shape)
    assert units.each().count == units.size == int(np.prod(shape))
    assert units.whole().count == 1
    assert units.whole().members(0).all()
    each = units.each()
    assert sum(each.members(g).sum() for g in range(each.count)) == units.size
    assert units.group(None).count == units.group("element").count == units.size


@pytest.mark.parametrize(
    "labels",
    [[0, 1], [0, 1, 2, 3], [-2, 0, 1], [-1, -1, -1], [0.0, 1.0, 2.0], [[0, 1, 2]], ["a"] * 3],
)
def test_groups_that_do_not_fit_are_refused(labels: list[object]) -> None:
    with pytest.raises(OptionError, match="groups"):
        units_of((3,)).group(labels)  # type: ignore[arg-type]


def test_a_grouping_that_is_not_known_is_refused_with_what_there_is() -> None:
    units = Units(
        ("position",), (2,), "token", groupings={"word": Grouping("word", np.zeros(2, int))}
    )
    assert units.group("word").count == 1
    with pytest.raises(OptionError, match="it has: token, word"):
        units.group("sentence")


def test_a_grouping_has_labels_or_boxes_and_a_name_each() -> None:
    for wrong in ({}, {"labels": np.zeros(2, int), "boxes": ()}):
        with pytest.raises(OptionError, match="either"):
            Grouping("x", **wrong)
    with pytest.raises(OptionError, match="one per group"):
        Grouping("x", labels=np.array([0, 1]), names=("a",))
    assert Grouping("x", labels=np.array([-1, -1])).count == 0


def test_grouped_units_span_their_members() -> None:
    coords = {"start": ("position", [0, 0, 4, 6]), "end": ("position", [0, 4, 6, 9])}
    keep = np.array([False, True, True, True])
    units = Units(("position",), (4,), "token", coords, keep)
    words = Grouping("word", labels=np.array([-1, 0, 0, 1]), names=("ab", "c"))
    grouped = units.grouped(words)
    assert grouped.shape == (2,)
    assert grouped.coords["word"][1] == ("ab", "c")
    assert list(grouped.coords["start"][1]) == [0, 6]
    assert list(grouped.coords["end"][1]) == [6, 9]
    assert list(grouped.coords["position"][1]) == [1, 2]


@given(shapes, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_paths_and_identities(shape: tuple[int, ...], alphas: list[float]) -> None:
    units = units_of(shape)
    identity = Perturbation.identity(units)
    assert identity.is_identity
    assert identity.rows == 1
    path = Perturbation.path(units, alphas, Baseline("zero"))
    assert path.rows == len(alphas)
    assert path.is_identity == all(a == 1 for a in alphas)
    assert [float(path.row(i)[0]) for i in range(path.rows)] == alphas


@given(shapes)
def test_one_group_is_left_out_per_row_and_none_in_the_last(shape: tuple[int, ...]) -> None:
    grouping = units_of(shape).each()
    fills = [Baseline("zero"), Baseline("one")]
    for given_fills in (fills[:1], fills):
        moved = Perturbation.leave_one_out(grouping, given_fills)
        assert moved.rows == grouping.count * len(given_fills) + 1
        rows = np.stack([moved.row(i) for i in range(moved.rows)])
        left_out = np.repeat(1 - np.eye(grouping.count), len(given_fills), axis=0)
        np.testing.assert_array_equal(rows[:-1], left_out)
        assert (rows[-1] == 1).all()
        assert moved.is_whole
    assert [moved.fill_of(row) for row in (0, 1)] == fills
    nothing = Perturbation(grouping, removed=np.array([-1]), fill=DELETE)
    assert nothing.is_identity
    assert not moved.is_identity
    assert (nothing.row(0) == 1).all()
    assert DELETE.deletes
    assert not Baseline("zero").deletes
