"""What the commands of `saliscope variants` do: files in, files out."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd

from saliscope.cli.common import Folder, read_bytes, say
from saliscope.core.errors import OptionError
from saliscope.core.record import write_beside
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.naming import parse_coding
from saliscope.variants.cohort import compare_cohort, read_status
from saliscope.variants.effects.interpret import interpret as interpret_calls
from saliscope.variants.effects.pairs import compare_pairs, pair_key
from saliscope.variants.effects.record import Interpretation
from saliscope.variants.effects.reference import comparable, reference_set
from saliscope.variants.effects.scoring import Scorer
from saliscope.variants.report.cohort_page import cohort_html
from saliscope.variants.report.page import report_html
from saliscope.variants.session import Gene, read_inputs, read_panel, read_population
from saliscope.variants.tables.given import read_tables

__all__ = ["catalog", "cohort", "interactions", "interpret"]

_Gene = tuple[str, str | None, str | None, str | None]
_ENTRIES = {
    "missense": ("missense change", "missense changes"), "variant": ("variant", "variants"),
    "haplotype": ("haplotype", "haplotypes"), "reference": ("reference", "references"),
}  # fmt: skip


def interpret(
    vcf: str, sample: str, gene: _Gene, out: str, *, panel: str | None,
    panel_samples: str | None, no_panel: bool, population: str | None, same: list[str],
    group: str | None, stars: str | None, assays: str | None, features: str | None, model: str,
    readout: str, pairs: int, budget: str | None, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Interpret one person's variants of a gene and write report and tables."""
    if panel is None and population is None and not no_panel:
        msg = (
            "nothing to compare with: give --panel with --panel-samples, or --population; "
            "--no-panel says that neither is meant"
        )
        raise OptionError(msg)
    if panel is not None and no_panel:
        msg = "--panel and --no-panel exclude each other; give one"
        raise OptionError(msg)
    size = read_bytes(budget)
    with Folder(out) as folder:
        read = read_inputs(
            vcf, sample, Gene(*gene), panel=panel, panel_samples=panel_samples,
            population=population, same=same,
        )  # fmt: skip
        tables = read_tables(read.calls.transcript, stars=stars, assays=assays, features=features)
        found = tables.noted(
            interpret_calls(
                read.calls, sample, model, panel=read.panel, population=read.population,
                group=group, readout=readout, pairs=pairs, budget=size, seed=seed,
                progress=not quiet,
            )
        )  # fmt: skip
        found.to_json(folder.path / "interpretation.json")
        found.to_csv(folder.path / "variants.csv")
        if found.linkage is not None:
            linked = found.linkage.to_frame().to_csv(index=False).encode()
            write_beside(folder.path / "linkage.csv", linked)
        shown = tables.of(found)
        report = report_html(found, folder.path / "report.html", **shown)
        for line in lines(found):
            say(line, quiet=quiet)
        for label, (star, function) in shown.get("stars", {}).items():
            say(f"  {label}: {star}, catalogued function: {function}", quiet=quiet)
        print(report)


def lines(found: Interpretation) -> list[str]:
    """Return the summary of an interpretation, a line per change and copy."""
    told = [f"{found.sample}, {found.gene} ({found.transcript}, {found.build}), {found.phase}"]
    told += [f"  copy {number} is {copy.label}" for number, copy in enumerate(found.copies, 1)]
    for effect in found.effects:
        head = f"  copy {effect.copy}  {effect.protein}"
        if effect.standing is None or effect.last_out is None or effect.first_in is None:
            told.append(f"{head}  {effect.note}")
            continue
        told.append(
            f"{head}  last-out {effect.last_out:+.2f}, first-in {effect.first_in:+.2f} "
            f"({effect.standing.text()})"
        )
        told.append(f"    {effect.source}: {effect.spread or 'none'}; {effect.reading}")
    if not found.effects:
        told.append("  no coding change on either copy")
    return told


def interactions(
    variants: str, gene: _Gene, out: str, *, model: str, pairs: int, budget: str | None,
    seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Test all pairs of the named variants against matched pairs."""
    transcript = Gene(*gene).read()
    named = parse_coding(variants, transcript)
    if not named.phased or len(named.haplotypes) != 1:
        msg = f"{variants}: names several copies; give one copy, such as c.[460G>A;719A>G]"
        raise OptionError(msg)
    changes = [c for c in haplotype(transcript, named.haplotypes[0]).changes if comparable(c)]
    if len(changes) < 2:
        msg = f"{variants}: has {len(changes)} change(s) of a residue; a pair needs two"
        raise OptionError(msg)
    with Folder(out) as folder:
        scorer = Scorer(model, budget=read_bytes(budget), progress=not quiet)
        base = reference_set(transcript, scorer)
        every = list(itertools.combinations(changes, 2))
        results = compare_pairs(
            transcript, scorer, every, base.missense, base.proteins, base.shifts, count=pairs,
            seed=seed,
        )  # fmt: skip
        rows: list[dict[str, Any]] = []
        for one, other in every:
            found = results.get(pair_key(one, other))
            if found is None:
                text = "not tested: too far apart to be seen together by this model"
                rows.append({"first": one.protein, "second": other.protein, "text": text})
                say(f"{one.short} with {other.short}: {text}", quiet=quiet)
                continue
            rows.append(
                {
                    "first": one.protein, "second": other.protein,
                    "first_in": found.firsts[0], "second_in": found.firsts[1],
                    "together": found.together, "model_interaction": found.test.interaction,
                    "matches": found.test.n, "p": found.test.p, "q": found.test.q,
                    "p_ranked": found.ranked.p, "q_ranked": found.ranked.q,
                    "text": found.test.text,
                }
            )  # fmt: skip
            say(f"{one.short} with {other.short}: {found.test.text}", quiet=quiet)
        table = pd.DataFrame(rows)
        print(write_beside(folder.path / "interactions.csv", table.to_csv(index=False).encode()))


def catalog(
    gene: _Gene, out: str, *, panel: str | None, panel_samples: str | None,
    population: str | None, same: list[str], missense: bool, engine: str, workers: int | None,
    model: str, budget: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Build or extend a catalog."""
    from saliscope.variants.catalog.build import build_catalog

    if (panel is None) != (panel_samples is None):
        msg = "a panel needs its VCF and its table of samples; give --panel and --panel-samples"
        raise OptionError(msg)
    where = Gene(*gene)
    transcript = where.read()
    people = None
    if panel is not None and panel_samples is not None:
        people = read_panel(transcript, panel, panel_samples, where.build)
        transcript = people.calls.transcript
    matched = None
    if population is not None:
        matched = read_population(transcript, population, same, where.build)
        say(matched.sentence, quiet=quiet)
    options: dict[str, Any] = {"engine": engine, "workers": workers}
    made = build_catalog(
        transcript, model, out, population=matched, panel=people, missense=missense,
        progress=not quiet, budget=read_bytes(budget), **options,
    )  # fmt: skip
    counts = made.entries()["what"].value_counts()
    say(
        ", ".join(f"{n:,} {_ENTRIES[str(what)][n != 1]}" for what, n in counts.items()), quiet=quiet
    )
    print(out)


def cohort(
    vcf: str, status: str, gene: _Gene, out: str, *, test: str, quiet: bool
) -> None:  # fmt: skip
    """Test the variants of a gene for enrichment in cases."""
    where = Gene(*gene)
    table = read_status(status)
    calls = read_calls(vcf, where.read(), build=where.build)
    found = compare_cohort(calls, table, test)
    with Folder(out) as folder:
        for line in (found.people, *found.notes):
            say(line, quiet=quiet)
        for change, one in found.ranked[:10]:
            say(f"{change.protein or change.coding}: {one.text}", quiet=quiet)
        say(found.control.text, quiet=quiet)
        data = found.to_frame().to_csv(index=False).encode()
        write_beside(folder.path / "cohort.csv", data)
        print(cohort_html(found, folder.path / "report.html"))
