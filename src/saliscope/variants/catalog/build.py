"""`build_catalog`: every protein of a gene and its populations, one forward pass each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import saliscope
from saliscope.api.progress import Meter
from saliscope.api.workers import Engine, check_workers
from saliscope.core.engine import Progress
from saliscope.core.errors import InputError
from saliscope.core.record import plain
from saliscope.models.protein import ProteinModel
from saliscope.variants.calls.panel import Panel
from saliscope.variants.catalog.assemble import (
    Numbers,
    counts_rows,
    counts_table,
    entries_table,
    proteins_table,
)
from saliscope.variants.catalog.catalog import SCHEMA, Catalog
from saliscope.variants.catalog.engines import Done, run_batches, workers_for
from saliscope.variants.catalog.entries import Wanted, collect
from saliscope.variants.catalog.forward import (
    BATCH,
    REACH,
    Batch,
    Reader,
    batches,
    pieces_of,
    protein_model,
    width_of,
)
from saliscope.variants.catalog.storage import (
    META,
    PARTS,
    arrow,
    digest,
    locked,
    parquet_bytes,
    publish,
    put,
    read_table,
    recover,
    told,
)
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.population.match import Matched
from saliscope.variants.population.record import Population

__all__ = ["build_catalog"]


def build_catalog(
    transcript: Transcript, model: object, folder: str | os.PathLike[str], *,
    population: Population | Matched | None = None, panel: Panel | None = None,
    missense: bool = True, engine: Engine = "local", workers: int | None = None,
    progress: bool | Callable[[Progress], None] = False, budget: int | None = None,
) -> Catalog:  # fmt: skip
    """Catalog what a model says of a gene's proteins, in a folder of Parquet files.

    Catalogued are the reference, every variant of the population alone on the reference, every
    haplotype and every change of the panel, and every single-nucleotide missense change. Proteins
    that are equal are run once, whatever names they have. A catalog that is there already is
    extended: its proteins are not run again, and counts of a source that is given again replace
    those before.

    A build that was cut off goes on where it stopped when it is run again, and ends in the bytes
    of one that was not.

    Parameters
    ----------
    transcript : Transcript
    model : object
        A protein language model: anything that `saliscope.load` takes; for workers what is loaded
        by a name or from a folder.
    folder : path
        Made if it is not there.
    population : Population or Matched, optional
    panel : Panel, optional
        Without the subject, if there is one (`Panel.without`).
    missense : bool
    engine : {"local", "ray"}
        Where workers run: on this machine, or on Ray. The bytes are the same.
    workers : int, optional
        Processes. None: this one, or as many as Ray has processors for.
    progress : bool or callable
        True shows a bar; a function gets a `Progress` after every batch that was kept.
    budget : int, optional
        Bytes that a batch may need beside the weights (default 1 GiB; on a GPU an eighth of its
        memory, if that is more).

    Returns
    -------
    Catalog

    Raises
    ------
    InputError
        One line: a catalog of another model, gene, build or newer schema; a file that is not
        whole; a folder that cannot be written; a full disk; another build at work.
    OptionError
        An option that does not exist; workers with a model object.

    Examples
    --------
    >>> import tempfile
    >>> t = Transcript("T.1", "T", "ATGTGGTAA")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     catalog = build_catalog(t, "zoo:protein", folder)
    ...     round(catalog.score("MR") - catalog.score("MW"), 1)
    0.2
    """
    check_workers(engine, workers)
    place = Path(folder)
    wanted = collect(transcript, population, panel, missense=missense)
    build = _Build(wanted, protein_model(model), place, budget)

    crew = workers_for(build.model, engine, workers, budget)

    def run(todo: Sequence[Batch]) -> Generator[Done, None, None]:
        return run_batches(build.model, todo, budget, crew)

    with told(place), locked(place):
        recover(place)
        old = build.old()
        proteins = build.missing(old)
        work = batches(pieces_of(proteins, build.reader), build.settings)
        build.run(work, run, progress)
        build.merge(proteins, work, old)
    return Catalog.open(place)


@dataclass(frozen=True, eq=False)
class _Build:
    """One build: what it shall hold, by which model, and where."""

    wanted: Wanted
    model: ProteinModel
    folder: Path
    budget: int | None

    @cached_property
    def reader(self) -> Reader:
        """How proteins are seen by the model."""
        specials = len(self.model.prefix) + len(self.model.suffix)
        limit = None if self.model.limit is None else self.model.limit - specials
        return Reader(self.wanted.transcript.protein, limit)

    @property
    def identity(self) -> dict[str, str]:
        """What a catalog is of: these must be equal for it to be extended."""
        transcript, model = self.wanted.transcript, self.model.describe()
        return {
            "transcript": transcript.name,
            "cds": digest(transcript.cds.encode()),
            "build": transcript.build or "",
            "table": str(transcript.table),
            "model": str(model["weights"]),
            "class": str(model["class"]),
            "dtype": str(model["dtype"]),
            "revision": str(getattr(self.model.config, "_commit_hash", None) or ""),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """All that the numbers of a batch depend on, beside its proteins."""
        import torch

        return {
            "schema": SCHEMA, "identity": self.identity, "batch": BATCH, "reach": REACH,
            "budget": self.budget, "threads": self.model.threads, "device": str(self.model.device),
            "torch": torch.__version__, "pyarrow": arrow().__version__,
            "saliscope": saliscope.__version__,
        }  # fmt: skip

    @property
    def made(self) -> str:
        """How numbers were made, for the rows that hold them."""
        s = self.settings
        return (
            f"saliscope {s['saliscope']}, torch {s['torch']}, {s['device']}, "
            f"threads {s['threads']}, batches of {BATCH} residues"
        )

    def old(self) -> Catalog | None:
        """Return the catalog that is there, if it is one of the same.

        Raises
        ------
        InputError
            It is one of something else.
        """
        if not (self.folder / META).exists():
            return None
        catalog = Catalog.open(self.folder)
        for word, own in self.identity.items():
            there = catalog.meta["identity"].get(word)
            if there != own:
                msg = (
                    f"{self.folder}: is a catalog of another {_WORDS.get(word, word)} "
                    f"({_shown(there)}, not {_shown(own)}); choose another folder"
                )
                raise InputError(msg)
        return catalog

    def missing(self, old: Catalog | None) -> list[str]:
        """Return the proteins that are not there yet, sorted."""
        proteins = self.wanted.proteins | {self.wanted.transcript.protein}
        known = set(old.table("proteins")["protein"].unique().to_pylist()) if old else set()
        keyed = [(len(p), digest(p.encode()), p) for p in proteins]
        return [p for _, key, p in sorted(keyed) if key not in known]

    def run(
        self, work: Sequence[Batch], run: Callable[[Sequence[Batch]], Generator[Done, None, None]],
        progress: bool | Callable[[Progress], None],
    ) -> None:  # fmt: skip
        """Run the batches that are not finished, and keep each as it is done."""
        parts = self.folder / PARTS
        parts.mkdir(exist_ok=True)
        names = {batch.file for batch in work}
        for file in sorted(parts.iterdir()):
            if file.name not in names or not _whole(file):
                file.unlink()
        todo = [batch for batch in work if not (parts / batch.file).exists()]
        total = sum(len(batch.pieces) for batch in work)
        with Meter(progress, total) as meter, closing(run(todo)) as results:
            meter.next(total - sum(len(batch.pieces) for batch in todo))
            for batch, data in results:
                put(parts / batch.file, data)
                size = len(batch.pieces)
                meter.tell(Progress(size, size, size, 1))
                meter.next()

    def merge(self, proteins: Sequence[str], work: Sequence[Batch], old: Catalog | None) -> None:
        """Write the catalog from its parts, and remove them."""
        parts = self.folder / PARTS
        numbers = Numbers.read(read_table(parts / batch.file) for batch in work)
        before = old.table("proteins") if old else None
        identity = self.identity
        same = {"model": identity["model"], "revision": identity["revision"],
                "dtype": identity["dtype"], "made": self.made}  # fmt: skip
        table = proteins_table(proteins, numbers, self.reader, same, before, width_of(self.model))
        rows = counts_rows(self.wanted.counts)
        sources = dict(self.wanted.sources)
        entries: list[dict[str, Any]] = []
        if old:
            entries = old.table("entries").to_pylist()
            rows += [r for r in old.table("counts").to_pylist() if r["source"] not in sources]
            sources = {**old.meta["sources"], **sources}
        tables = {
            "proteins": parquet_bytes(table),
            "entries": parquet_bytes(entries_table(self.wanted, self.reader, table, entries, rows)),
            "counts": parquet_bytes(counts_table(rows)),
        }
        files = {f"{name}.parquet": digest(data) for name, data in tables.items()}
        meta = self._meta(sources, files, sorted(table["made"].unique().to_pylist()), old)
        publish(self.folder, tables, meta)
        for file in sorted(parts.iterdir()):
            file.unlink()
        parts.rmdir()

    def _meta(
        self, sources: dict[str, Any], files: dict[str, str], made: list[str],
        old: Catalog | None,
    ) -> bytes:  # fmt: skip
        transcript = self.wanted.transcript
        meta = {
            "schema": SCHEMA,
            "identity": self.identity,
            "transcript": {
                "name": transcript.name, "gene": transcript.gene, "build": transcript.build,
                "protein_name": transcript.protein_name, "tags": list(transcript.tags),
                "residues": len(transcript.protein),
                "protein": digest(transcript.protein.encode()),
            },
            "model": old.meta["model"] if old else plain(dict(self.model.describe())),
            "settings": {"batch": BATCH, "reach": REACH, "width": width_of(self.model)},
            "sources": {name: sources[name] for name in sorted(sources)},
            "made": made,
            "files": files,
        }  # fmt: skip
        return (json.dumps(meta, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


_WORDS = {"cds": "coding sequence", "model": "model", "build": "genome build",
          "class": "kind of model", "table": "genetic code"}  # fmt: skip


def _shown(value: object) -> str:
    return str(value)[:16] or "none"


def _whole(file: Path) -> bool:
    """Whether a part can be read; one that cannot is done again."""
    try:
        read_table(file)
    except InputError:
        return False
    return True
