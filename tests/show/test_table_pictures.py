"""Pictures of tables: what is drawn, where it stands, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import saliscope
from saliscope import Attribution, OptionError
from saliscope.tables import dependence, importance

TABLE = pd.DataFrame(
    {
        "age": np.arange(20.0, 32.0), "income": np.arange(12.0) ** 2 % 7,
        "city<b>": ["Rome", "Bari", "Turin"] * 4,
    }
)  # fmt: skip


def rule(rows: pd.DataFrame) -> pd.Series[float]:
    return 2.0 * rows["age"] - rows["income"] + 3.0 * (rows["city<b>"] == "Rome")


@pytest.fixture(scope="module")
def one() -> Attribution:
    found: Attribution = saliscope.explain(
        saliscope.table_model(rule, TABLE), TABLE.iloc[[0]], method="shapley"
    )
    return found


@pytest.fixture(scope="module")
def many() -> Attribution:
    found: Attribution = saliscope.explain(
        saliscope.table_model(rule, TABLE), TABLE, method="masking"
    )
    return found


def test_bars_of_a_waterfall_lead_from_the_mean_to_the_score(one: Attribution) -> None:
    axes = one.plot().axes[0]
    bars = axes.patches
    order = np.argsort(-np.abs(one.to_numpy()))
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert ends[0][0] == pytest.approx(one.baseline_score)
    assert ends[-1][1] == pytest.approx(one.score)
    for (_, before), (after, _) in itertools.pairwise(ends):
        assert before == pytest.approx(after)
    widths = [bar.get_width() for bar in bars][::-1]
    np.testing.assert_allclose(widths, one.to_numpy()[order])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert set(names) == {"age = 20", "income = 0", "city<b> = Rome"}


def test_a_waterfall_sums_up_what_has_no_bar(one: Attribution) -> None:
    bars = one.plot(kind="waterfall", top=1).axes[0].patches
    assert len(bars) == 2
    rest = np.delete(one.to_numpy(), np.argmax(np.abs(one.to_numpy()))).sum()
    assert bars[0].get_width() == pytest.approx(rest)


def test_points_of_a_beeswarm_stand_at_their_values(many: Attribution) -> None:
    axes = many.plot().axes[0]
    order = np.argsort(-np.abs(many.to_numpy()).mean(0), kind="stable")
    assert len(axes.collections) == 3
    for dots, column in zip(axes.collections, order, strict=True):
        np.testing.assert_allclose(dots.get_offsets()[:, 0], many.to_numpy()[:, column])
        colored = dots.get_array() is not None
        assert colored == (column != 2)  # words have no order
    rows = [np.asarray(dots.get_offsets())[:, 1] for dots in axes.collections]
    assert all(np.abs(heights - i).max() < 0.5 for i, heights in enumerate(rows))


def test_bars_have_intervals_of_95_percent(many: Attribution) -> None:
    axes = many.plot(kind="column_bars").axes[0]
    sizes = np.abs(many.to_numpy())
    order = np.argsort(-sizes.mean(0), kind="stable")
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], sizes.mean(0)[order])
    (segments,) = (c.get_segments() for c in axes.collections)
    half = 1.96 * sizes.std(0, ddof=1) / np.sqrt(12)
    np.testing.assert_allclose([(s[1, 0] - s[0, 0]) / 2 for s in segments], half[order])


def test_curves_and_their_mean_are_drawn() -> None:
    model = saliscope.table_model(rule, TABLE)
    found = dependence(model, TABLE, "city<b>")
    axes = found.plot().axes[0]
    assert len(axes.collections[0].get_segments()) == 12
    np.testing.assert_allclose(axes.lines[0].get_ydata(), found.mean)
    assert {t.get_text() for t in axes.get_xticklabels()} == {"Rome", "Bari", "Turin"}


def test_a_page_escapes_names_and_says_what_lines_are(one: Attribution, many: Attribution) -> None:
    worth = importance(saliscope.table_model(rule, TABLE), TABLE, rule(TABLE), repeats=3)
    for record in (one, many, worth):
        page = record.to_html()
        assert "city<b>" not in page
        assert "<svg" in page
    assert "Thin lines are 95 % intervals" in worth.to_html()
    assert "Thin lines" not in many.to_html()


@pytest.mark.parametrize("kind", ["waterfall", "beeswarm", "dependence"])
def test_a_picture_that_does_not_fit_is_refused(
    kind: str, one: Attribution, many: Attribution
) -> None:
    record = one if kind == "beeswarm" else many
    with pytest.raises(OptionError):
        record.plot(kind=kind)
