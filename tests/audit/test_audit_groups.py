"""Groups: metrics by hand and by fairlearn, intervals that hold, small groups, words."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import torch

import saliscope
from saliscope import InputError, ModelError, OptionError
from saliscope.audit import groups

fairlearn = pytest.importorskip("fairlearn.metrics", reason="fairlearn is an extra")


def rates(audit: saliscope.Attribution | object, metric: str) -> pd.DataFrame:
    table = audit["metrics"]  # type: ignore[index]
    return table[table["metric"] == metric].set_index("group")


def drawn(rows: int = 800, gap: float = 0.0, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return people on two sides with a probability each; b's is lower by `gap`."""
    rng = np.random.default_rng(seed)
    side = rng.choice(["a", "b"], rows, p=[0.6, 0.4])
    said = np.clip(rng.random(rows) - gap * (side == "b"), 0, 1)
    table = pd.DataFrame({"side": side, "p": said})
    return table, rng.random(rows) < said


def model_of(table: pd.DataFrame) -> saliscope.core.model.Model:
    return saliscope.table_model(lambda t: t["p"], table[["p"]], name="risk")


def test_metrics_of_a_table_counted_by_hand() -> None:
    table = pd.DataFrame({"p": [0.9, 0.8, 0.2, 0.6, 0.1, 0.4, 0.7, 0.3], "side": list("aaaabbbb")})
    truth = np.array([1, 0, 1, 1, 0, 1, 0, 0])
    audit = groups(model_of(table), table, "side", truth, method=None, reference="a")
    values = audit["metrics"].pivot_table(index="metric", columns="group", values="value")
    assert values.loc["selection rate"].tolist() == [0.75, 0.25]
    assert values.loc["accuracy"].tolist() == [0.5, 0.5]
    assert values.loc["false positive rate"].tolist() == pytest.approx([1, 1 / 3])
    assert values.loc["false negative rate"].tolist() == pytest.approx([1 / 3, 1])
    assert values.loc["calibration"].tolist() == pytest.approx([2.5 / 4 - 0.75, 1.5 / 4 - 0.25])
    assert not audit["metrics"]["clear"].any()  # eight rows say nothing
    assert {found.code for found in audit.health} == {"small_group"}
    assert "too few rows to judge: a, b" in audit.sentence


def test_values_are_those_of_fairlearn_and_differences_those_of_values() -> None:
    table, truth = drawn(gap=0.2)
    audit = groups(model_of(table), table, "side", truth, method=None)
    frame = fairlearn.MetricFrame(
        metrics=fairlearn.false_positive_rate, y_true=truth, y_pred=table["p"] >= 0.5,
        sensitive_features=table["side"],
    )  # fmt: skip
    found = rates(audit, "false positive rate")
    for side in "ab":
        assert found.loc[side, "value"] == pytest.approx(frame.by_group[side])
    away = frame.by_group["b"] - frame.by_group["a"]
    assert found.loc["b", "difference"] == pytest.approx(away)
    assert found.loc["a", "difference"] == 0


def test_intervals_are_those_of_a_share() -> None:
    table, truth = drawn(2000)
    found = rates(groups(model_of(table), table, "side", truth, method=None), "selection rate")
    for side, count in (("a", (table["side"] == "a").sum()), ("b", (table["side"] == "b").sum())):
        p = found.loc[side, "value"]
        half = 1.96 * np.sqrt(p * (1 - p) / count)
        assert found.loc[side, "low"] == pytest.approx(p - half, abs=0.006)
        assert found.loc[side, "high"] == pytest.approx(p + half, abs=0.006)


def test_equal_groups_are_seldom_called_different() -> None:
    wrong = 0
    for seed in range(16):
        table, truth = drawn(400, seed=seed)
        audit = groups(model_of(table), table, "side", truth, method=None, draws=200)
        wrong += audit.verdict == "differences"
    assert wrong <= 3  # 0.8 are expected; more than 3 once in 100 times


def test_a_difference_that_is_there_is_said() -> None:
    table, truth = drawn(1500, gap=0.3)
    audit = groups(model_of(table), table, "side", truth, method=None)
    assert rates(audit, "selection rate").loc["b", "clear"]
    assert audit.verdict == "differences"
    assert "the selection rate of b is" in audit.sentence
    assert "times as often as a (under four fifths)" in audit.sentence
    assert len(audit.figures()) == 1


def test_a_rate_of_none_in_a_small_group_is_not_taken_for_sure() -> None:
    side = np.repeat(["a", "b"], [400, 35])
    said = np.where(side == "a", np.arange(435) % 12 == 0, False)  # 8 % of a, none of 35
    table = pd.DataFrame({"side": side, "p": said * 0.8 + 0.1})
    found = rates(groups(model_of(table), table, "side", said, method=None), "selection rate")
    assert found.loc["b", ["value", "low"]].tolist() == [0, 0]
    assert found.loc["b", "high"] == pytest.approx(1 - 0.025 ** (1 / 35))  # every sample says 0
    assert found.loc["b", "difference_high"] > 0
    assert not found.loc["b", "clear"]


def test_attributions_are_compared_with_the_reference() -> None:
    rng = np.random.default_rng(3)
    side = np.repeat(["a", "b"], 100)
    table = pd.DataFrame({"side": side, "x": rng.random(200), "z": rng.random(200)})
    table.loc[side == "b", "x"] = 0.5  # nothing to say for b
    model = saliscope.table_model(lambda t: 0.8 * t["x"] + 0.1 * t["z"], table[["x", "z"]])
    audit = groups(model, table, "side", rng.random(200) < 0.5, explained=80)
    found = audit["attributions"]
    size = found[found["kind"] == "mean size"].set_index("column")
    assert size.loc["x", "clear"]
    assert size.loc["x", "difference"] < -0.1
    assert not size.loc["z", "clear"]
    np.testing.assert_allclose(found["value"] - found["reference"], found["difference"], atol=1e-12)
    assert "The column x has a smaller part in predictions for b than for a" in audit.sentence


def test_attributions_are_in_probability_whatever_the_model_is() -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"x": rng.random(80)})
    side, truth = np.repeat(["a", "b"], 40), rng.random(80) < 0.5

    def both(rows: pd.DataFrame) -> np.ndarray:
        return np.stack([1 - rows["x"], rows["x"]], axis=1)

    one = saliscope.table_model(lambda t: t["x"], table)
    two = saliscope.table_model(both, table, labels=["no", "yes"])
    net = torch.nn.Linear(1, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0], [2.0]]))
        net.bias.zero_()
    logits = saliscope.table_model(net, table, labels=["no", "yes"])
    curve = saliscope.table_model(lambda t: 1 / (1 + np.exp(-2 * t["x"])), table)
    for first, second in ((one, two), (curve, logits)):
        found = [
            groups(model, table, side, np.where(truth, *words), draws=100)["attributions"]
            for model, words in ((first, (1, 0)), (second, ("yes", "no")))
        ]
        np.testing.assert_allclose(found[0]["value"], found[1]["value"], atol=1e-6)


BAD = {
    "unknown": ({"protected": "sid"}, OptionError, r"protected='sid'.*did you mean 'side'"),
    "class": ({"target": "good"}, OptionError, "the model has no class 'good'"),
    "one group": ({"protected": "same"}, InputError, "same: is 'x' in every row"),
    "reference": ({"reference": "c"}, OptionError, "reference='c' is no group of side: a, b"),
    "threshold": ({"threshold": 1.5}, OptionError, "threshold=1.5 must be a probability"),
    "draws": ({"draws": 3}, OptionError, "draws=3 must be"),
    "outcome": ({"outcome": "result"}, InputError, "'result': the table has no such column"),
    "constant": ({"outcome": np.ones(50)}, InputError, "truth is .* in every row"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_questions_are_one_clear_line(case: str) -> None:
    change, kind, message = BAD[case]
    table, truth = drawn(50)
    given = {"protected": "side", "outcome": truth, "method": None, **change}
    with pytest.raises(kind, match=message) as caught:
        groups(model_of(table), table.assign(same="x"), **given)
    assert "\n" not in str(caught.value)


def test_outputs_that_are_no_probabilities_are_refused() -> None:
    table, truth = drawn(50)
    model = saliscope.table_model(lambda t: 3 * t["p"] - 1, table[["p"]], name="score")
    with pytest.raises(InputError, match=r"score returned .* for row \d+, and a probability"):
        groups(model, table, "side", truth, method=None)
    lost = saliscope.table_model(lambda t: t["p"] * np.nan, table[["p"]], name="score")
    with pytest.raises(ModelError, match=r"score returned nan for row 1"):
        groups(lost, table, "side", truth, method=None)


def test_an_outcome_without_the_class_names_what_it_has() -> None:
    table, truth = drawn(50)
    model = saliscope.table_model(
        lambda t: np.stack([1 - t["p"], t["p"]], axis=1), table[["p"]], labels=["bad", "good"]
    )
    with pytest.raises(InputError, match=r"no row is 'good'.*it has 'yes', 'no'|'no', 'yes'"):
        groups(model, table, "side", np.where(truth, "yes", "no"), method=None)
    found = groups(model, table, "side", np.where(truth, "good", "bad"), method=None)
    assert found.facts["output"].startswith("good")


def test_without_fairlearn_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    table, truth = drawn(50)
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    with pytest.raises(ModelError, match="needs fairlearn; install it: pip install fairlearn"):
        groups(model_of(table), table, "side", truth, method=None)
