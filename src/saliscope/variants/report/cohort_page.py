"""The page of a cohort: one self-contained HTML file about cases and controls of one gene."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from saliscope.core.record import write_beside
from saliscope.show.files import inline_svg
from saliscope.variants.coding.haplotype import Change
from saliscope.variants.cohort import CohortResult
from saliscope.variants.report.forest import ForestRow, forest
from saliscope.variants.report.parts import Picture, Table, capital, listing, render
from saliscope.variants.statistics.cohort import Association, odds_text
from saliscope.variants.statistics.common import said
from saliscope.variants.statistics.genotypes import MODELS
from saliscope.variants.statistics.strata import Exact, exact

__all__ = ["cohort_html"]

LOW_Q = 0.05
MOST_DRAWN = 30
MOST_BY_STRATUM = 6
MOST_LISTED = 200

Found = tuple[Change, Association]

_NO_CAUSE = "association is not cause"
_COUNTED = {
    "carrier": "people with at least one copy of the allele are counted",
    "recessive": "people with the allele on every copy are counted",
    "allelic": "copies of the allele are counted, as if the two of a person were independent",
}


def cohort_html(result: CohortResult, path: str | os.PathLike[str]) -> Path:
    """Write the page of a cohort: five lines, forest plots, tables, and what they do not say.

    It is one file that needs nothing else and runs no script. Equal results give equal bytes.

    Parameters
    ----------
    result : CohortResult
        From `compare_cohort`.
    path : path-like

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        The file cannot be written.
    """
    tested = [pair for pair in result.ranked if pair[1].p is not None]
    untested = [pair for pair in result.ranked if pair[1].p is None]
    page = render(
        "cohort.html.j2", title=f"{result.gene}: cases and controls", skip="Skip to the results",
        brand="Saliscope, variants of a gene in a cohort", lines=_lines(result, tested),
        last=f"{capital(_NO_CAUSE)}.", forest=_forest(result, tested), strata=_strata(result),
        results=_results(result, tested), left=max(0, len(tested) - MOST_LISTED),
        by_stratum=_by_stratum(tested), untested=list(_untested(untested)), notes=result.notes,
        control=f"{capital(result.control.text)}.", read=_read(result), limits=_limits(result),
        provenance=_provenance(result),
    )  # fmt: skip
    return write_beside(path, page)


def _name(change: Change) -> str:
    return change.protein or change.coding


def _of(having: int, lacking: int) -> str:
    return f"{having:,} of {having + lacking:,}"


def _kinds(pairs: Sequence[Found]) -> str:
    counted = Counter(change.kind.replace("_", " ") for change, _ in pairs)
    return listing([f"{n:,} {kind}" for kind, n in counted.most_common()])


def _sentence(pair: Found) -> str:
    """Return what was found of one variant, in one line."""
    change, one = pair
    assert one.stratified is not None
    s, ((a, b), (c, d)) = one.stratified, one.total
    copies = " copies of" if one.model == "allelic" else ""
    text = (
        f"{_name(change)}: {_of(a, b)}{copies} cases, {_of(c, d)}{copies} controls; odds ratio "
        f"within strata {odds_text(s.odds_ratio)} [{odds_text(s.low)}, {odds_text(s.high)}], "
        f"p {said(s.p)}" + ("" if one.q is None else f", q {said(one.q)}")
    )
    if one.reversed and one.crude is not None:
        text += f"; without strata it would be {odds_text(one.crude.odds_ratio)}"
    return f"{text}."


def _lines(result: CohortResult, tested: Sequence[Found]) -> list[tuple[str, list[str]]]:
    build = result.build or "genome build not given"
    alone = (
        "There is one stratum: nothing is adjusted for ancestry or for anything else."
        if len(result.strata) == 1
        else "Cases are compared with controls of their own stratum only."
    )
    what = [
        f"{result.gene}, transcript {result.transcript}, {build}.",
        f"{len(result.changes):,} variants of the coding sequence"
        + (f": {_kinds(result.ranked)}" if result.changes else "")
        + f"; {'all' if len(tested) == len(result.changes) else f'{len(tested):,}'} of them could "
        "be tested.",
        f"{capital(_COUNTED[result.model])}.",
    ]
    low = [pair for pair in tested if pair[1].q is not None and pair[1].q < LOW_Q]
    if low:
        have = "has" if len(low) == 1 else "have"
        found = [f"{len(low):,} of {len(tested):,} variants {have} a q below {LOW_Q}."]
        found += [_sentence(pair) for pair in low[:3]]
    elif tested:
        found = [
            f"None of {len(tested):,} variants has a q below {LOW_Q}. The smallest p:",
            _sentence(tested[0]),
        ]
    else:
        found = ["No variant could be tested: in no stratum do people differ in one."]
    missing = sum(any(one.missing) for _, one in tested)
    called = (
        "1 variant has people without a call, who are left out of its denominator."
        if missing == 1
        else f"{missing:,} variants have people without a call, who are left out of their "
        "denominators."
        if missing
        else "Every tested variant was called in everybody."
    )
    return [
        ("What was tested", what),
        ("On whom", [f"{result.people}.", alone, called]),
        ("What stands out", found),
        ("Negative control", [f"{capital(result.control.text)}."]),
        ("What this is not", [
            f"{capital(_NO_CAUSE)}: a variant may stand for another one that travels with it, or "
            "for ancestry that the strata do not tell apart.",
            "No diagnosis, and no classification of a variant.",
        ]),
    ]  # fmt: skip


def _forest(result: CohortResult, tested: Sequence[Found]) -> Picture | None:
    if not tested:
        return None
    shown = tested[:MOST_DRAWN]
    silent = [pair for pair in shown if pair[0].kind == "synonymous"]
    others = [pair for pair in shown if pair[0].kind != "synonymous"]
    rows = [_forest_row(pair) for pair in others]
    control = result.control
    if silent and control.odds_ratio is not None:
        rows += [ForestRow("Negative control: synonymous variants"), *map(_forest_row, silent)]
        if control.variants > 1:
            name = f"all {control.variants:,} together"
            row = ForestRow(name, "common", control.odds_ratio, control.low, control.high)
            rows.append(row)
    most = f", of the {MOST_DRAWN} smallest p" if len(tested) > MOST_DRAWN else ""
    label = f"Odds ratios within strata of {len(shown):,} variants of {result.gene}, with intervals"
    caption = f"Odds ratio of each variant within strata{most}, the smallest p first"
    return Picture(inline_svg(forest(rows), label), caption)


def _forest_row(pair: Found) -> ForestRow:
    change, one = pair
    low = one.q is not None and one.q < LOW_Q
    kind = "low q" if low else "control" if change.kind == "synonymous" else "tested"
    return _row(_name(change), kind, one.stratified, one.total)


def _row(
    name: str, kind: str, found: Exact | None, table: tuple[tuple[int, int], tuple[int, int]],
    remark: str = "",
) -> ForestRow:  # fmt: skip
    cases, controls = (_of(*row) for row in table)
    if found is None:
        return ForestRow(name, kind, cases=cases, controls=controls, remark=remark)
    return ForestRow(name, kind, found.odds_ratio, found.low, found.high, cases, controls, remark)


def _by_stratum(tested: Sequence[Found]) -> Picture | None:
    """Return odds ratios of each stratum, for the smallest p among variants in several strata."""
    several = [p for p in tested if len(p[1].tables) - len(p[1].skipped) > 1][:MOST_BY_STRATUM]
    if not several:
        return None
    rows = []
    for change, one in several:
        differ = one.homogeneity
        told = "" if differ is None else f"; do strata differ? p {said(differ.tarone_p)}"
        rows.append(ForestRow(f"{_name(change)}{told}"))
        for name, ((a, b), (c, d)) in one.tables.items():
            table = ((a, b), (c, d))
            rows.append(_row(name, "tested", exact(table), table, one.skipped.get(name, "")))
        rows.append(_row("within strata", "common", one.stratified, one.total))
    label = f"Odds ratios by stratum of {len(several)} variants, with intervals"
    return Picture(inline_svg(forest(rows), label),
                   "Each stratum by itself, and the odds ratio common to them")  # fmt: skip


def _strata(result: CohortResult) -> Table:
    rows = [
        ([name, f"{a:,}", f"{b:,}", f"{a + b:,}"], "") for name, (a, b) in result.strata.items()
    ]
    a, b = (sum(n[i] for n in result.strata.values()) for i in (0, 1))
    if len(rows) > 1:
        rows.append((["all", f"{a:,}", f"{b:,}", f"{a + b:,}"], "sum"))
    return Table("People by stratum", ["Stratum", "Cases", "Controls", "All"], rows)


def _results(result: CohortResult, tested: Sequence[Found]) -> Table | None:
    what = "copies" if result.model == "allelic" else "people"
    head = ["Variant", "Kind", "Cases", "Controls", "Odds ratio [95 %]", "p", "q",
            "Without strata", "Strata differ (p)"]  # fmt: skip
    missing = any(any(one.missing) for _, one in tested)
    rows = []
    for change, one in tested[:MOST_LISTED]:
        (a, b), (c, d) = one.total
        s = one.stratified
        assert s is not None
        cells = [
            f"{_name(change)} ({change.coding})", change.kind.replace("_", " "), _of(a, b),
            _of(c, d), f"{odds_text(s.odds_ratio)} [{odds_text(s.low)}, {odds_text(s.high)}]",
            said(s.p), "–" if one.q is None else said(one.q),
            "–" if one.crude is None else odds_text(one.crude.odds_ratio),
            "–" if one.homogeneity is None else said(one.homogeneity.tarone_p),
        ]  # fmt: skip
        if missing:
            cells.append("{:,}, {:,}".format(*one.missing))
        rows.append((cells, "own" if one.q is not None and one.q < LOW_Q else ""))
    if missing:
        head.append("No call (cases, controls)")
    caption = f"Tested variants, the smallest p first ({what} {MODELS[result.model]})"
    return Table(caption, head, rows, numeric=2) if rows else None


def _untested(pairs: Sequence[Found]) -> Iterator[str]:
    """Yield one line for each reason: what could not be tested, and why."""
    by_reason: dict[str, list[str]] = {}
    for change, one in pairs:
        reason = listing(list(dict.fromkeys(one.skipped.values())))
        by_reason.setdefault(reason, []).append(f"{_name(change)} ({change.coding})")
    for reason, names in by_reason.items():
        more = len(names) - MOST_LISTED
        told = f"{', '.join(names[:MOST_LISTED])}{f' and {more:,} more' if more > 0 else ''}"
        yield f"{capital(reason)}, in any stratum: {told}"


def _read(result: CohortResult) -> list[tuple[str, str]]:
    unit = "copies" if result.model == "allelic" else "people"
    return [
        ("cases, controls", f"{capital(unit)} {MODELS[result.model]}, of all that were called. Who "
                            "has no call, or half a call, is left out of that variant's "
                            "denominator, and never counted as the reference."),
        ("odds ratio", "Odds of having it among cases over odds among controls, the same in every "
                       "stratum by assumption: the conditional maximum likelihood estimate. Above "
                       "1: more often in cases. 0 and infinite: one side has none."),
        ("interval", "Exact 95 % interval, equal tails. It may leave out 1 where p is just above "
                     "0.05, and the reverse, since p counts tables by their probability."),
        ("p", "Exact Cochran-Mantel-Haenszel test, two-sided; with one stratum it is Fisher's."),
        ("q", "Benjamini-Hochberg over the variants tested here: of all variants with a q below "
              "0.05, 5 % are expected to be false discoveries."),
        ("without strata", "Fisher's odds ratio of all people together. Where it differs much from "
                           "the one within strata, ancestry and status go together."),
        ("strata differ", "Breslow-Day test with Tarone's correction of one odds ratio for all "
                          "strata. A small p says that the common one is an average of unlike "
                          "numbers; with few people a large p says nothing."),
        ("negative control", "Synonymous variants leave the protein as it is, so an odds ratio of "
                             "1 is expected of them together. Where it is not, cases and controls "
                             "differ in how they were called or where they are from."),
    ]  # fmt: skip


def _limits(result: CohortResult) -> list[str]:
    found = [
        f"{capital(_NO_CAUSE)}. Variants of one gene travel together, so that rows are not "
        "independent, and the variant that matters may be none of those read here.",
        "Strata are the labels of the given table. Ancestry within a stratum, relatives, sex and "
        "age are not adjusted for.",
        f"q is corrected over the variants of this table, not over other genes, other models or "
        f"earlier looks at the same people; only the model {result.model!r} was tested here.",
        "Rare variants have little power: an interval that holds 1 and much else is no evidence "
        "that nothing is there.",
        "Whether this cohort meets ACMG PS4 (independent cases, fitting phenotype, fitting "
        "controls) is a judgment that this page does not make.",
        "Only the coding sequence was read. Not assessed: splicing, regulation, copy number.",
    ]
    if result.model == "recessive":
        found.append("Two different variants on the two copies of a person are not counted.")
    if result.model == "allelic":
        found.append("Copies of a person are taken as independent (Hardy-Weinberg); where they are "
                     "not, p is too small.")  # fmt: skip
    return found


def _provenance(result: CohortResult) -> list[tuple[str, str]]:
    return [
        ("transcript", result.transcript), ("genome build", result.build or "not given"),
        ("genetic model", result.model),
        ("tests", "exact Cochran-Mantel-Haenszel; Breslow-Day-Tarone; Benjamini-Hochberg"),
        *((f"version, {name}", number) for name, number in result.versions.items()),
    ]  # fmt: skip
