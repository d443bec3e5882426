"""A protein longer than the model's input: windows, against a slow reference from the equations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from saliscope.models.protein import ProteinModel
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.catalog.build import build_catalog
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.effects.interpret import interpret
from saliscope.variants.effects.record import Effect, Interpretation
from saliscope.variants.effects.windows import central, reach, windowed
from saliscope.variants.population.match import Matched
from saliscope.variants.report.page import report_html
from saliscope.variants.report.words import check_words, page_text
from saliscope.variants.session import read_population
from saliscope.variants.statistics.matched_null import Match, draw_pairs
from variants.effects.toy_people import missense_edit, transcript_of
from variants.effects.toy_sources import Copies, write_person, write_table

# The tiny ESM-2 takes 62 residues; windows begin every 31, and the last one ends with the protein.
GENE = transcript_of(100)
WINDOWS = ((0, 62), (31, 93), (38, 100))
READ = [0] * 47 + [1] * 19 + [2] * 34
SEEN = 15  # residue 46 is read in the first window, 15 residues before its end
NEAR, NEXT, FAR = (missense_edit(GENE, position) for position in (10, 20, 80))
MIDDLE = missense_edit(GENE, 50)
DELETED = Edit(150, 153, "")


def likelihoods(model: ProteinModel, piece: str) -> np.ndarray:
    """Return log p of each residue of a stretch, in one pass of the bare module."""
    ids = model.tokenizer(piece, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        table = model.module(input_ids=ids).logits[0].log_softmax(-1)
    return np.array([float(table[i, ids[0, i]]) for i in range(1, len(piece) + 1)])


class Slow:
    """Scores one protein after the other, a window at a time."""

    def __init__(self, model: ProteinModel) -> None:
        self.model = model
        self.by_window: dict[tuple[str, int, int], np.ndarray] = {}

    def window(self, protein: str, low: int, high: int) -> np.ndarray:
        key = protein, low, high
        if key not in self.by_window:
            self.by_window[key] = likelihoods(self.model, protein[low:high])
        return self.by_window[key]

    def shift(self, *pair: list[Edit]) -> float:
        one, other = (haplotype(GENE, edits).protein for edits in pair)
        total = 0.0
        for i, w in enumerate(READ):
            low, high = WINDOWS[w]
            total += self.window(one, low, high)[i - low] - self.window(other, low, high)[i - low]
        return total

    def spread(self, *pair: list[Edit]) -> float:
        """Return how far the windows that see a difference are apart in its sum."""
        one, other = (haplotype(GENE, edits).protein for edits in pair)
        sums = [
            float(self.window(one, *w).sum() - self.window(other, *w).sum())
            for w in WINDOWS
            if one[w[0] : w[1]] != other[w[0] : w[1]]
        ]
        return max(sums) - min(sums)


@pytest.fixture(scope="module")
def slow(protein: ProteinModel) -> Slow:
    return Slow(protein)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Matched:
    folder = tmp_path_factory.mktemp("long")
    copies: Copies = {
        NEXT: lambda _group, an: an // 4, FAR: lambda _group, an: an // 4,
        DELETED: lambda _group, an: an // 800,
    }  # fmt: skip
    return read_population(GENE, write_table(folder, GENE, copies), (), None)


@pytest.fixture(scope="module")
def found(protein: ProteinModel, population: Matched, tmp_path_factory) -> Interpretation:
    person = {NEAR: "1|0", NEXT: "1|0", FAR: "1|0", MIDDLE: "0|1"}
    file = write_person(tmp_path_factory.mktemp("me"), GENE, person)
    return interpret(
        read_calls(file, GENE, build="GRCh38"), "me", protein, population=population, pairs=300
    )


def effect_of(found: Interpretation, edit: Edit) -> Effect:
    coding = haplotype(GENE, [edit]).changes[0].coding
    return next(e for e in found.effects if e.coding == coding)


def test_which_windows_are_read() -> None:
    assert windowed(100, 62) == WINDOWS
    assert list(central(100, WINDOWS)) == READ
    assert reach(100, 62) == SEEN


def test_effects_equal_the_slow_reference(found: Interpretation, slow: Slow) -> None:
    own = [NEAR, NEXT, FAR]
    for edit in own:
        effect = effect_of(found, edit)
        rest = [e for e in own if e != edit]
        assert effect.last_out == pytest.approx(slow.shift(own, rest), abs=1e-9)
        assert effect.first_in == pytest.approx(slow.shift([edit], []), abs=1e-9)
        assert effect.windows == pytest.approx(slow.spread(own, rest), abs=1e-9)
    middle = effect_of(found, MIDDLE)  # in all three windows, read in the second
    assert middle.last_out == pytest.approx(slow.shift([MIDDLE], []), abs=1e-9)
    assert middle.windows == pytest.approx(slow.spread([MIDDLE], []), abs=1e-9)
    assert middle.windows > 1e-3
    assert effect_of(found, NEAR).windows == 0.0  # in the first window alone


def test_backgrounds_equal_the_slow_reference(found: Interpretation, slow: Slow) -> None:
    effect = effect_of(found, MIDDLE)
    expected = {}
    for host in ([], [NEXT], [FAR], [NEXT, FAR]):
        label = haplotype(GENE, host).label
        expected[label if not host else f"with {label}"] = slow.shift([*host, MIDDLE], host)
    given = {b.label: b.shift for b in effect.backgrounds}
    assert {k: given[k] for k in expected} == pytest.approx(expected, abs=1e-9)
    # residue 10 never stands in a window with residue 80
    near = {b.label: b.shift for b in effect_of(found, NEAR).backgrounds}
    far = haplotype(GENE, [FAR]).label
    assert near[f"with {far}"] == pytest.approx(near["reference"], abs=1e-12)


def test_what_is_not_seen_together_is_not_tested_and_said(
    found: Interpretation, tmp_path: Path
) -> None:
    near, following, far = (effect_of(found, e) for e in (NEAR, NEXT, FAR))
    (pair,) = found.pairs
    assert {pair.first, pair.second} == {near.short, following.short}
    assert pair.matches > 0
    unseen = f"the model does not see it together with {far.protein}"
    assert near.reading.endswith(f"; {unseen}")
    # what tells the backgrounds of residue 80 apart is all at residue 20
    alone = "background dependence cannot be assessed, for the model does not see it together with "
    assert far.reading == alone + following.protein
    assert following.protein not in near.reading
    (note,) = (n for n in found.notes if "windows" in n)
    assert note.startswith("the protein has 100 residues and the model takes 62: it is seen in")
    assert "changes more than 15 residues apart are not seen together" in note
    assert (near.gradient, near.path, near.agreement) == (None, None, "")
    text = page_text(report_html(found, tmp_path / "report.html").read_text())
    assert check_words(text) == []
    assert "the protein exceeds the model's input; so far apart are its windows" in text
    assert note[1:] in text
    assert unseen in text


def test_null_pairs_are_as_near_as_tested_ones() -> None:
    rng = np.random.default_rng(0)
    effects, places = rng.normal(size=400), np.repeat(np.arange(1, 101), 4)
    match = Match(2, 7, 1)
    every = draw_pairs(0, effects, places, match, 10**6)
    near = draw_pairs(0, effects, places, match, 10**6, farthest=SEEN)
    apart = np.abs(places[every[:, 0]] - places[every[:, 1]])
    np.testing.assert_array_equal(near, every[apart <= SEEN])
    assert 0 < len(near) < len(every)


def test_a_catalog_equals_the_slow_reference(
    protein: ProteinModel, population: Matched, slow: Slow, tmp_path: Path
) -> None:
    catalog = build_catalog(GENE, protein, tmp_path / "c", population=population)
    entries = catalog.entries().set_index("entry")
    names = {edit: haplotype(GENE, [edit]).changes[0].coding for edit in (NEAR, NEXT, FAR, MIDDLE)}
    for edit, coding in names.items():
        row = entries.loc[f"missense {coding}"]
        assert row["shift"] == pytest.approx(slow.shift([edit], []), abs=1e-9)
        assert row["disagreement"] == pytest.approx(slow.spread([edit], []), abs=1e-9)
    common = entries.loc[f"variant {names[FAR]}"]
    assert common["shift"] == entries.loc[f"missense {names[FAR]}", "shift"]
    shorter = entries.loc[f"variant {haplotype(GENE, [DELETED]).changes[0].coding}"]
    assert shorter["length"] == 99
    assert np.isnan(shorter["shift"])
    made = haplotype(GENE, [DELETED]).protein
    # 99 residues: the last window is 38-99 (from 1), so that the middle one is read to residue 64
    chosen = central(99, windowed(99, 62))
    assert windowed(99, 62) == ((0, 62), (31, 93), (37, 99))
    score = sum(
        slow.window(made, low, high)[i - low]
        for i, (low, high) in ((i, windowed(99, 62)[w]) for i, w in enumerate(chosen))
    )
    assert shorter["score"] == pytest.approx(score, abs=1e-9)
    assert entries["score"].notna().all()
