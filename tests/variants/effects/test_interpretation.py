"""Every number of an interpretation against the closed form of a toy encoder."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest

from helpers import toys
from saliscope.variants.calls.panel import Panel
from saliscope.variants.calls.record import Calls
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype, missense_changes
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.interpret import interpret
from saliscope.variants.effects.record import Interpretation
from saliscope.variants.report.page import report_html
from variants.effects.toy_encoder import LETTERS, Toy
from variants.effects.toy_people import missense_edit, transcript_of, write_people

RESIDUES = 61
PEOPLE = {
    "ann": ("110", "100"), "ben": ("100", "000"), "cat": ("110", "000"), "dan": ("000", "001"),
    "eva": ("100", "100"), "fay": ("000", "000"), "gus": ("110", "010"),
}  # fmt: skip
GROUPS = {"ann": "A", "ben": "A", "cat": "B", "dan": "B", "eva": "A", "fay": "B", "gus": "B"}


@pytest.fixture(scope="module")
def transcript() -> Transcript:
    return transcript_of(RESIDUES)


@pytest.fixture(scope="module")
def edits(transcript: Transcript) -> list[Edit]:
    silent = next(
        Edit(b, b + 1, alt)
        for b in range(2, 150, 3) for alt in "ACGT"
        if alt != transcript.cds[b]
        and haplotype(transcript, [Edit(b, b + 1, alt)]).changes[0].kind == "synonymous"
    )  # fmt: skip
    return [missense_edit(transcript, 40), missense_edit(transcript, 20), silent]


@pytest.fixture(scope="module")
def people(
    transcript: Transcript, edits: list[Edit], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Calls, Panel]:
    return write_people(tmp_path_factory.mktemp("toy"), transcript, edits, PEOPLE, GROUPS)


def planted(transcript: Transcript, edits: list[Edit], seed: int, size: float = 4.0) -> Toy:
    """Return an encoder in which the residue of edit 1 at 20 likes that of edit 0 at 40."""
    one, other = (haplotype(transcript, [e]).changes[0] for e in edits[:2])
    return Toy(RESIDUES, seed, (other.position, other.alt, one.position, one.alt, size))


@pytest.fixture(scope="module")
def toy(transcript: Transcript, edits: list[Edit]) -> Toy:
    return planted(transcript, edits, 0)


@pytest.fixture(scope="module")
def result(people: tuple[Calls, Panel], toy: Toy) -> Interpretation:
    return interpret(people[0], "ann", toy.model, panel=people[1])


def test_last_out_and_first_in_equal_the_formula(
    result: Interpretation, transcript: Transcript, edits: list[Edit], toy: Toy
) -> None:
    def s(*chosen: Edit) -> float:
        return toy.score(haplotype(transcript, chosen).protein)

    a, b, _ = edits
    expected = {
        (0, b): (s(a, b) - s(a), s(b) - s()), (0, a): (s(a, b) - s(b), s(a) - s()),
        (1, a): (s(a) - s(), s(a) - s()),
    }  # fmt: skip
    copies = [c.label for c in result.copies]
    both = next(i for i, label in enumerate(copies, 1) if ";" in label)
    for effect in result.effects:
        edit = next(e for e in (a, b) if haplotype(transcript, [e]).changes[0].coding
                    == effect.coding)  # fmt: skip
        last_out, first_in = expected[0 if effect.copy == both else 1, edit]
        assert effect.last_out == pytest.approx(last_out, abs=1e-6)
        assert effect.first_in == pytest.approx(first_in, abs=1e-6)
    assert len(result.effects) == 3


def test_the_reference_set_and_the_standing_equal_the_formula(
    result: Interpretation, transcript: Transcript, toy: Toy
) -> None:
    reference = haplotype(transcript, []).protein
    distinct = {c.short: haplotype(transcript, c.edits).protein for c in
                missense_changes(transcript)}  # fmt: skip
    expected = np.sort([toy.score(p) - toy.score(reference) for p in distinct.values()])
    np.testing.assert_allclose(np.sort(result.reference_set), expected, atol=1e-6)
    effect = result.effects[0]
    assert effect.standing is not None
    assert effect.first_in is not None
    rank = (expected < effect.first_in - 1e-7).sum() + 0.5 * (
        np.abs(expected - effect.first_in) <= 1e-6
    ).sum()  # fmt: skip
    assert effect.standing.quantile == pytest.approx((rank + 1) / (len(expected) + 1), abs=1e-6)
    median = np.median(expected)
    mad = np.median(np.abs(expected - median))
    assert effect.standing.sigma == pytest.approx((effect.first_in - median) / (1.4826 * mad))


def test_backgrounds_are_counted_without_the_subject(
    result: Interpretation, transcript: Transcript, edits: list[Edit], toy: Toy
) -> None:
    a, b, _ = edits
    name = haplotype(transcript, [a]).changes[0].coding
    effect = next(e for e in result.effects if e.coding == name)
    other = haplotype(transcript, [b])
    shifts = {x.label: (x.shift, dict(x.counts)) for x in effect.backgrounds}
    alone = toy.score(haplotype(transcript, [a]).protein) - toy.score(
        haplotype(transcript, []).protein
    )
    beside = toy.score(haplotype(transcript, [a, b]).protein) - toy.score(other.protein)
    assert set(shifts) == {"reference", f"with {other.label}"}
    assert shifts["reference"][0] == pytest.approx(alone, abs=1e-6)
    assert shifts["reference"][1] == {"A": 3, "B": 0}  # ben 1, eva 2; ann left out
    assert shifts[f"with {other.label}"][0] == pytest.approx(beside, abs=1e-6)
    assert shifts[f"with {other.label}"][1] == {"A": 0, "B": 2}  # cat, gus
    assert effect.source == "carriers observed"
    assert effect.carriers == {"A": 2, "B": 2}


def test_the_planted_pair_is_unusual_and_named(
    result: Interpretation, transcript: Transcript, edits: list[Edit], toy: Toy
) -> None:
    (pair,) = result.pairs
    scores = [
        toy.score(haplotype(transcript, chosen).protein)
        for chosen in (edits[:2], edits[:1], edits[1:2], [])
    ]
    assert pair.on_reference == pytest.approx(scores[0] - scores[1] - scores[2] + scores[3])
    assert pair.on_own == pytest.approx(pair.on_reference, abs=1e-6)
    alone = {
        haplotype(transcript, [e]).changes[0].short: score - scores[3]
        for e, score in zip(edits[:2], scores[1:3], strict=True)
    }
    assert pair.firsts == pytest.approx((alone[pair.first], alone[pair.second]), abs=1e-6)
    assert pair.q is not None
    assert pair.q < 0.05
    partner = haplotype(transcript, edits[1:2]).changes[0]
    name = haplotype(transcript, edits[:1]).changes[0].coding
    effect = next(e for e in result.effects if e.coding == name)
    assert "background-dependent" in effect.reading
    assert partner.protein in effect.reading


def test_shapley_values_and_paths_sum_to_the_shift(result: Interpretation) -> None:
    both = next(c for c in result.copies if ";" in c.label)
    assert both.shift is not None
    assert sum(both.shapley.values()) == pytest.approx(both.shift, abs=1e-6)
    number = result.copies.index(both) + 1
    paths = [e.path for e in result.effects if e.copy == number]
    assert sum(p for p in paths if p is not None) == pytest.approx(both.shift, abs=0.02)


def test_the_gradient_equals_the_formula_of_the_table(
    people: tuple[Calls, Panel], transcript: Transcript, edits: list[Edit]
) -> None:
    toy = Toy(RESIDUES, 3)
    found = interpret(people[0], "eva", toy.model, panel=people[1], pairs=200)
    change = haplotype(transcript, edits[:1]).changes[0]
    row = toy.table[change.position - 1]
    expected = row[LETTERS.index(change.ref)] - row[LETTERS.index(change.alt)]
    for effect in found.effects:
        assert effect.gradient == pytest.approx(expected, abs=1e-5)
        assert effect.last_out == pytest.approx(-expected, abs=1e-5)
        assert effect.path == pytest.approx(-expected, abs=1e-5)


def test_an_additive_encoder_has_no_interaction(people: tuple[Calls, Panel]) -> None:
    toy = Toy(RESIDUES, 1)
    found = interpret(people[0], "ann", toy.model, panel=people[1], pairs=200)
    (pair,) = found.pairs
    assert abs(pair.on_reference) < 1e-5
    assert max(map(abs, pair.null)) < 1e-5
    for effect in found.effects:
        assert "background-dependent" not in effect.reading


@pytest.mark.parametrize("seed", range(100 if "SALISCOPE_SLOW" in os.environ else 4))
def test_a_planted_background_effect_is_found(
    people: tuple[Calls, Panel], transcript: Transcript, edits: list[Edit], seed: int
) -> None:
    toy = planted(transcript, edits, 100 + seed)
    found = interpret(people[0], "cat", toy.model, panel=people[1], pairs=400)
    names = [haplotype(transcript, [e]).changes[0].protein for e in edits[:2]]
    for name, partner in itertools.permutations(names):
        effect = next(e for e in found.effects if e.protein == name)
        assert "background-dependent" in effect.reading
        assert partner in effect.reading


def test_synonymous_changes_are_not_assessed_and_have_no_number(
    people: tuple[Calls, Panel], toy: Toy
) -> None:
    found = interpret(people[0], "dan", toy.model, panel=people[1], pairs=200)
    (effect,) = found.effects
    assert effect.status == "not assessed"
    assert effect.kind == "synonymous"
    assert effect.last_out is effect.first_in is effect.standing is None
    assert "not assessed" in effect.note


def test_where_nothing_can_be_compared_the_reference_set_is_not_scored(
    people: tuple[Calls, Panel], toy: Toy, tmp_path: Path
) -> None:
    with toys.Calls(toy.model.module) as calls:
        found = interpret(people[0], "dan", toy.model, pairs=200)
    assert sum(calls.sizes) < 20
    assert (found.reference_set, found.by_position, found.control) == ((), (), None)
    page = report_html(found, tmp_path / "dan.html").read_text()
    assert "quantiles are among" not in page
    assert "not scored: no change to compare" in page
    with toys.Calls(toy.model.module) as calls:
        assert interpret(people[0], "ben", toy.model, pairs=200).reference_set
    assert sum(calls.sizes) > 300


def test_phases_of_an_unphased_person_give_extremes(
    transcript: Transcript, edits: list[Edit], people: tuple[Calls, Panel], toy: Toy, tmp_path: Path
) -> None:
    calls, _ = write_people(
        tmp_path, transcript, edits, {"ann": ("110", "000")}, {"ann": "A"}, separator="/"
    )
    found = interpret(calls, "ann", toy.model, panel=people[1])
    assert found.phase == "unphased"
    assert len(found.configurations) == 2
    assert math.isclose(sum(c["weight"] for c in found.configurations), 1.0)

    def s(*chosen: Edit) -> float:
        return toy.score(haplotype(transcript, chosen).protein)

    a, b, _ = edits
    name = haplotype(transcript, [a]).changes[0].coding
    effect = next(e for e in found.effects if e.coding == name)
    both = sorted((s(a, b) - s(b), s(a) - s()))
    assert effect.span == pytest.approx(tuple(both), abs=1e-6)


def test_no_carrier_means_implanted_and_no_panel_reference_only(
    transcript: Transcript, edits: list[Edit], people: tuple[Calls, Panel], toy: Toy, tmp_path: Path
) -> None:
    rare = missense_edit(transcript, 30)
    calls, _ = write_people(tmp_path, transcript, [rare], {"zoe": ("1", "0")}, {"zoe": "A"})
    found = interpret(calls, "zoe", toy.model, panel=people[1], pairs=200)
    (effect,) = found.effects
    assert effect.source == "implanted on the panel"
    assert {b.total for b in effect.backgrounds} != {0}
    assert "not seen in the panel among" in effect.presence
    alone = interpret(calls, "zoe", toy.model, pairs=200)
    assert alone.effects[0].source == "reference only"
    assert alone.effects[0].backgrounds == ()
    assert "no population was given" in alone.population[0]


def test_the_result_is_written_as_json_and_csv(result: Interpretation, tmp_path: Path) -> None:
    result.to_json(tmp_path / "a.json")
    result.to_csv(tmp_path / "a.csv")
    frame = result.to_frame()
    assert list(frame["protein"]) == [e.protein for e in result.effects]
    assert (tmp_path / "a.csv").read_text().count("\n") == len(result.effects) + 1
