"""`saliscope demo`: two human proteins and three reviews, by the models of the package."""

from __future__ import annotations

import time
from importlib import resources
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
        for record in shown:
            if isinstance(record, Attribution):
                say(brief(record), quiet=quiet)
        for line in doubts(shown):
            say(line, quiet=quiet)
        report = folder.path / "report.html"
        write_report(report, shown, "Saliscope demo: two proteins and three reviews")
        say(f"{time.perf_counter() - start:.0f} s", quiet=quiet)
        print(report)
