"""One pass over a VCF: the rows that touch a coding sequence, as the file has them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, nearest
from saliscope.variants.calls.builds import declared_build
from saliscope.variants.calls.genotypes import cells_of
from saliscope.variants.calls.opening import Source
from saliscope.variants.calls.record import Alternative, Row
from saliscope.variants.coding.builds import chromosome
from saliscope.variants.coding.transcript import Transcript

if TYPE_CHECKING:
    import pysam

__all__ = ["Reading"]


@dataclass(frozen=True)
class _Found:
    """A row as read, before its alleles are placed."""

    row: Row
    genotypes: npt.NDArray[np.int8]
    sets: list[str | None]
    of: npt.NDArray[np.intp]


class Reading:
    """One pass over a file: rows that touch the coding sequence, and what was seen of others."""

    def __init__(
        self, source: Source, transcript: Transcript, samples: Iterable[str] | None
    ) -> None:
        self.path, self.transcript = source.path, transcript
        self._source = source
        self._header = source.file.header
        everyone = list(self._header.samples)
        if not everyone:
            msg = f"{self.path}: has no sample columns; give a VCF with genotypes"
            raise InputError(msg)
        self.samples = tuple(everyone if samples is None else dict.fromkeys(samples))
        places = {name: i for i, name in enumerate(everyone)}
        lost = [name for name in self.samples if name not in places]
        if lost or not self.samples:
            name = lost[0] if lost else ""
            msg = f"{self.path}: has no sample {name!r}; {nearest(name, everyone)}"
            raise InputError(msg)
        self._columns = [9 + places[name] for name in self.samples]
        self._all = self._columns == list(range(9, 9 + len(everyone)))
        self._contigs: dict[str, int | None] = {
            str(name): contig.length for name, contig in self._header.contigs.items()
        }
        self._found: list[_Found] = []
        self._extent: tuple[int, int] | None = None
        self.counted = source.file.index is None
        self.total = 0

    def declared(self) -> tuple[str, str] | None:
        """Return the build that the header declares, and where."""
        return declared_build(self._contigs, str(self._header).splitlines())

    @property
    def rows(self) -> list[Row]:
        """Rows that touch the coding sequence, in the order of the file."""
        return [found.row for found in self._found]

    def read(self) -> None:
        """Read all rows.

        Raises
        ------
        InputError
            No row, no row of the chromosome, or a row that cannot be read.
        """
        span, chrom = self.transcript.span, self.transcript.chrom
        contig = next((name for name in self._contigs if chromosome(name) == chrom), None)
        if self._contigs and contig is None:
            raise self._no_contig(self._contigs)
        seen: Counter[str] = Counter()
        for number, record in self._source.records(contig, span):
            seen[record.chrom] += 1
            if chromosome(record.chrom) != chrom:
                continue
            low, high = self._extent or (record.pos, record.pos)
            self._extent = min(low, record.pos), max(high, record.pos)
            if record.pos <= span[1] and _end(record) >= span[0]:
                self._add(number, record)
        self.total = sum(seen.values())
        if self.counted and not self.total:
            msg = f"{self.path}: has a header and no row; a VCF without rows tells nothing"
            raise InputError(msg)
        if self.counted and self._extent is None:
            raise self._no_contig(seen)

    def _no_contig(self, contigs: Mapping[str, object]) -> InputError:
        listed = ", ".join(list(contigs)[:6]) + (", ..." if len(contigs) > 6 else "")
        return InputError(
            f"{self.path}: holds no contig that is chromosome {self.transcript.chrom} of "
            f"{self.transcript.name} (contigs: {listed}); give the file of that chromosome"
        )

    def _add(self, number: int, record: pysam.VariantRecord) -> None:
        cells = str(record).rstrip("\r\n").split("\t")
        chrom = self.transcript.chrom or ""
        position, ref = int(cells[1]), cells[3].upper()
        alts = () if cells[4] == "." else tuple(cells[4].split(","))
        longer = any(len(alt) > len(ref) for alt in alts)
        under = self._under(position, _end(record), longer=longer)
        if under is None:
            return
        row = Row(
            number, chrom, position, ref, tuple(Alternative(alt) for alt in alts),
            () if cells[2] == "." else tuple(cells[2].split(";")),
            () if cells[6] in {".", "PASS"} else tuple(cells[6].split(";")),
            *under,
        )  # fmt: skip
        columns = cells[9:] if self._all else [cells[i] for i in self._columns]
        keys = cells[8].split(":") if len(cells) > 8 else []
        where = f"{self.path}, {row.where}"
        self._found.append(
            _Found(row, *cells_of(keys, columns, self.samples, len(alts) + 1, where))
        )

    def _under(self, first: int, last: int, *, longer: bool) -> tuple[int, int] | None:
        """Return the part of the coding sequence under a row; None if it does not touch it.

        An insertion touches the base behind it too.
        """
        places = self.transcript.places
        inside = np.flatnonzero((places >= first) & (places <= last))
        if len(inside):
            return int(inside[0]), int(inside[-1]) + 1
        behind = self.transcript.to_cds(last + 1) if longer else None
        return None if behind is None else (behind, behind)

    def arrays(self, kept: Sequence[int]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
        """Return genotypes and phase sets of some rows."""
        size = len(self.samples)
        genotypes = np.zeros((size, len(kept), 2), dtype=np.int8)
        sets = np.zeros((size, len(kept)), dtype=np.int32)
        numbers: dict[str | None, int] = {None: 0, "": 1}
        for column, i in enumerate(kept):
            found = self._found[i]
            genotypes[:, column] = found.genotypes
            codes = [numbers.setdefault(name, len(numbers)) for name in found.sets]
            sets[:, column] = np.array(codes, dtype=np.int32)[found.of]
        return genotypes, sets

    def notes(self, rows: Sequence[Row]) -> Iterator[str]:
        """Yield what a reader must know of the rows seen, and of those kept."""
        low, high = self.transcript.span
        if self.counted and self._extent and not (self._extent[0] < high and low < self._extent[1]):
            yield (
                f"the rows on chromosome {self.transcript.chrom} lie between {self._extent[0]} and "
                f"{self._extent[1]}, not around the coding sequence of {self.transcript.name} "
                f"({low} to {high}); it may not have been sequenced"
            )
        failed = [row for row in rows if row.filters]
        if failed:
            which = ", ".join(sorted({name for row in failed for name in row.filters}))
            yield f"{len(failed)} rows did not pass filters ({which}); their calls are used"


def _end(record: pysam.VariantRecord) -> int:
    """Return the last position of a row, from 1; of symbolic alleles by INFO/END."""
    last = record.pos + len(record.ref or "N") - 1
    if not any(alt.startswith("<") for alt in record.alts or ()):
        return last
    # An undeclared END is not known to htslib.
    told = re.search(r"(?:^|;)END=(\d+)", str(record).split("\t", 8)[7].rstrip())
    return max(last, record.stop, int(told[1]) if told else 0)
