"""The page: what it says, what it never says, and what cannot get into it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from report_examples import (
    ASSAYS,
    DOMAINS,
    EVERY,
    FRAMESHIFT,
    HG01183,
    REFERENCE,
    STARS,
    STRUCTURE,
    SYNONYMOUS,
    UNPHASED,
)

from saliscope.core.errors import InputError
from saliscope.variants.effects.record import Interpretation
from saliscope.variants.report.page import report_html
from saliscope.variants.report.words import check_words, page_text

QUIZ = Path(__file__).with_name("quiz.md")


Write = Callable[..., str]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Return what writes the report of an interpretation and reads its HTML."""
    folder = tmp_path_factory.mktemp("report")

    def write(one: Interpretation, **tables: Any) -> str:
        return report_html(one, folder / "report.html", **tables).read_text()

    return write


TABLES = {"domains": DOMAINS, "structure": STRUCTURE, "stars": STARS, "assays": ASSAYS}


@pytest.fixture(scope="module")
def html(page: Write) -> str:
    return page(HG01183, **TABLES)


@pytest.fixture(scope="module")
def unphased(page: Write) -> str:
    return page(UNPHASED)


def section(html: str, title: str, at: int = 0) -> str:
    """Return the words of the sections of a change, in order."""
    parts = re.findall(r'<section class="variant.*?</section>', html, re.DOTALL)
    return page_text([p for p in parts if f"<bdi>{title}</bdi></" in p or
                      f"<bdi>{title}</bdi> <span" in p][at])  # fmt: skip


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.sample)
@pytest.mark.parametrize("readout", ["likelihood", "projection", "norm"])
def test_no_report_uses_refused_words(one: Interpretation, readout: str, page: Write) -> None:
    said = replace(one, settings={**one.settings, "readout": readout})
    text = page_text(page(said))
    assert check_words(text) == []
    assert len(text) > 2000


def test_the_page_alone_answers_the_quiz(html: str) -> None:
    text = " ".join(page_text(html).split())
    questions = re.split(r"\n(?=\d+\. )", QUIZ.read_text())[1:]
    assert len(questions) == 12
    for question in questions:
        found = re.findall(r"Found: `(.+?)`", question)
        assert found
        missing = [words for words in found if words.casefold() not in text.casefold()]
        assert not missing, question


def test_the_first_page_has_five_lines(html: str) -> None:
    block = re.search(r'<ol class="five">(.*?)</ol>', html, re.DOTALL)
    assert block is not None
    assert len(re.findall("<li>", block[1])) == 5
    lines = page_text(block[1])
    assert "HG01183; TPMT, transcript NM_000367.5, GRCh37, protein of 245 residues." in lines
    assert "Copy 1: p.[Ala154Thr;Tyr240Cys] (*3A, catalogued function: No Function)." in lines
    assert "a small demonstration model" in lines
    strongest = re.search(r"Copy 1: p\.Ala154Thr \(with p\.Tyr240Cys\).*?sigma", lines)
    assert strongest is not None
    assert "last-out −2.31, first-in −1.93 (quantile" in strongest[0]
    assert "of 1,441 missense changes" in strongest[0]


def test_one_section_for_each_change_and_copy(html: str) -> None:
    ids = re.findall(r'<h2 id="(variant-\d+)"', html)
    assert sorted(ids) == [f"variant-{i}" for i in range(1, 5)]
    links = re.findall(r'href="#(variant-\d+)"', html)
    assert links == [f"variant-{i}" for i in range(1, 5)]


def test_a_variant_page_holds_the_numbers_of_its_copy(html: str) -> None:
    first, second = (section(html, "p.Tyr240Cys", i) for i in (0, 1))
    assert "copy 1 of 2, in cis with p.Ala154Thr" in first
    assert "last-out, own background\n−1.26" in first
    assert "copy 2 of 2, alone on its copy" in second
    assert "last-out, own background\n−0.88" in second
    for text in (first, second):
        assert "rs1142345" in text
        assert "first-in on the reference\n−0.88" in text
        assert "Source: carriers observed." in text
        assert "people carrying it\n29\n22\n37\n17\n82\n187" in text
        assert "0.41 (abundance, VAMP-seq, Matreyek 2018)" in text
    assert "with p.Ala154Thr (this copy's own)\n−1.26\n28\n0\n27\n4\n4\n63" in first
    assert "reference (this copy's own)\n−0.88\n1\n22\n11\n13\n84\n131" in second
    assert "rank 0.12 among 1,000 matched pairs" in first
    assert "matched pairs" not in second


def test_one_background_is_said_to_be_one(html: str) -> None:
    text = section(html, "p.Ala154Thr")
    assert "One background (with p.Tyr240Cys): −2.31 in all 63 haplotypes" in text
    assert "there is no spread to show" in text


def test_ranks_and_intervals_say_what_they_are(html: str) -> None:
    text = " ".join(page_text(html).split())
    assert "of either sign (two-sided): (1 + how many) / (1 + matched pairs)" in text
    assert "corrected for all pairs that were tested (Benjamini-Hochberg)" in text
    assert "All such changes were scored, so that the rank itself is exact" in text
    assert "A person carries two copies of the gene, numbered here." in text


def test_synonymous_has_no_number(html: str) -> None:
    text = section(html, "p.Ile158=")
    assert text.startswith("p.Ile158= rs2842934\ncopy 2 of 2, in cis with p.Tyr240Cys")
    assert "Not assessed. The protein is unchanged" in text
    assert "sigma" not in text
    assert "quantile" not in text


def test_a_frameshift_says_what_is_lost_and_has_no_sigma(unphased: str) -> None:
    text = section(unphased, FRAMESHIFT.protein)
    assert "Length changes, score not comparable." in text
    assert "149 residues are lost (245 residues before, 118 after)" in text
    assert "PLQRCWPSTQVNLHKERTAGVM (22)" in text
    assert "sigma" not in text
    assert "not seen in the panel among 5,008 chromosomes" in text.casefold()
    assert "people carrying it\n0\n0\n0\n0\n0\n0" in text


def test_an_unphased_person_gets_all_phasings_and_extremes(unphased: str) -> None:
    text = page_text(unphased)
    assert "which changes share a copy is not known." in text
    assert "3 phasings were considered; this page reads the first (weight 50 %)" in text
    assert "last-out over all phasings\n−1.26 to −0.88\nextremes of 3 phasings" in text
    assert "p.Ala80Pro / p.[Arg97ProfsTer23;Tyr240Cys]\n25 %\n–" in text
    assert "Not called, taken as the genome's base: c.474, c.719 (one copy)." in text
    assert "4 further\n−4.25 to −3.92" in text
    assert "Source: implanted on the panel. Nobody in the panel carries this change" in text
    assert "Source: reference only." in text
    assert "±0.031" in text


def test_phasing_support_of_the_panel_is_shown(page: Write) -> None:
    configurations = (
        {"haplotypes": ["p.[Ala154Thr;Tyr240Cys]", "reference"], "weight": 1, "support": [64, 46]},
        {"haplotypes": ["p.Ala154Thr", "p.Tyr240Cys"], "weight": 0.0, "support": [0, 131]},
    )  # fmt: skip
    one = replace(HG01183, configurations=configurations, phase="unphased")
    text = page_text(page(one))
    assert "p.[Ala154Thr;Tyr240Cys] / reference\n100 %\n64 : 46" in text
    assert "p.Ala154Thr / p.Tyr240Cys\n0 %\n0 : 131" in text


def test_without_a_population_nothing_is_counted_twice(html: str, page: Write) -> None:
    text = page_text(page(REFERENCE))
    assert "contains population information" not in text.casefold()
    assert "demonstration model" not in text
    assert "Copy 1: the reference protein, nothing to take out." in text
    assert "contains population information" in page_text(html).casefold()


def test_a_shift_below_the_noise_says_so(page: Write) -> None:
    quiet = replace(HG01183.effects[3], last_out=1e-7, below_noise=True)
    one = replace(HG01183, effects=(quiet,), pairs=())
    text = page_text(page(one))
    assert "below the noise floor\n< 3.1e-06" in text


class Tags(HTMLParser):
    """Collects what a browser would act upon."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


BAD = '<script>alert(1)</script><img src=x onerror="alert(2)">\u202e'


def test_names_from_outside_are_text(page: Write) -> None:
    effect = replace(HG01183.effects[1], ids=(BAD,), partners=(BAD,), presence=BAD, reading=BAD)
    silent = replace(SYNONYMOUS, note=BAD, ids=(BAD,))
    one = replace(
        HG01183, sample=BAD, gene=BAD, transcript=BAD, effects=(effect, silent), notes=(BAD,),
        population=(BAD,), missing=(BAD,), not_assessed=(BAD,), frequent=BAD, clustering=BAD,
        model={"name": BAD, BAD: BAD}, versions={BAD: BAD},
        copies=tuple(replace(c, label=BAD) for c in HG01183.copies),
        configurations=({"haplotypes": [BAD], "weight": 1.0, "support": None},),
    )  # fmt: skip
    text = page(one, stars={BAD: (BAD, BAD)}, assays={"Y240C": (BAD, BAD)}, domains=[(1, 200, BAD)])
    found = Tags(text)
    assert not {"script", "img", "link", "iframe", "object"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


def test_the_page_is_whole_by_itself(html: str) -> None:
    found = Tags(html)
    links = [v for name, v in found.attributes if name in {"href", "src", "xlink:href"}]
    assert links
    assert all(link.startswith("#") for link in links)
    outside = set(re.findall(r"https?://[^\s\"'<)]+", html))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert html.startswith("<!DOCTYPE html>")
    ids = [v for name, v in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_equal_interpretations_give_equal_bytes(html: str, page: Write) -> None:
    assert page(HG01183, **TABLES) == html


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        report_html(REFERENCE, tmp_path / "nowhere" / "r.html")
    with pytest.raises(InputError, match="runs from 1 to 300; give residues within 1 to 245"):
        report_html(REFERENCE, tmp_path / "r.html", domains=[(1, 300, "all")])
    assert list(tmp_path.iterdir()) == []


def test_linkage_is_listed_by_group_and_says_what_was_correlated(html: str) -> None:
    text = page_text(html)
    cells = ["A154T and Y240C (both on one copy)", "63", "194", "63", "0.32", "+1.00"]
    by_group = ["0.96", "–", "0.70", "0.23", "0.04"]
    assert "\n".join([*cells, *by_group, "+0.43"]) in text
    assert "Q179H and Y240C" not in text  # not this person's
    assert "Linkage in the panel (5,006 haplotypes, this person left out)" in text
    assert "over 10 pairs of 5 variants: not tested, 20 pairs are needed." in text
    assert "its shift on each of the panel's 6 distinct proteins" in text


def test_the_control_names_whose_gradients_and_whose_ablation(html: str) -> None:
    text = page_text(html)
    assert "Over 1,441 missense changes, each put into the reference" in text
    assert (
        "copies of the model with randomized weights, against the ablation of the trained" in text
    )
    assert "(mean +0.01; chance is 0)" in text


def test_without_a_panel_nothing_is_said_of_linkage(page: Write) -> None:
    text = page_text(page(REFERENCE))
    assert "Are linked variants" not in text
    assert "linkage (r², D′)" not in text
    assert "Does the saliency check rest" not in text


def test_a_person_without_pairs_still_gets_the_panels_sentence(page: Write) -> None:
    assert HG01183.linkage is not None
    others = replace(HG01183.linkage, pairs=HG01183.linkage.pairs[1:])
    text = page_text(page(replace(HG01183, linkage=others)))
    assert "No change of this person stands beside another" in text
    assert "not tested, 20 pairs are needed" in text
