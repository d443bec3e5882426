"""`saliscope demo`: proteins, reviews, handwriting, loans, an audit, and a person's variants."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import resources, util
from pathlib import Path

from saliscope.api.attending import attention
from saliscope.api.explaining import explain
from saliscope.api.inputs import Input, read_fasta, read_texts
from saliscope.cli.common import Folder, say
from saliscope.cli.summary import brief, doubts
from saliscope.cli.writing import write_report
from saliscope.core.attribution import Attribution
from saliscope.core.class_target import Class
from saliscope.core.record import Record
from saliscope.models.loading import load

__all__ = ["PROTEIN", "run"]

PROTEIN = "zoo:protein"
"""Model of the proteins and of the variants."""
_DECLINED = 2  # of the loans that are shown one by one
_LOANS = 60


def run(out: str, *, quiet: bool) -> None:
    """Explain the samples and write the reports."""
    start = time.perf_counter()
    samples = Path(str(resources.files("saliscope"))) / "samples"
    with Folder(out) as folder:
        shown = [
            *_proteins(list(read_fasta(samples / "proteins.fasta")), quiet=quiet),
            *_reviews(list(read_texts(samples / "reviews.txt")), quiet=quiet),
            *_line(samples / "lines", quiet=quiet),
        ]
        title = "Saliscope demo: two proteins, three reviews, a line of handwriting"
        pages = [folder.path / "report.html"]
        loans, audit = _loans(folder.path / "audit.html", quiet=quiet)
        if loans:
            shown += loans
            title += " and loans"
        for record in shown:
            if isinstance(record, Attribution):
                say(brief(record), quiet=quiet)
        for line in doubts(shown):
            say(line, quiet=quiet)
        write_report(pages[0], shown, title)
        pages += audit
        pages += _variants(samples / "tpmt", folder.path / "variants.html", quiet=quiet)
        say(f"{time.perf_counter() - start:.0f} s", quiet=quiet)
        for page in pages:
            print(page)


def _proteins(proteins: Sequence[Input], *, quiet: bool) -> list[Record]:
    """Return attention, paths and masking of each protein."""
    model = load(PROTEIN)
    say(f"{model.name} on {', '.join(p.name for p in proteins)}", quiet=quiet)
    maps = attention(model, list(proteins))
    paths = explain(model, list(proteins), method="integrated_gradients", progress=not quiet)
    masked = explain(model, list(proteins), method="masking", progress=not quiet)
    return [record for three in zip(maps, paths, masked, strict=True) for record in three]


def _reviews(reviews: Sequence[Input], *, quiet: bool) -> list[Record]:
    """Return paths and masking of each review."""
    model = load("zoo:sentiment")
    say(f"zoo:sentiment on {len(reviews)} reviews", quiet=quiet)
    paths = explain(model, list(reviews), method="integrated_gradients", progress=not quiet)
    masked = explain(model, list(reviews), method="masking", progress=not quiet)
    return [record for two in zip(paths, masked, strict=True) for record in two]


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


def _loans(page: Path, *, quiet: bool) -> tuple[list[Record], list[Path]]:
    """Explain loans, what columns are worth, and audit reason codes; nothing without scikit-learn.

    Returns
    -------
    list of Record
        Of declined applicants one by one, of many together, and importance of columns.
    list of Path
        The page of the audit.
    """
    if util.find_spec("sklearn") is None:
        say("loans are left out: install saliscope[tables] to see them", quiet=quiet)
        return [], []
    from saliscope.audit import reason_codes
    from saliscope.audit.examples import german_credit, held_out
    from saliscope.datasets import german_credit as credit
    from saliscope.tables import importance

    model, new = german_credit(), held_out(credit())[1].reset_index(drop=True)
    good = new.pop("credit_risk").map({1: "good", 0: "bad"})
    say(f"{model.name} on {len(new)} loans that it has not seen", quiet=quiet)
    many = explain(model, new[:_LOANS], method="masking", target="good")
    declined = (many.data["score"].to_numpy() < 0.5).nonzero()[0][:_DECLINED]
    odds = Class("good", scale="log_odds")  # on which a logistic regression is a sum
    each = [
        explain(model, Input(f"applicant {row}", new.iloc[[row]]), method="shapley", target=odds)
        for row in declined
    ]
    worth = importance(model, new, good, scoring="roc_auc")
    audit = reason_codes(model, new, target="good", applicants=20, references=50)
    say(f"audit: {audit.sentence}", quiet=quiet)
    audit.to_html(page)
    return [*each, many, worth], [page]


def _variants(samples: Path, report: Path, *, quiet: bool) -> list[Path]:
    """Interpret TPMT in HG01183, who carries *3A and *3C; nothing without the biology packages."""
    if util.find_spec("pysam") is None:
        say("variants are left out: install saliscope[bio] to see them", quiet=quiet)
        return []
    from saliscope.cli.variants_run import lines
    from saliscope.variants.report.page import report_html
    from saliscope.variants.session import Gene, interpret_files

    say("TPMT of HG01183 beside 2,503 people of the 1000 Genomes Project", quiet=quiet)
    found = interpret_files(
        samples / "panel.vcf.gz", "HG01183",
        Gene(samples / "TPMT.GRCh37.gff3", samples / "TPMT.cds.fa"), PROTEIN,
        panel=samples / "panel.vcf.gz", panel_samples=samples / "samples.tsv.gz",
        progress=not quiet,
    )  # fmt: skip
    for line in lines(found):
        say(line, quiet=quiet)
    return [report_html(found, report)]
