"""Linkage of a panel's variants: counts by hand, shifts from a closed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from saliscope.variants.calls.panel import Panel
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.interpret import interpret
from saliscope.variants.effects.linkage import panel_linkage
from saliscope.variants.effects.scoring import Scorer
from variants.effects.toy_encoder import Toy
from variants.effects.toy_people import missense_edit, transcript_of, write_people

RESIDUES = 61
# Copies are words of 0 and 1: the edits at residues 40, 20 and 30.
PEOPLE = {
    "ann": ("110", "001"), "ben": ("100", "000"), "cat": ("110", "000"), "dan": ("000", "001"),
    "eva": ("110", "100"), "fay": ("000", "000"), "gus": ("110", "010"),
}  # fmt: skip
GROUPS = {"ann": "A", "ben": "A", "cat": "B", "dan": "B", "eva": "A", "fay": "B", "gus": "B"}


@pytest.fixture(scope="module")
def transcript() -> Transcript:
    return transcript_of(RESIDUES)


@pytest.fixture(scope="module")
def edits(transcript: Transcript) -> list[Edit]:
    return [missense_edit(transcript, at) for at in (40, 20, 30)]


@pytest.fixture(scope="module")
def panel(
    transcript: Transcript, edits: list[Edit], tmp_path_factory: pytest.TempPathFactory
) -> Panel:
    return write_people(tmp_path_factory.mktemp("linked"), transcript, edits, PEOPLE, GROUPS)[1]


@pytest.fixture(scope="module")
def toy(transcript: Transcript, edits: list[Edit]) -> Toy:
    one, other = (haplotype(transcript, [e]).changes[0] for e in edits[:2])
    return Toy(RESIDUES, 0, (other.position, other.alt, one.position, one.alt, 4.0))


def names(transcript: Transcript, edits: list[Edit]) -> list[str]:
    return [haplotype(transcript, [e]).changes[0].short for e in edits]


def test_counts_leave_the_person_out_and_are_by_group(
    transcript: Transcript, edits: list[Edit], panel: Panel, toy: Toy
) -> None:
    copies = panel.pair("ann")
    assert copies is not None
    found = panel_linkage(panel.without("ann"), Scorer(toy.model), copies, 1e-9)
    at40, at20, at30 = names(transcript, edits)
    pairs = {frozenset((p.first, p.second)): p for p in found.pairs}
    both = pairs[frozenset((at40, at20))]
    # 12 chromosomes without ann: 40 on ben, cat, eva twice, gus; 20 on cat, eva, gus twice.
    assert (both.whole.haplotypes, both.whole.both) == (12, 3)
    assert {both.first: both.whole.first, both.second: both.whole.second} == {at40: 5, at20: 4}
    assert both.who == "one copy"
    assert both.whole.r2 == pytest.approx((3 / 12 - 20 / 144) ** 2 / (5 * 7 * 4 * 8 / 12**4))
    assert {g: (x.haplotypes, x.both) for g, x in both.groups.items()} == {"A": (4, 1), "B": (8, 2)}
    apart = pairs[frozenset((at40, at30))]
    assert (apart.who, apart.whole.both, apart.whole.d_prime) == ("two copies", 0, -1.0)
    assert found.pairs[0] is both


def test_what_is_correlated_is_the_worth_of_a_variant_on_each_protein(
    transcript: Transcript, edits: list[Edit], panel: Panel, toy: Toy
) -> None:
    copies = panel.pair("ann")
    assert copies is not None
    rest = panel.without("ann")
    scorer = Scorer(toy.model)
    found = panel_linkage(rest, scorer, copies, 1e-9)

    def s(*chosen: Edit) -> float:
        return toy.score(haplotype(transcript, chosen).protein)

    a, b, c = edits
    hosts = {(): 5, (a,): 2, (a, b): 3, (b,): 1, (c,): 1}
    worth = np.array(
        [[s(*{*host, e}) - s(*(x for x in host if x != e)) for e in (a, b)] for host in hosts]
    )
    often = np.repeat(worth, list(hosts.values()), axis=0)
    pair = next(p for p in found.pairs if p.who == "one copy")
    assert pair.correlation == pytest.approx(np.corrcoef(often.T)[0, 1], abs=1e-6)
    # The coupling is between 40 and 20; what is at 30 is worth the same everywhere.
    assert all(p.correlation is None for p in found.pairs if p is not pair)
    assert (found.proteins, found.correlation.pairs, found.correlation.p) == (5, 1, None)
    assert "not tested, because 1 pair has both values" in found.text
    # 5 proteins and those with a variant more or less: all 8 subsets of three edits.
    assert scorer.passes == 8


def test_background_partners_are_listed_and_strangers_are_not(
    transcript: Transcript, edits: list[Edit], panel: Panel, toy: Toy
) -> None:
    copies = panel.pair("ben")  # 40 alone
    assert copies is not None
    found = panel_linkage(panel.without("ben"), Scorer(toy.model), copies, 1e-9)
    at40, at20, at30 = names(transcript, edits)
    told = {frozenset((p.first, p.second)): (p.who, bool(p.groups)) for p in found.pairs}
    assert told == {
        frozenset((at40, at20)): ("background", True),
        frozenset((at40, at30)): ("", False),
        frozenset((at20, at30)): ("", False),
    }


def test_a_variant_that_nobody_else_has_has_no_linkage(
    transcript: Transcript, panel: Panel, toy: Toy
) -> None:
    edits = [missense_edit(transcript, at) for at in (40, 50)]
    found = panel_linkage(panel, Scorer(toy.model), [haplotype(transcript, edits)], 1e-9)
    pair = next(p for p in found.pairs if p.who == "one copy")
    assert (pair.whole.r2, pair.whole.both) == (None, 0)


def test_twenty_pairs_are_tested(transcript: Transcript, tmp_path: Path) -> None:
    edits = [missense_edit(transcript, 8 * k) for k in range(1, 8)]
    rng = np.random.default_rng(1)
    words = ["".join(map(str, rng.integers(2, size=7))) for _ in range(60)]
    people = {f"p{i}": (words[2 * i], words[2 * i + 1]) for i in range(30)}
    _, panel = write_people(tmp_path, transcript, edits, people, dict.fromkeys(people, "A"))
    found = panel_linkage(panel, Scorer("zoo:protein"), [haplotype(transcript, [])], 1e-6)
    assert found.correlation.pairs == 21
    assert found.correlation.p is not None
    assert "over 21 pairs of 7 variants: Spearman " in found.text
    assert found.text == panel_linkage(
        panel, Scorer("zoo:protein"), [haplotype(transcript, [])], 1e-6
    ).text  # fmt: skip


def test_an_interpretation_holds_it_and_writes_it(
    panel: Panel, toy: Toy, tmp_path: Path, edits: list[Edit], transcript: Transcript
) -> None:
    found = interpret(panel.calls, "ann", toy.model, panel=panel, pairs=200)
    assert found.linkage is not None
    assert found.control is not None
    frame = found.linkage.to_frame()
    assert list(frame[frame["person"] != ""]["group"].unique()) == ["all", "A", "B"]
    assert len(frame[frame["group"] == "all"]) == 3
    found.to_json(tmp_path / "a.json")
    whole = json.loads((tmp_path / "a.json").read_text())
    assert whole["linkage"]["pairs"][0]["whole"]["both"] == 3
    assert whole["control"]["trained"]["n"] == len(found.reference_set)
    assert interpret(panel.calls, "ann", toy.model, pairs=200).linkage is None
