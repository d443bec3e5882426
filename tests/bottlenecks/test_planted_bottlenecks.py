"""Bottlenecks of which it is known what they keep are told apart, and measured rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from helpers import cuts
from saliscope.bottleneck import Audit, Scan, Task, audit
from saliscope.models.protein import ProteinModel

PROTEINS = cuts.proteins(24, low=30, high=46)


def audited(between: nn.Module, proteins: list[str] = PROTEINS, **options: Any) -> Audit:
    settings: dict[str, Any] = {
        "feed": cuts.feed, "rival": None, "probes": (), "variants": 8, "folds": 3, "dimension": 20,
        **cuts.PARTS, **options,
    }  # fmt: skip
    return audit(cuts.Planted(between).eval(), proteins, **settings)


@pytest.mark.parametrize(
    ("between", "keeps"),
    [(cuts.Composition(), "composition"), (cuts.Order(), "order"), (cuts.Everything(), "both"),
     (cuts.Constant(), "neither")],
)  # fmt: skip
def test_what_is_kept_is_told_apart(between: nn.Module, keeps: str) -> None:
    assert audited(between, variants=0).keeps == keeps


def accuracy(found: Audit, source: str = "bottleneck", label: str = "all") -> float:
    row = found.accuracy("all", label, source)
    assert row is not None
    return float(row["accuracy"])


def test_everything_is_rebuilt_and_nothing_else_is() -> None:
    found = audited(cuts.Everything(), variants=0)
    assert accuracy(found) == 1.0
    assert accuracy(found, "slots in another order") < 0.5
    common = np.mean([max(map(p.count, set(p))) / len(p) for p in PROTEINS])
    assert accuracy(found, "composition") == pytest.approx(common)


def test_composition_alone_rebuilds_what_the_commonest_residue_does() -> None:
    found = audited(cuts.Composition(), variants=0)
    assert accuracy(found) == pytest.approx(accuracy(found, "composition"))
    assert accuracy(found, "another input's bottleneck") < accuracy(found)


def test_probes_tell_composition_from_order() -> None:
    kept, lost = (
        audited(b, variants=0, probes=("linear",)) for b in (cuts.Composition(), cuts.Order())
    )
    full, least = (f.best("composition", "bottleneck") for f in (kept, lost))
    assert full is not None
    assert least is not None
    assert full["value"] > 0.7
    assert full["selectivity low"] > 0
    assert least["value"] < 0.5
    assert "residues are not asked about" in " ".join(kept.notes)
    where = lost.best("residue", "bottleneck")
    everything = audited(cuts.Everything(), variants=0, probes=("linear",))
    there = everything.best("residue", "bottleneck")
    assert where is not None
    assert there is not None
    assert there["value"] > 0.99 > 0.8 > where["value"]


def test_an_informative_bottleneck_beats_every_baseline(protein: ProteinModel) -> None:
    task = Task("told", "residue", "class", tuple(cuts.Told.of(p) for p in PROTEINS))
    found = audited(
        cuts.Told(), tasks=[task], rival=protein, variants=0, dimension=4, folds=2,
        probes=("linear", "nonlinear"),
    )  # fmt: skip
    table = found["probes"]
    own = table[table["task"] == "told"]
    mine = found.best("told", "bottleneck")
    assert mine is not None
    assert mine["value"] > 0.99
    assert mine["selectivity low"] > 0.2
    others = own[~own["features"].isin(["bottleneck", "decoder, from the bottleneck"])]
    assert set(others["features"]) == {
        "another input's bottleneck", "encoder, mean over places", "window of residues",
        "tiny-esm",
    }  # fmt: skip
    assert others["value high"].max() < mine["value low"]
    assert others["selectivity high"].max() < mine["selectivity low"]


def test_what_a_word_says_by_itself_is_no_selectivity() -> None:
    """Labels drawn once per word are what the control is made of: nothing is left over."""
    rng = np.random.default_rng(3)
    drawn: dict[str, float] = {}
    values = []
    for p in PROTEINS:
        words = [p[max(0, i - 1) : i + 2] for i in range(len(p))]
        values.append(np.array([drawn.setdefault(w, float(rng.integers(2))) for w in words]))
    task = Task("words", "residue", "class", tuple(values))
    found = audited(cuts.Everything(), tasks=[task], probes=("linear",), variants=0)
    for _, row in found["probes"][found["probes"]["task"] == "words"].iterrows():
        assert abs(row["selectivity"]) < 0.12


def test_variants_survive_where_residues_are_kept() -> None:
    kept = audited(cuts.Everything())["variants"]
    assert kept["survives"].eq(1).all()
    assert kept["written"].eq("variant").all()
    assert kept["slots"].eq(1).all()
    assert kept["slot"].tolist() == kept["position"].tolist()
    np.testing.assert_allclose(kept["share of slot"], 1.0)
    assert kept["other places"].eq(0).all()
    assert kept["times noise"].min() > 1e6
    sizes = np.sqrt(2 / kept["residues"])
    np.testing.assert_allclose(kept["distance"], sizes)
    lost = audited(cuts.Composition())["variants"]
    assert lost["survives"].mean() < 0.5
    none = audited(cuts.Constant())["variants"]
    assert none["distance"].fillna(0).eq(0).all()


def test_effects_of_variants_that_the_bottleneck_holds_are_read_off_it() -> None:
    sequence = cuts.proteins(1, seed=5, low=70, high=71)[0]
    rng = np.random.default_rng(0)
    names = {}
    for place in rng.permutation(70)[:60].tolist():
        alt = "ACDEFGHIKLMNPQRSTVWY"[(place + 7) % 20]
        if alt != sequence[place]:
            names[f"{sequence[place]}{place + 1}{alt}"] = float("ILMFVWY".find(alt) >= 0) * 2.0 - (
                0.5 * float(sequence[place] in "DEKR")
            )
    found = audited(
        cuts.Composition(), scans=[Scan("toy", sequence, names)], probes=("linear",), variants=0,
        dimension=20,
    )  # fmt: skip
    best = found.best("effect of variants, toy", "bottleneck")
    assert best is not None
    assert best["value"] > 0.5
    assert best["selectivity low"] > 0
