"""From the numbers of pieces to the three tables of a catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.variants.catalog.entries import Count, Entry, Wanted
from saliscope.variants.catalog.forward import (
    Reader,
    residues_text,
    sites,
    spans_text,
    total,
)
from saliscope.variants.catalog.storage import arrow, digest
from saliscope.variants.effects.windows import central

__all__ = ["Numbers", "counts_table", "entries_table", "proteins_table"]

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was read off one pass of one piece."""

    likelihoods: npt.NDArray[np.float64]
    mean: Vector
    means: Mapping[str, Vector]

    @classmethod
    def read(cls, tables: Iterable[Any]) -> dict[str, Numbers]:
        """Return the numbers of all pieces of some parts, by the hash of their letters."""
        found: dict[str, Numbers] = {}
        for table in tables:
            columns = [table.column(name) for name in ("likelihoods", "mean", "means")]
            names = zip(
                table.column("piece").to_pylist(), table.column("sets").to_pylist(), strict=True
            )
            for row, (piece, sets) in enumerate(names):
                likelihoods, mean, means = (c[row].values.to_numpy() for c in columns)
                split = means.reshape(len(sets), -1) if sets else means
                found[piece] = cls(likelihoods, mean, dict(zip(sets, split, strict=False)))
        return found


@dataclass(eq=False)
class _Rows:
    """Columns of `proteins.parquet` that differ from row to row."""

    width: int
    protein: list[str] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    window: list[str] = field(default_factory=list)
    readout: list[str] = field(default_factory=list)
    residues: list[str] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    vector: list[Vector | None] = field(default_factory=list)

    def add(
        self, protein: tuple[str, int], window: str, readout: str, residues: str,
        got: float | Vector,
    ) -> None:  # fmt: skip
        self.protein.append(protein[0])
        self.length.append(protein[1])
        self.window.append(window)
        self.readout.append(readout)
        self.residues.append(residues)
        self.value.append(got if isinstance(got, float) else None)
        self.vector.append(None if isinstance(got, float) else got)

    def table(self, same: Mapping[str, str]) -> Any:
        """Return the rows as a table; `same` are the columns that do not differ."""
        pa = arrow()
        none = np.zeros(self.width, dtype=np.float32)
        rows = [none if vector is None else vector for vector in self.vector]
        flat = np.concatenate(rows) if rows else none[:0]
        columns = {
            "protein": pa.array(self.protein, pa.string()),
            "length": pa.array(self.length, pa.int32()),
            **{k: pa.array([v] * len(self.protein), pa.string()) for k, v in same.items()},
            "window": pa.array(self.window, pa.string()),
            "readout": pa.array(self.readout, pa.string()),
            "residues": pa.array(self.residues, pa.string()),
            "value": pa.array(self.value, pa.float64()),
            "vector": pa.FixedSizeListArray.from_arrays(
                pa.array(flat, pa.float32()), self.width,
                mask=pa.array([vector is None for vector in self.vector], pa.bool_()),
            ),
        }  # fmt: skip
        return pa.table(columns)


def proteins_table(
    proteins: Iterable[str], numbers: Mapping[str, Numbers], reader: Reader,
    same: Mapping[str, str], old: Any | None, width: int,
) -> Any:  # fmt: skip
    """Return `proteins.parquet`: the numbers of new proteins beside those that were there.

    Parameters
    ----------
    proteins : iterable of str
        New ones.
    numbers : mapping of str to Numbers
        Of all their pieces.
    reader : Reader
    same : mapping of str to str
        Model, revision, dtype, and how the numbers were made.
    old : pyarrow.Table, optional
    width : int
        Of the embedding.
    """
    pa = arrow()
    rows = _Rows(width)
    for protein in proteins:
        _add(rows, protein, numbers, reader)
    table = rows.table(same)
    home = digest(reader.reference.encode())
    if old is not None:
        table = pa.concat_tables([_without_means(old, home), table])
    keys = ("protein", "readout", "window", "residues", "model", "revision", "dtype")
    whole = _with_reference(table, home, len(reader.reference), width)
    return _even(whole.sort_by([(key, "ascending") for key in keys]), width)


def _even(table: Any, width: int) -> Any:
    """Return the table with nothing but zeros under vectors that are not there.

    What lies there depends on how a table came about, and shows in how pages are cut.
    """
    pa = arrow()
    vectors = table.column("vector").combine_chunks()
    flat = np.zeros((len(vectors), width), dtype=np.float32)
    flat[vectors.is_valid().to_numpy(zero_copy_only=False)] = (
        vectors.flatten().to_numpy().reshape(-1, width)
    )
    made = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), width, mask=vectors.is_null())
    return table.set_column(table.schema.get_field_index("vector"), "vector", made)


def _add(rows: _Rows, protein: str, numbers: Mapping[str, Numbers], reader: Reader) -> None:
    """Add what is known of one protein, its windows put together.

    Each residue counts in the window in which it stands farthest from an inner edge.
    """
    own = digest(protein.encode()), len(protein)
    spans = reader.windows(protein)
    parts = [numbers[digest(protein[low:high].encode())] for low, high in spans]
    whole = spans_text(spans)
    if len(spans) == 1:
        rows.add(own, whole, "likelihood", "", total(parts[0].likelihoods))
        rows.add(own, whole, "mean", "", parts[0].mean)
    else:
        choice = np.array(central(len(protein), spans))
        read = [parts[w].likelihoods[i - spans[w][0]] for i, w in enumerate(choice)]
        rows.add(own, whole, "likelihood", "", total(read))
        shares = np.bincount(choice, minlength=len(spans)) / len(protein)
        mean = np.sum([s * p.mean for s, p in zip(shares, parts, strict=True)], axis=0)
        rows.add(own, whole, "mean", "", mean.astype(np.float32))
        for span, part in zip(spans, parts, strict=True):
            rows.add(own, spans_text([span]), "likelihood", "", total(part.likelihoods))
    place = reader.place(protein)
    if place:
        (low, high), site, near = place
        means = numbers[digest(protein[low:high].encode())].means
        for readout, residues in (("site", site), ("window", near)):
            here = residues_text(tuple(i - low for i in residues))
            window = spans_text([(low, high)])
            rows.add(own, window, readout, residues_text(residues), means[here])
    if protein == reader.reference:
        for span, part in zip(spans, parts, strict=True):
            for i in range(span[0], span[1]):
                vector = part.means[str(i - span[0] + 1)]
                rows.add(own, spans_text([span]), "residue", str(i + 1), vector)


def _is_mean(table: Any, home: str) -> Any:
    pc = _compute()
    own = pc.equal(table.column("protein"), home)
    kind = pc.is_in(table.column("readout"), value_set=arrow().array(["site", "window"]))
    return pc.and_(own, kind)


def _compute() -> Any:
    from saliscope.variants.catalog.storage import library

    return library("pyarrow.compute")


def _without_means(table: Any, home: str) -> Any:
    """Leave out the reference's means over residues, which are made anew."""
    return table.filter(_compute().invert(_is_mean(table, home)))


def _with_reference(table: Any, home: str, length: int, width: int) -> Any:
    """Add the reference's means over the residues of every variant, in the same windows."""
    pa, pc = arrow(), _compute()
    at_home = pc.equal(table.column("protein"), home)
    single = table.filter(pc.and_(at_home, pc.equal(table.column("readout"), "residue")))
    vectors = single.column("vector").combine_chunks().flatten().to_numpy().reshape(-1, width)
    where = zip(
        single.column("window").to_pylist(), single.column("residues").to_pylist(), strict=True
    )
    known = {(window, int(residue)): row for row, (window, residue) in enumerate(where)}
    kinds = pc.is_in(table.column("readout"), value_set=pa.array(["site", "window"]))
    columns = ("window", "readout", "residues")
    needed = table.filter(kinds).select(columns).to_pylist()
    rows = _Rows(width)
    for window, readout, residues in sorted({tuple(r[c] for c in columns) for r in needed}):
        places = [known[window, i] for i in _numbers(residues)]
        mean = vectors[places].mean(0, dtype=np.float64).astype(np.float32)
        rows.add((home, length), window, readout, residues, mean)
    if not rows.protein:
        return table
    same = {n: single.column(n)[0].as_py() for n in ("model", "revision", "dtype", "made")}
    return pa.concat_tables([table, rows.table(same)])


def _numbers(text: str) -> list[int]:
    """Return the numbers of ranges: "4-6,10" is 4, 5, 6, 10."""
    ends = [part.split("-") for part in text.split(",")]
    return [i for part in ends for i in range(int(part[0]), int(part[-1]) + 1)]


def entries_table(
    wanted: Wanted, reader: Reader, proteins: Any, old: Sequence[Mapping[str, Any]],
    counts: Sequence[Mapping[str, Any]],
) -> Any:  # fmt: skip
    """Return `entries.parquet`: new entries, and old ones that a source still has."""
    pa, pc = arrow(), _compute()
    read = proteins.filter(pc.equal(proteins.column("readout"), "likelihood"))
    columns = (read.column(name).to_pylist() for name in ("protein", "window", "value"))
    score = {(protein, window): value for protein, window, value in zip(*columns, strict=True)}
    own = f"transcript {wanted.transcript.name}"
    sources: dict[str, set[str]] = {}
    for row in counts:
        sources.setdefault(row["entry"], set()).add(row["source"])
    rows = {row["entry"]: dict(row) for row in old}
    for entry in wanted.entries.values():
        rows[entry.id] = _row(entry, reader, score)
    kept = []
    for name in sorted(rows):
        row = rows[name]
        found = sources.get(name, set())
        if row["what"] in {"reference", "missense"}:
            found = found | {own}
        if found:
            kept.append({**row, "source": "; ".join(sorted(found))})
    edit = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("alt", pa.string())])
    words = ("entry", "what", "kind", "coding", "name", "short")
    return pa.Table.from_pylist(kept, schema=pa.schema([
        *((word, pa.string()) for word in words),
        ("edits", pa.list_(edit)), ("length", pa.int32()), ("protein", pa.string()),
        ("score", pa.float64()), ("shift", pa.float64()), ("disagreement", pa.float64()),
        ("window", pa.string()), ("site", pa.string()), ("around", pa.string()),
        ("source", pa.string()), ("note", pa.string()),
    ]))  # fmt: skip


def _row(entry: Entry, reader: Reader, score: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    protein, home = entry.protein, digest(reader.reference.encode())
    row: dict[str, Any] = {
        "entry": entry.id, "what": entry.what, "kind": entry.kind, "coding": entry.coding,
        "name": entry.name, "short": entry.short, "note": entry.note,
        "edits": [
            {"start": e.start, "end": e.end, "alt": e.alt} for e in entry.haplotype.edits
        ],
    }  # fmt: skip
    if protein is None:
        return row
    own = digest(protein.encode())
    spans = reader.windows(protein)
    whole = spans_text(spans)
    row |= {"protein": own, "length": len(protein), "score": score[own, whole]}
    if len(protein) == len(reader.reference):
        row["shift"] = score[own, whole] - score[home, whole]
        moved = [
            score[own, spans_text([span])] - score[home, spans_text([span])]
            for span in spans
            if len(spans) > 1 and sites(reader.reference[slice(*span)], protein[slice(*span)])
        ]
        row["disagreement"] = max(moved) - min(moved) if moved else None
    place = reader.place(protein)
    if place:
        span, site, near = place
        row |= {"window": spans_text([span]), "site": residues_text(site)}
        row["around"] = residues_text(near)
    return row


def counts_rows(counts: Iterable[Count]) -> list[dict[str, Any]]:
    """Return counts as plain rows."""
    return [
        {
            "entry": one.entry, "source": one.source, "by": one.by, "group_name": one.group,
            "ac": one.counts.ac, "an": one.counts.an, "frequency": one.frequency,
            "homozygotes": one.counts.homozygotes, "hemizygotes": one.counts.hemizygotes,
            "ids": ",".join(one.ids), "filters": ",".join(one.filters),
        }
        for one in counts
    ]  # fmt: skip


def counts_table(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return `counts.parquet`."""
    pa = arrow()
    order = sorted(rows, key=lambda r: (r["entry"], r["source"], r["by"], r["group_name"]))
    return pa.Table.from_pylist(order, schema=pa.schema([
        ("entry", pa.string()), ("source", pa.string()), ("by", pa.string()),
        ("group_name", pa.string()), ("ac", pa.int64()), ("an", pa.int64()),
        ("frequency", pa.float64()), ("homozygotes", pa.int64()), ("hemizygotes", pa.int64()),
        ("ids", pa.string()), ("filters", pa.string()),
    ]))  # fmt: skip
