"""From the coding rows of an annotation to the checked blocks of a transcript."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_
from saliscope.variants.coding.annotation import Annotation, Model, Row

__all__ = ["blocks_of", "chosen"]


def _listed(path: Path_, models: Sequence[Model], why: str) -> InputError:
    shown = ", ".join(f"{m.name} ({m.gene})" if m.gene else m.name for m in models[:6])
    more = f", ... ({len(models)} in all)" if len(models) > 6 else ""
    return InputError(f"{path}: {why}; choose one by name: {shown}{more}")


def chosen(annotation: Annotation, name: str | None, gene: str | None) -> Model:
    """Return the transcript that is meant: by name, else MANE Select, else the only one.

    A name without a version takes whatever version the file has.

    Raises
    ------
    InputError
        None, or several; they are listed.
    """
    path, models = annotation.path, list(annotation.models)
    if gene is not None:
        models = [m for m in models if m.gene == gene]
        if not models:
            msg = f"{path}: has no coding rows of gene {gene!r}; check its name"
            raise InputError(msg)
    if name is not None:
        found = [m for m in models if name in {m.name, m.name.partition(".")[0]}]
        if not found:
            base = name.partition(".")[0]
            others = [m.name for m in models if m.name.partition(".")[0] == base]
            if others:
                msg = f"{path}: holds {others[0]}, which is not {name}"
                raise InputError(msg)
            raise _listed(path, models, f"has no transcript {name}")
    else:
        found = [m for m in models if m.mane] or models
    if len(found) > 1:
        # scaffolds and alternate loci repeat genes of the chromosomes
        found = [m for m in found if len(m.chrom) <= 2] or found
    if len(found) == 1:
        return found[0]
    if len({m.name for m in found}) == 1:
        places = " and ".join(m.rows[0].contig for m in found)
        msg = f"{path}: {found[0].name} stands on {places}; give a file with one of them"
        raise InputError(msg)
    why = "has several transcripts" + (" that are MANE Select" if found[0].mane else "")
    raise _listed(path, found, why)


def blocks_of(path: Path_, model: Model) -> tuple[tuple[int, int], ...]:
    """Return the coding blocks of a transcript in its own order, the stop codon included.

    Raises
    ------
    InputError
        An incomplete coding sequence, one that is not translated by the plain rules, rows on two
        strands, rows that overlap, phases that do not fit the lengths.
    """
    _refuse_special(path, model)
    rows = sorted(model.rows, key=lambda row: row.start)
    if len({(row.contig, row.strand) for row in rows}) > 1:
        msg = f"{path}: the CDS rows of {model.name} lie on several chromosomes or strands"
        raise InputError(msg)
    for row, following in pairwise(rows):
        if following.start < row.end:
            msg = (
                f"{path}, line {following.line}: overlaps the CDS row of line {row.line} "
                f"({model.name}); ribosomal slippage is not translated here"
            )
            raise InputError(msg)
    forward = rows[0].strand == "+"
    _check_phases(path, model.name, rows if forward else rows[::-1])
    # GTF leaves the stop codon out of its CDS rows and gives it rows of its own
    stops = [row for row in model.stops if not any(r.start <= row.start < r.end for r in rows)]
    merged: list[tuple[int, int]] = []
    for row in sorted([*rows, *stops], key=lambda row: row.start):
        if merged and merged[-1][1] == row.start:
            merged[-1] = (merged[-1][0], row.end)
        else:
            merged.append((row.start, row.end))
    return tuple(merged if forward else merged[::-1])


def _refuse_special(path: Path_, model: Model) -> None:
    notes = (model.notes, model.rows[0].attributes)
    for note in notes:
        partial = note.get("partial", ("",))[0] == "true"
        ends = [tag for tag in note.get("tag", ()) if tag in {"cds_start_NF", "cds_end_NF"}]
        if partial or ends:
            reason = "partial=true" if partial else ends[0]
            msg = f"{path}: the coding sequence of {model.name} is incomplete ({reason})"
            raise InputError(msg)
        if "transl_except" in note:
            what = ",".join(note["transl_except"])
            msg = f"{path}: {model.name} has transl_except={what}, which is not translated here"
            raise InputError(msg)
        for exception in note.get("exception", ()):
            if "annotated by" in exception:
                continue  # the transcript is as good; its bases differ from the genome's
            msg = f"{path}: {model.name} has exception={exception}, which is not translated here"
            raise InputError(msg)
        if "seleno" in note.get("tag", ()):
            msg = f"{path}: {model.name} has tag seleno: selenocysteine is not translated here"
            raise InputError(msg)


def _check_phases(path: Path_, name: str, rows: Sequence[Row]) -> None:
    """Compare each phase with the lengths of the rows before it in reading order."""
    read = 0
    for row in rows:
        expected = str(-read % 3)
        if row.phase not in {expected, "."}:
            why = (
                f"the coding sequence of {name} is incomplete at its start"
                if row is rows[0]
                else f"the rows before give {expected}; a CDS row of {name} is missing or wrong"
            )
            msg = f"{path}, line {row.line}: the phase is {row.phase}, and {why}"
            raise InputError(msg)
        read += row.end - row.start
