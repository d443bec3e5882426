"""The page: one self-contained HTML file about one person and one gene."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from saliscope.core.record import write_beside
from saliscope.show.files import inline_svg
from saliscope.variants.effects.record import Interpretation
from saliscope.variants.report.checks import control_text, linkage_table, linkage_text
from saliscope.variants.report.content import (
    copies_table,
    first_page,
    overview,
    pair_pictures,
    pairs_table,
    phasings,
    provenance,
)
from saliscope.variants.report.parts import Assays, Picture, Stars, capital, render
from saliscope.variants.report.tracks import WINDOW, Feature, lollipops
from saliscope.variants.report.variant import variant_page
from saliscope.variants.report.wording import (
    ACMG,
    BLIND,
    PRIMARY_SET,
    how_to_read,
    limits,
    minus,
)

__all__ = ["report_html"]


def report_html(
    interpretation: Interpretation,
    path: str | os.PathLike[str],
    *,
    domains: Sequence[Feature] = (),
    structure: Sequence[Feature] = (),
    stars: Stars | None = None,
    assays: Assays | None = None,
) -> Path:
    """Write the report: a first page of five lines, a page for each change and copy, and the rest.

    It is one file that needs nothing else and runs no script; it reads on a phone and prints on
    paper, a page for each change. Equal interpretations give equal bytes.

    Parameters
    ----------
    interpretation : Interpretation
    path : path-like
    domains, structure : sequence of (int, int, str)
        First and last residue with a name, for the protein track; see `lollipops`.
    stars : mapping of str to (str, str), optional
        Label of a haplotype ("p.Tyr240Cys") to its star-allele name and catalogued function.
    assays : mapping of str to (float or str, str), optional
        Short name of a change ("Y240C") to a measured value and its source.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        The file cannot be written, or a domain lies outside of the protein.

    Examples
    --------
    >>> from saliscope.variants.effects.record import Copy
    >>> one = Interpretation(
    ...     "ann", "T", "T.1", "GRCh38", 4, "homozygous", (), (Copy("reference", 4),) * 2, (), (),
    ...     (), (), "", "", 0.0, "a score", "", (), (), (), (), {}, {}, {})
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = report_html(one, Path(folder) / "ann.html").read_text()
    >>> "T in ann" in page
    True
    """
    one = interpretation
    pages = [variant_page(one, effect, assays) for effect in one.effects]
    band = (
        f"; gray: where 90 % of all single-nucleotide missense changes lie, over {WINDOW} residues"
        if one.by_position
        else ""
    )
    track = Picture(
        inline_svg(
            lollipops(one, domains=domains, structure=structure),
            f"Changes of {one.gene} in {one.sample} along {one.protein_length} residues: last-out "
            "filled, first-in open, over the range of 90 % of all missense changes",
        ),
        f"Where the changes stand along the protein, one panel for each copy{band}",
    )
    lists = [
        ("Population", one.population),
        ("Most frequent haplotype of the group", (one.frequent,) if one.frequent else ()),
        ("Genotypes that were not called (taken as the genome's base)", one.missing),
        ("Alleles carried and not read, or read with a caution", one.not_assessed),
        ("Notes: transcript against genome, phase, and what else matters", one.notes),
    ]
    page = render(
        "interpretation.html.j2", title=f"{one.gene} in {one.sample}",
        brand="Saliscope, variants of one person beside a population",
        skip="Skip to the changes", last=f"{capital(ACMG)}.", lines=first_page(one, stars),
        track=track, overview=overview(one) if one.effects else None,
        scored=[p for p in pages if p.status != "not assessed"],
        silent=[p for p in pages if p.status == "not assessed"],
        copies=copies_table(one, stars), phasings=phasings(one) if one.configurations else None,
        pairs=pairs_table(one), pair_pictures=pair_pictures(one),
        clustering=capital(minus(one.clustering)), control=control_text(one),
        linkage=linkage_table(one), linked=linkage_text(one), blind=BLIND,
        lists=[(name, [minus(item) for item in items]) for name, items in lists if items],
        primary=PRIMARY_SET, read=how_to_read(one), limits=limits(one), provenance=provenance(one),
    )  # fmt: skip
    return write_beside(path, page)
