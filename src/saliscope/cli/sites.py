"""`saliscope sites`: annotated sites, contacts, colored structures, the attention study."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    name="sites",
    help="Whether a protein model looks at annotated sites and at contacts.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Model = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="protein model")]
Out = Annotated[
    str, typer.Option("--out", "-o", metavar="FOLDER", help="where tables and report go")
]
Chain = Annotated[str | None, typer.Option(metavar="ID", help="which chain of the structure")]
Seed = Annotated[int, typer.Option(help="seed of the one random generator")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no summary")]


@app.command(
    epilog="""\b
Examples:
  saliscope sites scan proteins.fasta --features P04637.json -o out/
  saliscope sites scan proteins.fasta --features sites.csv --kind site -o out/

\b
Proteins without features are left out, and said.
One protein is one observation.
Cost: two model passes per protein, in the memory of one layer.
Writes sites.csv (heads), proteins.csv, rivals.csv.
Exit code: 0; 2 on bad input.
"""
)
def scan(
    fasta: Annotated[str, typer.Argument(metavar="FASTA", help="the proteins")],
    features: Annotated[
        list[str],
        typer.Option(metavar="FILE", help="UniProt JSON, text, GFF; BED; CSV; repeatable"),
    ],
    out: Out,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="kind of feature, e.g. 'binding site'; repeatable"),
    ] = None,
    alignment: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="alignment of the one protein: conservation as a rival"),
    ] = None,
    draws: Annotated[int, typer.Option(help="random sites among equal residues")] = 1000,
    model: Model = "zoo:protein",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Test every head for attention to annotated sites."""
    from saliscope.cli import sites_run

    sites_run.scan(
        fasta, features, out, kinds=kind, alignment=alignment, draws=draws, model=model, seed=seed,
        quiet=quiet,
    )  # fmt: skip


@app.command(
    epilog="""\b
Example:
  saliscope sites contacts 1tsr.pdb:B 2src.pdb:A 6owv.cif -o out/

\b
A structure is a PDB or mmCIF file, with the chain behind a colon where there
are several.
With two or more, a logistic regression predicts each from the others.
Cost: three model passes per protein, in the memory of one layer.
Writes heads.csv, proteins.csv; regression.csv, weights.csv.
Exit code: 0; 2 on bad input.
"""
)
def contacts(
    structures: Annotated[
        list[str], typer.Argument(metavar="STRUCTURE[:CHAIN]...", help="PDB or mmCIF files")
    ],
    out: Out,
    cutoff: Annotated[float, typer.Option(help="angstrom between beta carbons")] = 8.0,
    model: Model = "zoo:protein",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Compare the attention of every head with contacts in structures."""
    from saliscope.cli import sites_run

    sites_run.contacts(structures, out, cutoff=cutoff, model=model, seed=seed, quiet=quiet)


@app.command(
    epilog="""\b
Examples:
  saliscope sites lineage tree.nwk all.fasta --tip P06633 -o out/
  saliscope sites lineage trees.nwk.gz ancestors.fasta.gz extant.fasta \\
    --tip P06633 --tree 2 -m model.keras --target ancestor -o out/

\b
Records are named as the nodes of the tree (of several trees: "2_Node5"),
aligned or not.
Cost: for every node on the way an explanation and a pass for attention.
Writes substitutions.csv, a row per substitution.
Exit code: 0; 2 on bad input.
"""
)
def lineage(
    tree: Annotated[str, typer.Argument(metavar="TREE", help="Newick")],
    sequences: Annotated[list[str], typer.Argument(metavar="FASTA...", help="tips and ancestors")],
    tip: Annotated[str, typer.Option(metavar="NAME", help="where the way from the root ends")],
    out: Out,
    number: Annotated[int, typer.Option("--tree", help="which tree of the file, from 1")] = 1,
    method: Annotated[str, typer.Option(help="of attribution")] = "integrated_gradients",
    target: Annotated[
        str | None, typer.Option(help="what is explained (default: the tip's class)")
    ] = None,
    layer: Annotated[int, typer.Option(help="of attention: which layer")] = -1,
    model: Model = "zoo:ancestry",
    quiet: Quiet = False,
) -> None:
    """Follow attention and attribution at substitutions, from an ancestor to a tip."""
    from saliscope.cli import sites_run

    sites_run.lineage(
        tree, sequences, tip, out, number=number, method=method, target=target, layer=layer,
        model=model, quiet=quiet,
    )  # fmt: skip


@app.command(
    epilog="""\b
Examples:
  saliscope sites color attribution.nc --structure 1tsr.pdb --chain B -o out/
  saliscope sites color attention.nc --structure 1tsr.cif --layer 5 -o out/

\b
Cost: none, no model is run.
Writes NAME.pdb (or .cif) with values as B-factors, scripts for PyMOL and
ChimeraX, and report.html with the structure to turn.
Exit code: 0; 2 on bad input.
"""
)
def color(
    record: Annotated[
        str, typer.Argument(metavar="RECORD", help="a saved attribution or map of attention, .nc")
    ],
    structure: Annotated[str, typer.Option(metavar="FILE", help="PDB or mmCIF")],
    out: Out,
    chain: Chain = None,
    layer: Annotated[int, typer.Option(help="of attention: which layer")] = -1,
    features: Annotated[
        str | None, typer.Option(metavar="FILE", help="sites to mark in the picture")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Color a structure by an attribution."""
    from saliscope.cli import sites_run

    sites_run.color(record, structure, chain, out, layer=layer, features=features, quiet=quiet)


@app.command(
    epilog="""\b
Examples:
  saliscope sites study -m zoo:protein -o out/
  saliscope sites study -m facebook/esm2_t33_650M_UR50D -o out/
  saliscope sites study --clinvar pten.csv --protein pten.fasta \\
    --area rsa.tsv --site "active site=92,124,130" --benign "Likely benign" \\
    -m zoo:protein -o out/
  saliscope sites study --clinvar clinvar.vcf.gz --transcript gene.gff3 \\
    --genome gene.fasta --area rsa.tsv --site "active site=92" -o out/

\b
Without --clinvar it is the study of p53 whose files ship in the package.
Cost: a model pass per variant and a few for the reference; half a minute by
  zoo:protein on two cores, minutes by ESM-2 650M without a GPU.
Writes report.html, figures/*.png, variants.csv, received.csv, moved.csv,
heads.csv, contacts.csv, structures/ colored by attention.
Exit code: 0; 2 on bad input.
"""
)
def study(
    out: Out,
    clinvar: Annotated[
        str | None, typer.Option(metavar="FILE", help="ClinVar: a table, or VCF with --transcript")
    ] = None,
    transcript: Annotated[
        str | None, typer.Option(metavar="FILE", help="for a VCF: GFF3, GTF or GenBank")
    ] = None,
    genome: Annotated[
        str | None, typer.Option(metavar="FASTA", help="sequences of a GFF3 or GTF")
    ] = None,
    protein: Annotated[
        str | None, typer.Option(metavar="FASTA", help="the protein (default: of --features)")
    ] = None,
    features: Annotated[
        str | None, typer.Option(metavar="FILE", help="sites: UniProt JSON, text, GFF; BED; CSV")
    ] = None,
    structure: Annotated[str | None, typer.Option(metavar="FILE", help="PDB or mmCIF")] = None,
    chain: Chain = None,
    touching: Annotated[
        str | None, typer.Option(metavar="IDS", help="chains whose neighbors are sites, e.g. E,F")
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBERS", help="sites by number; repeatable"),
    ] = None,
    area: Annotated[
        str | None, typer.Option(metavar="TABLE", help="position, rsa: where there is no structure")
    ] = None,
    assay: Annotated[
        str | None, typer.Option(metavar="TABLE", help="measured values: hgvs_pro, score")
    ] = None,
    name: Annotated[str, typer.Option(help="of the gene")] = "",
    pairs: Annotated[int, typer.Option(help="pairs of a pathogenic and a benign variant")] = 5,
    pathogenic: Annotated[
        list[str] | None, typer.Option(metavar="WORDS", help="significance, exactly; repeatable")
    ] = None,
    benign: Annotated[
        list[str] | None, typer.Option(metavar="WORDS", help="significance, exactly; repeatable")
    ] = None,
    model: Model = "zoo:protein",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Compare attention in a protein with that in pathogenic and benign variants."""
    from saliscope.cli import sites_run

    sites_run.study(
        out, clinvar=clinvar, transcript=transcript, genome=genome, protein=protein,
        features=features, structure=structure, chain=chain, touching=touching, sites=site or [],
        area=area, assay=assay, name=name, pairs=pairs, pathogenic=pathogenic, benign=benign,
        model=model, seed=seed, quiet=quiet,
    )  # fmt: skip
