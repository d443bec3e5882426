"""The page of a cohort: its numbers, its forest plots, its words, and what cannot get into it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saliscope.core.errors import InputError, OptionError
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.cohort import CohortResult, compare_cohort, read_status
from saliscope.variants.report.cohort_page import cohort_html
from saliscope.variants.report.forest import ForestRow, forest
from saliscope.variants.report.words import check_words, page_text
from saliscope.variants.statistics.cohort import associate_tables, correct
from variants.calls.calls_data import TOY, vcf
from variants.report.figure_checks import overlaps
from variants.report.test_report_page import BAD, Tags

# Two strata, of four cases and four controls each; a case of the first comes first.
PEOPLE = [f"{s}{k}{i}" for s in "xy" for k in ("case", "control") for i in range(4)]
STATUS = "sample,status,stratum\n" + "".join(
    f"{name},{'case' if 'case' in name else 'control'},{name[0]}\n" for name in PEOPLE
)
CALLS = {
    # 3 of 4 cases and 1 of 4 controls in both strata.
    "105 A C": "1|0 1|1 0|1 0|0 1|0 0|0 0|0 0|0" * 1 + " 1|0 0|1 1|0 0|0 0|1 0|0 0|0 0|0",
    # Two bases of one codon, in one row: one case.
    "107 CG GC": " ".join(["1|0"] + ["0|0"] * 15) + "#filter=LowQual id=rs7",
    # Synonymous; no call and half a call in a case and a control.
    "203 T C": " ".join(["1|0", "./.", "0|0", "0|0", "0|1", ".|0", *["0|0"] * 10]),
    "205 A G": " ".join(["0|0"] * 16),
}

Make = Callable[..., CohortResult]


@pytest.fixture
def cohort(tmp_path: Path) -> Make:
    """Return what writes genotypes and status, and compares them."""

    def make(
        model: str = "carrier", status: str = STATUS, calls: dict[str, str] = CALLS
    ) -> CohortResult:
        (tmp_path / "status.csv").write_text(status)
        rows = [f"{row} {cells}" for row, cells in calls.items()]
        read = read_calls(vcf(tmp_path / "c.vcf", rows, PEOPLE), TOY)
        return compare_cohort(read, read_status(tmp_path / "status.csv"), model)

    return make


def page(result: CohortResult, folder: Path) -> str:
    return cohort_html(result, folder / "report.html").read_text()


def cells(html: str, caption: str) -> list[list[str]]:
    """Return the body of a table as text."""
    (body,) = re.findall(rf"<caption>{re.escape(caption)}.*?<tbody>(.*?)</tbody>", html, re.DOTALL)
    rows = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    return [[page_text(c) for c in re.findall(r"<t[hd].*?</t[hd]>", r, re.DOTALL)] for r in rows]


def test_numbers_by_hand(cohort: Make, tmp_path: Path) -> None:
    html = page(cohort(), tmp_path)
    first, two_bases, silent = cells(html, "Tested variants")
    # Each stratum has weights 1, 16, 36, 16, 1 of 70 for 0 to 4 cases with it; 6 or more in both
    # have (328 + 32 + 1) of 4900, and as many 2 or fewer. One table of these has 6.4083.
    assert first[0] == "p.Lys2Thr (c.5A>C)"
    assert first[1:6] == ["missense", "6 of 8", "2 of 8", first[4], "0.15"]
    assert first[4].startswith("6.41 [")
    assert round(722 / 4900, 2) == 0.15
    assert first[7:] == [first[7], "1", "0, 0"]
    assert two_bases[0] == "p.Arg3Ala (c.[7C>G;8G>C])"
    assert two_bases[2:4] == ["1 of 8", "0 of 8"]
    assert two_bases[4].startswith("infinite [")
    assert silent[:4] == ["p.Gly4= (c.12T>C)", "synonymous", "1 of 7", "1 of 7"]
    assert silent[-1] == "1, 1"
    assert cells(html, "People by stratum") == [
        ["x", "4", "4", "8"], ["y", "4", "4", "8"], ["all", "8", "8", "16"],
    ]  # fmt: skip


def test_five_lines(cohort: Make, tmp_path: Path) -> None:
    html = page(cohort(), tmp_path)
    block = re.search(r'<ol class="five">(.*?)</ol>', html, re.DOTALL)
    assert block is not None
    assert block[1].count("<li>") == 5
    text = page_text(block[1])
    assert "T, transcript T.1, GRCh38." in text
    assert "4 variants of the coding sequence: 3 missense and 1 synonymous; 3 of them" in text
    assert "8 cases and 8 controls in 2 strata." in text
    assert "1 variants have people without a call" not in text
    assert "1 variant has people without a call, who are left out of its denominator." in text
    assert "None of 3 variants has a q below 0.05. The smallest p:" in text
    assert "p.Lys2Thr: 6 of 8 cases, 2 of 8 controls; odds ratio within strata 6.41 [" in text
    assert "Synonymous control: 1 variant, common odds ratio 1 [" in text
    assert "Association is not cause" in text


def test_what_is_not_tested_is_listed(cohort: Make, tmp_path: Path) -> None:
    text = page_text(page(cohort(status=STATUS + "zoe,case,x\n"), tmp_path))
    assert "No person with it, in any stratum: p.Glu5Gly (c.14A>G)." in text
    assert re.search(r"left out: 1 sample of \S+status.csv, not in \S+c.vcf", text)
    assert "tested, though it did not pass filters (LowQual): 6-107-CG-GC (rs7)" in text
    fewer = STATUS.replace("ycontrol3,control,y\n", "")
    text = page_text(page(cohort(status=fewer), tmp_path))
    assert re.search(r"left out: 1 sample of \S+c.vcf, not in \S+status.csv", text)


@pytest.mark.parametrize("model", ["carrier", "recessive", "allelic"])
def test_words_and_counts_of_each_model(model: str, cohort: Make, tmp_path: Path) -> None:
    html = page(cohort(model), tmp_path)
    text = page_text(html)
    assert check_words(text) == []
    told = {
        "carrier": "People with at least one copy of the allele are counted.",
        "recessive": "Two different variants on the two copies of a person are not counted.",
        "allelic": "Copies of a person are taken as independent (Hardy-Weinberg)",
    }
    assert told[model] in text
    first = cells(html, "Tested variants")[0]
    having = {"carrier": "6 of 8", "recessive": "1 of 8", "allelic": "7 of 16"}
    assert first[2] == having[model]


def test_one_stratum_says_that_nothing_is_adjusted(cohort: Make, tmp_path: Path) -> None:
    status = "\n".join(line.rpartition(",")[0] for line in STATUS.splitlines())
    text = page_text(page(cohort(status=status), tmp_path))
    assert "There is one stratum: nothing is adjusted for ancestry" in text
    assert "Each stratum by itself" not in text


def test_nothing_to_test_is_a_page_too(cohort: Make, tmp_path: Path) -> None:
    empty = {"205 A G": CALLS["205 A G"]}
    text = page_text(page(cohort(calls=empty), tmp_path))
    assert "No variant could be tested: in no stratum do people differ in one." in text
    assert "Synonymous control: no synonymous variant could be tested." in text


def found(cohort: Make, *tables: tuple[tuple[int, int], tuple[int, int]]) -> CohortResult:
    """Return a result with other counts, as many as there are variants."""
    base = cohort()
    made = correct([
        associate_tables(c.coding, {"x": t, "y": t}, "carrier")
        for c, t in zip(base.changes, tables, strict=False)
    ])  # fmt: skip
    return replace(base, changes=base.changes[: len(made)], associations=made)


def test_a_low_q_stands_out(cohort: Make, tmp_path: Path) -> None:
    html = page(found(cohort, ((60, 40), (20, 80)), ((30, 70), (30, 70))), tmp_path)
    text = page_text(html)
    assert "1 of 2 variants has a q below 0.05." in text
    assert "p.Lys2Thr: 120 of 200 cases, 40 of 200 controls; odds ratio within strata 5.9" in text
    assert "tested, q below 0.05" in html
    assert len(re.findall('<tr class="own">', html)) == 1


def test_a_forest_shows_where_odds_ratios_are() -> None:
    rows = [
        ForestRow("first", "tested", 2.0, 0.5, 8.0, "1 of 2", "1 of 3"),
        ForestRow("Group"),
        ForestRow("none", "control", 0.0, 0.0, 3.0, "0 of 2", "1 of 3"),
        ForestRow("all", "low q", np.inf, 1.5, np.inf, "1 of 2", "0 of 3"),
        ForestRow("empty", "tested", cases="0 of 2", controls="0 of 3", remark="no person with it"),
        ForestRow("sum", "common", 2.5, 1.2, 5.0),
    ]
    figure = forest(rows)
    (axes,) = figure.axes
    points = [line for line in axes.lines if line.get_marker() in {"o", "s", "D", "d"}]
    assert {float(p.get_xdata()[0]) for p in points} == {2.0, 2.5}
    assert {p.get_marker() for p in points} == {"o", "d"}
    arrows = {(p.get_marker(), float(p.get_xdata()[0])) for p in axes.lines
              if p.get_marker() in {"<", ">"}}  # fmt: skip
    assert arrows == {("<", 0.0), (">", 1.0)}
    low, high = axes.get_xlim()
    assert low * high == pytest.approx(1.0)
    assert low < 0.5
    assert high > 8
    heights = [float(p.get_ydata()[0]) for p in points]
    assert heights == sorted(heights)
    texts = {t.get_text() for t in figure.texts}
    assert {"2 [0.5, 8]", "infinite [1.5, infinite]", "no person with it", "Group"} <= texts
    assert overlaps(figure) == []


def test_a_forest_with_much_in_it_stays_legible() -> None:
    rows = [
        ForestRow("p.[Ala154Thr;Tyr240Cys] and more of it", "tested", 10.0**k, 10.0 ** (k - 3),
                  10.0 ** (k + 3), "123,456 of 234,567", "123,456 of 345,678")
        for k in range(-3, 4)
    ]  # fmt: skip
    figure = forest(rows)
    assert overlaps(figure) == []
    assert figure.axes[0].get_xlim() == pytest.approx((1 / 200, 200))


def test_a_forest_without_rows_is_refused() -> None:
    with pytest.raises(OptionError, match="nothing to draw"):
        forest([])


def test_names_from_outside_are_text(cohort: Make, tmp_path: Path) -> None:
    bare = BAD.replace('"', "")
    result = cohort(status=STATUS.replace(",x\n", f",{bare}\n"))
    result = replace(
        result, gene=BAD, transcript=BAD, build=BAD, notes=(BAD,), versions={BAD: BAD},
        changes=tuple(replace(c, protein=BAD, coding=BAD) for c in result.changes),
    )  # fmt: skip
    html = page(result, tmp_path)
    tags = Tags(html)
    assert not {"script", "img", "link", "iframe", "object"} & set(tags.tags)
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html
    links = [v for name, v in tags.attributes if name in {"href", "src", "xlink:href"}]
    assert links
    assert all(link.startswith("#") for link in links)


def test_equal_results_give_equal_bytes(cohort: Make, tmp_path: Path) -> None:
    one, other = page(cohort(), tmp_path), page(cohort(), tmp_path)
    assert one == other
    with pytest.raises(InputError, match="cannot be written"):
        cohort_html(cohort(), tmp_path / "nowhere" / "r.html")
