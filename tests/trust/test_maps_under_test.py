"""Verdicts and measures of models whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import saliscope
from helpers.toys import linear
from saliscope.core.errors import InputError, OptionError, RefusedError
from saliscope.trust import Trust, summarize

WEIGHTS = [3.0, -1.0, 0.5, 2.0, -2.0, 0.25, 1.0, -0.5]
INPUT = torch.tensor([[1.0, 2.0, -1.0, 1.0, 0.5, 2.0, 1.0, 1.0]], dtype=torch.float64)
DROPS = (
    np.array(WEIGHTS) * INPUT[0].numpy()
)  # what each column gives: 3, -2, -.5, 2, -1, .5, 1, -.5


def test_curves_of_a_linear_model_are_the_sums_by_hand() -> None:
    found = saliscope.trust(linear([WEIGHTS]), INPUT, DROPS, draws=0, levels=8)
    # 3 + 2 + 1 + .5 - .5 - .5 - 1 - 2 = 2.5, from the largest to the smallest
    deletion = [2.5, -0.5, -2.5, -3.5, -4.0, -3.5, -3.0, -2.0, 0.0]
    insertion = [0.0, 3.0, 5.0, 6.0, 6.5, 6.0, 5.5, 4.5, 2.5]
    np.testing.assert_allclose(found.data["deletion_curve"], deletion, atol=1e-12)
    np.testing.assert_allclose(found.data["insertion_curve"], insertion, atol=1e-12)
    # trapezoids: half of both ends and all between, over eight steps
    assert found["deletion"]["value"] == pytest.approx((1.25 - 19.0) / 8)
    assert found["insertion"]["value"] == pytest.approx((1.25 + 36.5) / 8)
    # top 1, 5, 10 % is one column, 20 % two, 50 % four; each count once
    assert found["comprehensiveness"]["value"] == pytest.approx((3 + 5 + 6.5) / 3)
    assert found["sufficiency"]["value"] == pytest.approx((-0.5 - 2.5 - 4.0) / 3)
    assert found.verdict == "not assessed"
    assert "needs 999" in found.sentence


class Bag(nn.Module):
    """Counts of words to the score of a class: a bag of words."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Parameter(
            torch.tensor([2.0, 0.0, -1.0, 4.0, 0.0, 1.0], dtype=torch.float64)
        )

    def forward(self, counts: torch.Tensor) -> torch.Tensor:
        return counts @ self.score


def test_comprehensiveness_and_sufficiency_of_a_bag_of_words() -> None:
    counts = torch.ones(1, 6, dtype=torch.float64)
    found = saliscope.trust(Bag(), counts, method="input_x_gradient", randomize=False, draws=0)
    # top 1 (thrice and 10 %), top 2 (20 %), top 3 (50 %): 4, 2, 1 go
    assert found["comprehensiveness"]["value"] == pytest.approx((4 + 6 + 7) / 3)
    assert found["sufficiency"]["value"] == pytest.approx(((6 - 4) + (6 - 6) + (6 - 7)) / 3)


def test_curves_of_a_bag_of_words_by_hand() -> None:
    counts = torch.tensor([[1.0, 3.0, 2.0, 1.0, 1.0, 2.0]], dtype=torch.float64)
    # words give 2, 0, -2, 4, 0 and 2; the map is of them, ties broken by hand
    words = [2.0, 0.2, -2.0, 4.0, 0.1, 1.9]
    found = saliscope.trust(Bag(), counts, words, draws=0, levels=6)
    np.testing.assert_allclose(found.data["deletion_curve"], [6, 2, 0, -2, -2, -2, 0])
    np.testing.assert_allclose(found.data["insertion_curve"], [0, 4, 6, 8, 8, 8, 6])
    assert found["deletion"]["value"] == pytest.approx((6 / 2 + 2 + 0 - 2 - 2 - 2 + 0) / 6)
    assert found["insertion"]["value"] == pytest.approx((0 + 4 + 6 + 8 + 8 + 8 + 6 / 2) / 6)


def test_the_gradient_of_a_linear_model_predicts_every_fall() -> None:
    found = saliscope.trust(linear([WEIGHTS]), INPUT, method="gradient", randomize=False)
    assert found["infidelity"]["value"] == pytest.approx(0.0, abs=1e-20)
    assert found["relative infidelity"]["value"] == pytest.approx(0.0, abs=1e-20)
    assert found["correlation"]["value"] == pytest.approx(1.0)


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, -1.0)])
def test_falls_of_a_sum_correlate_fully_with_its_terms(sign: float, expected: float) -> None:
    found = saliscope.trust(linear([[1.0] * 8]), INPUT, sign * INPUT)
    assert found["correlation"]["value"] == pytest.approx(expected)
    assert found["relative infidelity"]["value"] == pytest.approx(
        0.0 if sign > 0 else 4.0, abs=1e-9
    )


def test_perfect_and_worst_maps_get_the_extreme_scores() -> None:
    net = linear([WEIGHTS])
    best, worst = (saliscope.trust(net, INPUT, s * DROPS, levels=8) for s in (1.0, -1.0))
    assert (best.verdict, worst.verdict) == ("passes", "fails")
    rng = np.random.default_rng(0)
    others = [
        saliscope.trust(net, INPUT, rng.permutation(DROPS), levels=8, draws=0) for _ in range(5)
    ]
    # largest first: sums by hand as above; smallest first: 2.5, 4.5, 5.5, 6, 6.5, 6, 5, 3, 0
    assert best["deletion"]["value"] == pytest.approx((1.25 - 19.0) / 8)
    assert worst["deletion"]["value"] == pytest.approx((1.25 + 36.5) / 8)
    assert worst["insertion"]["value"] == pytest.approx((1.25 - 19.0) / 8)
    assert worst["comprehensiveness"]["value"] == pytest.approx((-2 - 3 - 4) / 3)
    assert best["comprehensiveness"]["value"] == pytest.approx((3 + 5 + 6.5) / 3)
    for other in others:
        for name in ("comprehensiveness", "sufficiency"):
            ends = sorted([best[name]["value"], worst[name]["value"]])
            assert ends[0] <= other[name]["value"] <= ends[1]
        assert best["deletion"]["value"] <= other["deletion"]["value"] <= worst["deletion"]["value"]
        assert worst["insertion"]["value"] <= other["insertion"]["value"]
        assert other["insertion"]["value"] <= best["insertion"]["value"]
    assert best["deletion"]["p"] == pytest.approx(0.001, abs=0.003)
    assert worst["deletion"]["p"] > 0.9


def test_input_times_gradient_of_a_linear_model_always_passes() -> None:
    rng = np.random.default_rng(0)
    for seed in range(4):
        net, x = linear([rng.normal(size=12).tolist()]), torch.from_numpy(rng.normal(size=(1, 12)))
        found = saliscope.trust(net, x, method="input_x_gradient", seed=seed)
        assert found.verdict == "passes", found.sentence


def test_a_model_that_does_not_look_is_not_assessed() -> None:
    found = saliscope.trust(linear([[0.0] * 8], [1.0]), INPUT, DROPS)
    assert found.verdict == "not assessed"
    assert "does not change" in found.sentence


def test_few_parts_have_too_few_orders() -> None:
    found = saliscope.trust(linear([[1.0, 2.0, 3.0]]), torch.ones(1, 3).double(), [1.0, 2.0, 3.0])
    assert found.verdict == "not assessed"
    assert "3 parts" in found.sentence


def test_a_constant_map_is_no_better_than_chance() -> None:
    assert saliscope.trust(linear([WEIGHTS]), INPUT, np.ones(8)).verdict == "fails"
    zeros = saliscope.trust(linear([[1.0] * 8]), torch.zeros(1, 8).double() + 2, method="gradient")
    assert zeros.verdict == "fails"
    assert "the map is the same everywhere, so random weights say nothing here" in zeros.sentence


def test_a_map_of_the_input_alone_is_weak_where_it_happens_to_fit() -> None:
    """The largest inputs are what counts here, and random weights change nothing of |x|."""
    x = torch.tensor([[8.0, 7, 6, 5, 4, 3, 2, 1]]).double()

    class Loud(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return (rows * self.gain.abs()).sum(1)

    found = saliscope.trust(Loud(), x, method="input_x_gradient")
    assert found.verdict == "weak"
    assert found["randomized"]["value"] == pytest.approx(1.0)
    assert "stays much the same" in found.sentence


def test_the_untouched_model_is_shown_and_not_averaged() -> None:
    net = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    found = saliscope.trust(net, INPUT, method="input_x_gradient", draws=0, repeats=1)
    stages = found.data["similarity"].to_series()
    assert stages.index.tolist() == ["untouched", "2", "0"]
    assert stages["untouched"] == pytest.approx(1.0)
    assert found["randomized"]["value"] == pytest.approx(stages["0"])


def test_without_layers_maps_stay_the_same_and_nothing_is_averaged() -> None:
    """No parameter is touched: the map comes out again. No parameter is there: no verdict on it."""
    net = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    one = saliscope.trust(net, INPUT, method="input_x_gradient", draws=0, repeats=3)
    assert one.data["similarity"].values[0] == 1.0
    # three sets of random weights, none of which gives the map again: the mean is far from 1
    with_untouched = (3 * one["randomized"]["value"] + 1) / 4
    assert one["randomized"]["value"] < with_untouched < 1
    assert one["randomized"]["high"] == one["randomized"]["high"]  # an interval over three

    class Bare(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows.sum(1)

    bare = saliscope.trust(Bare(), INPUT, method="input_x_gradient", draws=0)
    assert bare.own is None
    assert "randomized" not in bare.data["measure"]
    assert "similarity" not in bare.data
    assert bare.meta["unweighted"] == "the model has no weights that can be set"


def test_weights_are_the_same_bits_also_after_an_error() -> None:
    class Fragile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lift = nn.Linear(8, 2).double()
            self.first = self.lift.weight.detach().clone()

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            if not torch.equal(self.lift.weight, self.first):
                msg = "somebody changed me"
                raise RuntimeError(msg)
            return self.lift(rows)

    net = Fragile()
    before = {k: (v.data_ptr(), v.clone()) for k, v in net.state_dict().items()}
    with pytest.raises(saliscope.ModelError, match="somebody changed me"):
        saliscope.trust(net, INPUT, method="gradient", draws=0)
    for name, tensor in net.state_dict().items():
        assert tensor.data_ptr() == before[name][0]
        assert torch.equal(tensor, before[name][1])
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert net.training


def test_the_target_stays_when_random_weights_predict_another_class() -> None:
    torch.manual_seed(0)
    net = nn.Linear(8, 5).double()
    found = saliscope.trust(net, INPUT, method="gradient", draws=0, repeats=1)
    assert found.target == str(int(net(INPUT).argmax()))


def test_methods_that_use_the_output_alone_need_no_random_weights() -> None:
    found = saliscope.trust(linear([WEIGHTS]), INPUT, method="shapley")
    assert found.verdict == "passes"
    assert found.own is None
    assert "shapley uses the output of the model alone" in found.sentence
    again = saliscope.trust(linear([WEIGHTS]), INPUT, method="shapley", draws=0, randomize=True)
    assert again.own is True


def test_black_boxes_are_tested_too() -> None:
    found = saliscope.trust(lambda rows: rows @ np.array(WEIGHTS), INPUT.numpy(), method="masking")
    assert found.verdict == "passes"
    given = saliscope.trust(lambda rows: rows @ np.array(WEIGHTS), INPUT.numpy(), DROPS)
    assert (given.verdict, given.method) == ("passes", "given")


def test_a_map_is_steady_where_the_slope_is() -> None:
    still = saliscope.trust(
        linear([WEIGHTS]), INPUT, method="gradient", draws=0, randomize=False, neighbors=3
    )
    assert still["sensitivity"]["value"] == pytest.approx(0.0, abs=1e-12)

    class Cube(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return (rows**3).sum(1)

    moved = saliscope.trust(Cube(), INPUT, method="gradient", draws=0, neighbors=3, noise=0.1)
    assert moved["largest sensitivity"]["value"] >= moved["sensitivity"]["value"] > 0.01


def test_agreement_and_a_region() -> None:
    found = saliscope.trust(
        linear([WEIGHTS]), INPUT, DROPS, draws=99, against=["shapley", "gradient"],
        mask=[True, False, False, True, False, False, False, False],
    )  # fmt: skip
    agreement = found.data["agreement"].to_series()
    assert agreement["shapley"] == pytest.approx(1.0)
    assert agreement["gradient"] < 1
    assert found["pointing game"]["value"] == 1
    assert found["mass in mask"]["value"] == pytest.approx(5 / 6.5)
    assert found["auroc of mask"]["value"] == 1
    assert found["auroc of mask"]["p"] <= 0.1  # one in 28 orders


def test_examples_of_a_tensor_are_tested_one_by_one() -> None:
    both = torch.cat([INPUT, 2 * INPUT])
    maps = saliscope.explain(linear([WEIGHTS]), both, method="input_x_gradient")
    found = saliscope.trust(linear([WEIGHTS]), both, maps)
    assert [each.name for each in found] == ["example 0", "example 1"]
    assert [each.verdict for each in found] == ["passes", "passes"]
    table = summarize(found)
    assert table["passes"].tolist() == [2]
    assert table["margin low"][0] <= table["margin"][0] <= table["margin high"][0]


def test_what_cannot_be_tested_is_refused_in_one_line() -> None:
    net = linear([WEIGHTS, WEIGHTS[::-1]])
    with pytest.raises(InputError, match=r"shape \(3,\); give one value per element"):
        saliscope.trust(net, INPUT, [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="1 values of the map are not finite"):
        saliscope.trust(net, INPUT, [np.nan, *[1.0] * 7])
    with pytest.raises(OptionError, match="2 targets"):
        saliscope.trust(net, INPUT, target=[0, 1])
    with pytest.raises(OptionError, match="draws=-1"):
        saliscope.trust(net, INPUT, draws=-1)
    other = saliscope.explain(net, INPUT, method="gradient", target=0)
    with pytest.raises(OptionError, match="would be tested on '1'"):
        saliscope.trust(net, INPUT, other, target=1)
    with pytest.raises(InputError, match="gives another map"):
        saliscope.trust(net, INPUT, saliscope.explain(net, -INPUT**2, method="input_x_gradient",
                                                      target=0), target=0, draws=0)  # fmt: skip
    with pytest.raises(RefusedError, match="needs gradients"):
        saliscope.trust(lambda rows: rows.sum(1), INPUT.numpy(), method="gradient")


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    found = saliscope.trust(linear([WEIGHTS]), INPUT, method="gradient", draws=99)
    found.save(tmp_path / "trust.nc")
    again = Trust.load(tmp_path / "trust.nc")
    assert again.equals(found)
    assert again.sentence == found.sentence
    assert again.to_csv().startswith("measure,value,low,high,null,null_low,null_high,p\ndeletion,")
    page = again.to_html(tmp_path / "trust.html")
    assert found.sentence.split(":")[0] in page
    assert "<svg" in page
    assert len(again.plot().axes) == 3


def test_equal_seeds_give_equal_tests() -> None:
    one, two = (saliscope.trust(linear([WEIGHTS]), INPUT, DROPS[::-1], seed=3) for _ in range(2))
    assert one.equals(two)


def test_words_of_a_text_are_tested_on_token_ids() -> None:
    review = "A touching film with a wonderful cast and a dull ending that nobody needed."
    found = saliscope.trust("zoo:sentiment", review, method="masking", draws=99)
    assert found.meta["unit_kind"] == "word"
    assert found["deletion"]["value"] < found["deletion"]["null"]
    # equal token ids are equal inputs, whatever the order was
    assert found.provenance["distinct"] <= 2**11


def test_a_report_of_tested_maps_has_their_verdicts() -> None:
    net = linear([WEIGHTS])
    made = saliscope.explain(net, INPUT, method="input_x_gradient", trust=True)
    assert [one["verdict"] for one in made.meta["trust"]] == ["passes"]
    page = made.to_html()
    assert "Passes: taking away" in page
    assert "Not assessed in this report" not in page
    bare = saliscope.explain(net, INPUT, method="input_x_gradient")
    assert "trust" not in bare.meta
    assert "Not assessed in this report" in bare.to_html()
    np.testing.assert_array_equal(made.to_numpy(), bare.to_numpy())


def test_a_map_that_cannot_be_tested_is_not_lost() -> None:
    net = linear([WEIGHTS, WEIGHTS[::-1]])
    (made,) = saliscope.explain(net, iter([INPUT]), method="gradient", target=[0, 1], trust=True)
    assert made.meta["trust"][0]["sentence"].startswith("Not assessed: ")
    assert made.to_numpy().shape == (2, 1, 8)


def test_means_over_windows_predict_no_falls() -> None:
    rows = torch.randn(1, 1, 12, 12, generator=torch.Generator().manual_seed(0)).double()
    net = nn.Sequential(nn.Flatten(), linear([np.linspace(-1, 1, 144).tolist()]))
    wide = saliscope.trust(net, rows, method="occlusion", window=(1, 3, 3), draws=99)
    single = saliscope.trust(net, rows, method="occlusion", window=1, draws=99)
    assert "correlation" not in wide.data["measure"]
    assert single["correlation"]["value"] == pytest.approx(1.0)


def test_a_pixel_map_is_tested_in_blocks() -> None:
    picture = np.zeros((28, 28), dtype=np.uint8)
    picture[6:9, 7:21] = picture[9:24, 15:18] = 255
    found = saliscope.trust("zoo:digits", picture, draws=99, randomize=False)
    assert (found.meta["unit_kind"], found.meta["groups"]) == ("block", 196)
    assert found["deletion"]["p"] <= 0.05
    assert found["insertion"]["p"] <= 0.05
