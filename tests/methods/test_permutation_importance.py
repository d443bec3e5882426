"""Permutation importance: means over a background, the other examples of a tensor, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers import games, toys
from saliscope import Attribution, OptionError, explain


def drawn(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    """Return normal numbers."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


def loop(net: nn.Module, x: torch.Tensor, others: torch.Tensor, groups: list[list[int]]) -> Any:
    """Return the falls for each group and other example, one forward pass at a time."""
    falls = np.zeros((len(groups), len(others)))
    with torch.no_grad():
        whole = float(net(x[None])[0, 0])
        for g, members in enumerate(groups):
            for k, other in enumerate(others):
                moved = x.clone()
                moved[members] = other[members]
                falls[g, k] = whole - float(net(moved[None])[0, 0])
    return falls


def test_the_other_examples_are_the_background() -> None:
    net, x = toys.random_net(0, (4, 6, 2), nn.Tanh, 4.0), drawn(7, 4)
    a = explain(net, x, "permutation", 0)
    for i, row in enumerate(x):
        falls = loop(net, row, torch.cat([x[:i], x[i + 1 :]]), [[0], [1], [2], [3]])
        np.testing.assert_allclose(a.to_numpy()[i], falls.mean(1), atol=1e-12)
        stderr = falls.std(1, ddof=1) / np.sqrt(6)
        np.testing.assert_allclose(a.data["stderr"].values[i], stderr, atol=1e-12)
        error = stderr.sum() / np.abs(falls.mean(1)).sum()
        assert float(a.error[i]) == pytest.approx(error)
    assert a.evaluations == 7 * (1 + 4 * 6)
    assert a.provenance["notes"]["examples"] == 6
    assert a.provenance["baseline"] == "background of 6"


def test_a_given_background_and_groups_of_columns() -> None:
    net, x, others = toys.random_net(1, (5, 6, 1), nn.GELU, 4.0), drawn(2, 5, 1), drawn(9, 5, 2)
    a = explain(net, x, "permutation", 0, baseline=others, groups=[0, 1, 0, -1, 2])
    for i, row in enumerate(x):
        falls = loop(net, row, others, [[0, 2], [1], [4]])
        np.testing.assert_allclose(a.to_numpy()[i], falls.mean(1), atol=1e-12)
    assert a.data["group"].values.tolist() == ["0", "1", "2"]


def test_a_linear_model_by_hand() -> None:
    # Weights (2, -1), rows (1, 0), (3, 4), (5, 8): the others' means are (4, 6), (3, 4), (2, 2).
    x = torch.tensor([[1.0, 0.0], [3.0, 4.0], [5.0, 8.0]]).double()
    a = explain(toys.linear([[2, -1]]), x, "permutation", 0)
    np.testing.assert_allclose(a.to_numpy(), [[-6, 6], [0, 0], [6, -6]], atol=1e-12)
    # Column 1 of the others of row 1 gives falls -4 and -8: sd 2.83, divided by the root of 2.
    np.testing.assert_allclose(a.data["stderr"].values[0], [2, 2], atol=1e-12)


def test_the_mean_over_examples_is_the_global_importance() -> None:
    net, x = toys.random_net(2, (3, 8, 1), nn.ReLU, 4.0), drawn(40, 3, 3)
    target = torch.nn.Sequential(net, Square())
    a = explain(target, x, "permutation", 0)
    mean = a.mean_over_examples()
    assert isinstance(mean, Attribution)
    assert mean.values.dims == ("dim_1",)
    # All ordered pairs of different examples, as in Fisher, Rudin & Dominici 2019.
    with torch.no_grad():
        for column in range(3):
            falls = []
            for i in range(40):
                for j in range(40):
                    moved = x[i].clone()
                    moved[column] = x[j, column]
                    if i != j:
                        falls.append(float(target(x[i : i + 1]) - target(moved[None])))
            assert mean.to_numpy()[column] == pytest.approx(np.mean(falls), abs=1e-10)
    spread = a.to_numpy().std(0, ddof=1) / np.sqrt(40)
    np.testing.assert_allclose(mean.data["stderr"].values, spread)
    assert mean.error is None
    assert mean.score == pytest.approx(float(a.score.mean()))
    with pytest.raises(OptionError, match="no examples"):
        mean.mean_over_examples()
    one = explain(target, x[:1], "permutation", 0, baseline=x).mean_over_examples()
    assert np.isnan(one.data["stderr"].values).all()


class Square(nn.Module):
    """The negative square: a target that has its largest value at one point."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return it."""
        return -(rows**2)


def test_several_targets_and_scalars() -> None:
    net, x = toys.random_net(3, (4, 6, 3), nn.Tanh, 4.0), drawn(5, 4, 4)
    a = explain(net, x, "permutation", [2, 0])
    for number, target in enumerate((2, 0)):
        alone = explain(net, x, "permutation", target)
        np.testing.assert_allclose(a.to_numpy()[number], alone.to_numpy(), atol=1e-12)
    mean = a.mean_over_examples()
    assert mean.values.dims == ("target", "dim_1")
    scalars = explain(nn.Identity(), torch.tensor([1.0, 2.0, 6.0]).double(), "permutation", 0)
    np.testing.assert_allclose(scalars.to_numpy(), [-3, -1.5, 4.5])


def test_standard_errors_hold_in_200_backgrounds() -> None:
    net, x = toys.random_net(4, (5, 12, 1), nn.Tanh, 4.0), drawn(1, 5, 5)
    large = drawn(20_000, 5, 6)
    true = np.zeros(5)
    with torch.no_grad():
        for column in range(5):
            moved = x.repeat(len(large), 1)
            moved[:, column] = large[:, column]
            true[column] = float((net(x) - net(moved)).mean())
    inside = []
    for seed in range(200):
        a = explain(net, x, "permutation", 0, baseline=large[seed * 40 : seed * 40 + 40])
        inside += (np.abs(a.to_numpy()[0] - true) <= 2 * a.data["stderr"].values[0]).tolist()
    assert 0.9 <= np.mean(inside) <= 0.99


def test_a_large_background_is_sampled_within_the_cap() -> None:
    net, x, others = toys.linear([[1, 2, 3]]), drawn(2, 3, 7), drawn(500, 3, 8)
    a = explain(net, x, "permutation", 0, baseline=others, max_evaluations=100)
    assert a.evaluations <= 200
    assert a.provenance["notes"]["examples"] == 33
    again = explain(net, x, "permutation", 0, baseline=others, max_evaluations=100)
    assert again.equals(a)
    other = explain(net, x, "permutation", 0, baseline=others, max_evaluations=100, seed=1)
    assert not np.array_equal(other.to_numpy(), a.to_numpy())
    whole = explain(net, x, "permutation", 0, baseline=others)
    assert whole.provenance["notes"]["examples"] == 500
    apart = np.hypot(a.data["stderr"].values, whole.data["stderr"].values)
    assert (np.abs(a.to_numpy() - whole.to_numpy()) < 5 * apart).all()


def test_words_and_residues_take_those_of_other_inputs(text: Any, protein: Any) -> None:
    a = explain(
        text, "a good film", "permutation", "positive",
        baseline=["the dull plot", "a bad story", "very dull film"],
    )  # fmt: skip
    alone = [
        explain(text, "a good film", "masking", "positive", fill=other).to_numpy()
        for other in ("the dull plot", "a bad story", "very dull film")
    ]
    np.testing.assert_allclose(a.to_numpy(), np.mean(alone, axis=0), atol=1e-12)
    assert a.data["word"].values.tolist() == ["a", "good", "film"]
    b = explain(protein, "MVHL", "permutation", "V2E", baseline=["MVAL", "GVHL"])
    assert b.to_numpy()[1] == pytest.approx(0, abs=1e-12)  # all have a V there


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (1, {}, "at least 2 other examples and has 0"),
        (2, {}, "at least 2 other examples and has 1"),
        (1, {"baseline": 0.0}, "has 1"),
        (5, {"max_evaluations": 8}, "at least 9 evaluations, and max_evaluations is 8"),
        (5, {"fill": 0.0}, "does not use fill"),
        (5, {"tolerance": 0.1}, "does not use tolerance"),
    ],
)
def test_what_tells_nothing_is_refused(rows: int, options: dict[str, Any], words: str) -> None:
    net = toys.linear([[1, 2, 3, 4]])
    with pytest.raises(OptionError, match=words) as caught:
        explain(net, drawn(rows, 4), "permutation", 0, **options)
    assert "\n" not in str(caught.value)


def test_columns_that_go_together_get_credit_for_inputs_that_do_not_exist() -> None:
    # On all data both columns are equal and the target is 1 throughout: nothing there depends on
    # them. Replacing one alone makes them differ, which never happens.
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).double().repeat(10, 1)
    net = games.Game(lambda z: z[:, 0] == z[:, 1]).eval()
    a = explain(net, x, "permutation", 0)
    assert (a.score.values == 1).all()
    assert a.to_numpy().min() > 0.4
    both = explain(net, x, "permutation", 0, groups=[0, 0])
    np.testing.assert_array_equal(both.to_numpy(), np.zeros((20, 1)))
