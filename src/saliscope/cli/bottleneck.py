"""`saliscope bottleneck`: reads proteins and labels, writes the audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saliscope.api.inputs import Input, read_fasta
from saliscope.bottleneck.auditing import audit
from saliscope.bottleneck.figures import figures_of
from saliscope.bottleneck.page import audit_html
from saliscope.bottleneck.record import Audit
from saliscope.bottleneck.tasks import Task, read_flip, read_labels, sample
from saliscope.bottleneck.words import document
from saliscope.cli.common import Folder, say
from saliscope.core.errors import InputError, OptionError
from saliscope.core.files import write_beside
from saliscope.models.loading import load
from saliscope.show.files import save_figure

__all__ = ["run"]

SAMPLE = "sample"


def run(
    source: str, model: str, out: str, *, parts: tuple[str | None, str | None, str | None],
    labels: Sequence[str], most: int, variants: str, rival: str, probes: str, folds: int,
    dimension: int | None, seed: int, device: str, quiet: bool,
) -> None:  # fmt: skip
    """Audit a model on the proteins of a FASTA file, a folder of FLIP, or the sample."""
    proteins, tasks, families = _read(source, labels, most, seed)
    kinds = [] if probes == "none" else probes.split(",")
    given: int | list[str] = int(variants) if variants.isdecimal() else variants.split(",")
    with Folder(out) as folder:
        found = audit(
            load(model, device=device), proteins, tasks=tasks, families=families,
            rival=None if rival == "none" else rival, variants=given, probes=kinds, folds=folds,
            dimension=dimension, seed=seed, say=lambda text: say(f"  {text}", quiet=quiet),
            encoder=parts[0], bottleneck=parts[1], decoder=parts[2],
        )  # fmt: skip
        write(found, folder.path)
        say(repr(found), quiet=quiet)
        print(folder.path / "report.html")


def _read(
    source: str, labels: Sequence[str], most: int, seed: int
) -> tuple[list[Input], list[Task], list[int] | None]:
    if source == SAMPLE or Path(source).is_dir():
        if labels:
            msg = "--labels is for the proteins of a FASTA file; FLIP and the sample have labels"
            raise OptionError(msg)
        known = sample(most) if source == SAMPLE else read_flip(source, most=most, seed=seed)
        return known.proteins, known.tasks, known.families
    if not Path(source).exists():
        msg = f"{source}: there is no such file; give FASTA, a folder of FLIP, or '{SAMPLE}'"
        raise InputError(msg)
    proteins = list(read_fasta(source))
    tasks = []
    for text in labels:
        name, equals, path = text.partition("=")
        tasks.append(read_labels(path if equals else text, proteins, name if equals else ""))
    return proteins, tasks, None


def write(found: Audit, folder: Path) -> None:
    """Write tables, document, figures and page of an audit into a folder that exists."""
    figures = figures_of(found)
    (folder / "figures").mkdir(exist_ok=True)
    for name, (figure, _) in figures.items():
        save_figure(figure, folder / "figures" / f"{name}.png")
    found.to_csv(folder)
    text = document(found)
    numbers = text.numbers.to_csv(index=False, lineterminator="\n")
    write_beside(folder / "analysis.csv", numbers.encode())
    write_beside(folder / "analysis.md", text.text.encode())
    audit_html(found, folder / "report.html", figures=figures)
