"""`saliscope variants`: a person's variants, interactions, catalogs, cohorts."""

from __future__ import annotations

from typing import Annotated

import typer

from saliscope.cli.options import Budget, Quiet, Seed

__all__ = ["app"]

app = typer.Typer(
    name="variants",
    help="A person's protein variants as a model sees them, beside a population.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Gene = Annotated[
    str, typer.Option("--gene", metavar="FILE", help="GFF3, GTF, GenBank or coding FASTA")
]
Cds = Annotated[
    str | None,
    typer.Option("--cds", metavar="FILE", help="coding or genome FASTA for GFF3 and GTF"),
]  # fmt: skip
Transcript = Annotated[
    str | None, typer.Option(metavar="NAME", help="which transcript (default: MANE Select)")
]
Build = Annotated[str | None, typer.Option(help="GRCh37 or GRCh38, where files do not say")]
Model = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="protein model")]
Out = Annotated[
    str, typer.Option("--out", "-o", metavar="FOLDER", help="where tables and report go")
]
Panel = Annotated[
    str | None, typer.Option("--panel", metavar="VCF", help="phased genotypes of a population")
]
PanelSamples = Annotated[
    str | None,
    typer.Option("--panel-samples", metavar="TABLE", help="who is in which group"),
]  # fmt: skip
Population = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="gnomAD CSV or VCF, dbSNP VCF, or a plain table"),
]  # fmt: skip
Same = Annotated[
    list[str] | None,
    typer.Option(
        "--same-transcript", metavar="NAME",
        help="name of the transcript in the population file, e.g. ENST00000357654; repeatable",
    ),
]  # fmt: skip


@app.command(
    epilog="""\b
Example:
  saliscope variants interpret --vcf me.vcf.gz --sample HG01183 \\
    --gene TPMT.GRCh37.gff3 --cds TPMT.cds.fa \\
    --panel panel.vcf.gz --panel-samples samples.tsv \\
    --stars alleles.csv --assays scores.csv --features protein.gff \\
    -m zoo:protein -o out/

\b
Cost: a model pass per distinct protein: all missense changes of the gene (some
  1,400 for 245 residues), 1,000 pairs per kind of tested pair; half a minute
  for TPMT by zoo:protein on two cores, hours for a large model without a GPU.
Writes report.html, variants.csv, interpretation.json, with a panel linkage.csv.
Exit code: 0; 2 on bad input.
"""
)
def interpret(
    vcf: Annotated[str, typer.Option("--vcf", metavar="VCF", help="the person's genotypes")],
    sample: Annotated[str, typer.Option("--sample", metavar="ID", help="which person")],
    gene: Gene,
    out: Out,
    cds: Cds = None,
    transcript: Transcript = None,
    build: Build = None,
    panel: Panel = None,
    panel_samples: PanelSamples = None,
    no_panel: Annotated[
        bool, typer.Option("--no-panel", help="say that no panel is meant")
    ] = False,
    population: Population = None,
    same_transcript: Same = None,
    group: Annotated[str | None, typer.Option(help="group of the most frequent haplotype")] = None,
    stars: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="star alleles: PyPGx, or allele, function, coding"),
    ] = None,
    assays: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="measured values: hgvs_pro or variant, and score"),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="domains, structure: GFF, or start, end, name, type"),
    ] = None,
    model: Model = "zoo:protein",
    readout: Annotated[str, typer.Option(help="likelihood or norm")] = "likelihood",
    pairs: Annotated[int, typer.Option(help="null pairs per kind of tested pair")] = 1000,
    budget: Budget = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Say what a model says of every coding variant of one person and gene."""
    from saliscope.cli import variants_run

    variants_run.interpret(
        vcf, sample, (gene, cds, transcript, build), out, panel=panel,
        panel_samples=panel_samples, no_panel=no_panel, population=population,
        same=same_transcript or [], group=group, stars=stars, assays=assays, features=features,
        model=model, readout=readout, pairs=pairs, budget=budget, seed=seed, quiet=quiet,
    )  # fmt: skip


@app.command(
    epilog="""\b
Example:
  saliscope variants interactions "c.[460G>A;719A>G]" \\
    --gene TPMT.GRCh37.gff3 --cds TPMT.cds.fa -m zoo:protein -o out/

\b
Cost: a model pass per missense change of the gene, and 1,000 per kind of pair.
Writes interactions.csv. Exit code: 0; 2 on bad input.
"""
)
def interactions(
    variants: Annotated[str, typer.Argument(metavar="VARIANTS", help="HGVS c. names on one copy")],
    gene: Gene,
    out: Out,
    cds: Cds = None,
    transcript: Transcript = None,
    build: Build = None,
    model: Model = "zoo:protein",
    pairs: Annotated[int, typer.Option(help="null pairs per kind of tested pair")] = 1000,
    budget: Budget = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Test model interactions of variants against matched pairs."""
    from saliscope.cli import variants_run

    variants_run.interactions(
        variants, (gene, cds, transcript, build), out, model=model, pairs=pairs, budget=budget,
        seed=seed, quiet=quiet,
    )  # fmt: skip


@app.command(
    epilog="""\b
Example:
  saliscope variants catalog --gene TPMT.GRCh37.gff3 --cds TPMT.cds.fa \\
    --panel panel.vcf.gz --panel-samples samples.tsv -m zoo:protein -o catalog/

\b
Cost: a model pass per distinct protein. A build that was cut off goes on where
  it was when the same command is given again, and ends in the same bytes.
Writes Parquet files; see the page on the catalog. Exit code: 0; 2 on bad input.
"""
)
def catalog(
    gene: Gene,
    out: Out,
    cds: Cds = None,
    transcript: Transcript = None,
    build: Build = None,
    panel: Panel = None,
    panel_samples: PanelSamples = None,
    population: Population = None,
    same_transcript: Same = None,
    missense: Annotated[
        bool, typer.Option(help="every single-nucleotide missense change too")
    ] = True,
    engine: Annotated[str, typer.Option(help="local or ray")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="processes (default: this one, or all of ray)")
    ] = None,
    model: Model = "zoo:protein",
    budget: Budget = None,
    quiet: Quiet = False,
) -> None:
    """Catalog what a model says of a population's variants and haplotypes."""
    from saliscope.cli import variants_run

    variants_run.catalog(
        (gene, cds, transcript, build), out, panel=panel, panel_samples=panel_samples,
        population=population, same=same_transcript or [], missense=missense, engine=engine,
        workers=workers, model=model, budget=budget, quiet=quiet,
    )  # fmt: skip


@app.command(
    epilog="""\b
Example:
  saliscope variants cohort --vcf cohort.vcf.gz --status status.csv \\
    --gene TPMT.GRCh37.gff3 --cds TPMT.cds.fa -o out/

\b
The table has the columns sample, status (case or control) and stratum.
Cost: seconds, no model is run.
Writes report.html, cohort.csv. Exit code: 0; 2 on bad input.
"""
)
def cohort(
    vcf: Annotated[str, typer.Option("--vcf", metavar="VCF", help="genotypes of all people")],
    status: Annotated[str, typer.Option("--status", metavar="TABLE", help="who is a case")],
    gene: Gene,
    out: Out,
    cds: Cds = None,
    transcript: Transcript = None,
    build: Build = None,
    test: Annotated[str, typer.Option(help="carrier, recessive or allelic")] = "carrier",
    quiet: Quiet = False,
) -> None:
    """Test variants for enrichment in cases, within strata of ancestry."""
    from saliscope.cli import variants_run

    variants_run.cohort(vcf, status, (gene, cds, transcript, build), out, test=test, quiet=quiet)
