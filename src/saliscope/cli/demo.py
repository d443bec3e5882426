"""`saliscope demo`: proteins, reviews, a line of handwriting and a person's variants."""

from __future__ import annotations

import time
from importlib import resources, util
from pathlib import Path

from saliscope.api.attending import attention
from saliscope.api.explaining import explain
from saliscope.api.inputs import read_fasta, read_texts
from saliscope.cli.common import Folder, say
from saliscope.cli.summary import brief, doubts
from saliscope.cli.writing import write_report
from saliscope.core.attribution import Attribution
from saliscope.core.record import Record
from saliscope.models.loading import load

__all__ = ["run"]


def run(out: str, *, quiet: bool) -> None:
    """Explain the samples and write the report."""
    start = time.perf_counter()
    samples = Path(str(resources.files("saliscope"))) / "samples"
    proteins = list(read_fasta(samples / "proteins.fasta"))
    reviews = list(read_texts(samples / "reviews.txt"))
    shown: list[Record] = []
    with Folder(out) as folder:
        model = load("zoo:protein")
        say(f"zoo:protein on {', '.join(p.name for p in proteins)}", quiet=quiet)
        maps = attention(model, proteins)
        paths = explain(model, proteins, method="integrated_gradients", progress=not quiet)
        masked = explain(model, proteins, method="masking", progress=not quiet)
        for three in zip(maps, paths, masked, strict=True):
            shown += three
        model = load("zoo:sentiment")
        say(f"zoo:sentiment on {len(reviews)} reviews", quiet=quiet)
        paths = explain(model, reviews, method="integrated_gradients", progress=not quiet)
        masked = explain(model, reviews, method="masking", progress=not quiet)
        for two in zip(paths, masked, strict=True):
            shown += two
        shown += _line(samples / "lines", quiet=quiet)
        for record in shown:
            if isinstance(record, Attribution):
                say(brief(record), quiet=quiet)
        for line in doubts(shown):
            say(line, quiet=quiet)
        report = folder.path / "report.html"
        title = "Saliscope demo: two proteins, three reviews and a line of handwriting"
        write_report(report, shown, title)
        variants = _variants(samples / "tpmt", folder.path / "variants.html", quiet=quiet)
        say(f"{time.perf_counter() - start:.0f} s", quiet=quiet)
        print(report)
        if variants is not None:
            print(variants)


def _line(samples: Path, *, quiet: bool) -> list[Record]:
    """Read a line of handwriting: a map of each mistake, and of each character."""
    from saliscope.reading import explain_characters, explain_mistakes, read_truth

    file = samples / "roman.jpg"
    (truth,) = read_truth(samples / "lines.tsv").of([file])
    model = load("zoo:handwriting")
    say(f"zoo:handwriting on {file.name}", quiet=quiet)
    found, wrong = explain_mistakes(model, file, truth)
    say(f"  read {found.reading.text!r}, written {truth!r}", quiet=quiet)
    each = explain_characters(model, file, truth)
    return [each] if wrong is None else [wrong, each]


def _variants(samples: Path, report: Path, *, quiet: bool) -> Path | None:
    """Interpret TPMT in HG01183, who carries *3A and *3C; None without the biology packages."""
    if util.find_spec("pysam") is None:
        say("variants are left out: install saliscope[bio] to see them", quiet=quiet)
        return None
    from saliscope.cli.variants_run import lines
    from saliscope.variants.report.page import report_html
    from saliscope.variants.session import Gene, interpret_files

    say("TPMT of HG01183 beside 2,503 people of the 1000 Genomes Project", quiet=quiet)
    found = interpret_files(
        samples / "panel.vcf.gz", "HG01183",
        Gene(samples / "TPMT.GRCh37.gff3", samples / "TPMT.cds.fa"), "zoo:protein",
        panel=samples / "panel.vcf.gz", panel_samples=samples / "samples.tsv.gz",
        progress=not quiet,
    )  # fmt: skip
    for line in lines(found):
        say(line, quiet=quiet)
    return report_html(found, report)
