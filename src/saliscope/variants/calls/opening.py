"""Opening a VCF or BCF of any packing, and saying in one line what is wrong with one."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from saliscope.core.errors import InputError
from saliscope.core.textfile import damaged, head_of, unpacked

if TYPE_CHECKING:
    import pysam

__all__ = ["Source", "opened"]


@dataclass(frozen=True, eq=False)
class Source:
    """An open file: its records, read once and in order."""

    path: str
    file: pysam.VariantFile

    def records(
        self, contig: str | None, span: tuple[int, int]
    ) -> Iterator[tuple[int, pysam.VariantRecord]]:
        """Yield records with their number (from 1; 0 where an index was used to get there).

        Parameters
        ----------
        contig : str, optional
            As the file names it. With an index only its records in `span` are read, else all are.
        span : tuple of (int, int)
            First and last position, from 1.
        """
        if contig is not None and self.file.index is not None:
            try:
                for record in self.file.fetch(contig, max(span[0] - 1, 0), span[1]):
                    yield 0, record
            except (ValueError, OSError) as error:
                msg = f"{self.path}: its index does not fit ({error}); make it again or remove it"
                raise InputError(msg) from error
            return
        number = 0
        try:
            for record in self.file:
                number += 1
                yield number, record
        except (ValueError, OSError) as error:
            raise InputError(_diagnosed(self.path, number + 1)) from error


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a VCF or BCF: plain, gzip or bgzip, with index or without. Nothing is written.

    Raises
    ------
    InputError
        With the file and the reason: not there, empty, not a VCF, cut off, a Git LFS pointer, a
        broken header.
    """
    import pysam

    name = os.fspath(path)
    plain_gzip = _checked(name)
    # htslib speaks of every undeclared contig on stderr; what matters is said by our errors.
    verbosity = pysam.set_verbosity(0)
    failures: list[InputError] = []
    try:
        with contextlib.ExitStack() as stack:
            given = stack.enter_context(_piped(name, failures)) if plain_gzip else name
            try:
                file = pysam.VariantFile(cast("str", given))
            except (ValueError, OSError) as error:
                raise InputError(_headless(name, error)) from error
            try:
                yield Source(name, file)
            finally:
                # After a damaged block htslib reports a failure to close as well.
                with contextlib.suppress(OSError):
                    file.close()
    except InputError as error:
        if failures:
            raise failures[0] from error
        raise
    finally:
        pysam.set_verbosity(verbosity)
    if failures:
        raise failures[0]


def _checked(name: str) -> bool:
    """Refuse what is not a VCF or BCF by its first bytes; return whether it is plain gzip."""
    first = head_of(name, 64)
    reason = _refusal(first)
    if reason:
        msg = f"{name}: {reason}"
        raise InputError(msg)
    with Path(name).open("rb") as file:
        start = file.read(14)
    return start[:2] == b"\x1f\x8b" and start[12:14] != b"BC"


def _refusal(first: bytes) -> str:
    """Return why a file that starts so cannot be read; empty where it can."""
    if not first:
        return "is empty; a VCF starts with a header"
    if first.startswith(b"\xef\xbb\xbf"):
        return "starts with a byte order mark; save it as plain UTF-8 without one"
    if not first.startswith((b"##fileformat=VCF", b"BCF\x02")):
        line = first.split(b"\n")[0][:40].decode("ascii", "replace")
        return f"is not a VCF: its first line is {line!r}, not '##fileformat=VCF...'"
    return ""


@contextlib.contextmanager
def _piped(name: str, failures: list[InputError]) -> Iterator[BinaryIO]:
    """Give plain gzip as a pipe that a thread fills: pysam reads only bgzip by itself."""
    reading, writing = os.pipe()

    def fill() -> None:
        # The reader may have enough before the end: while bytes are written, or as the pipe closes.
        enough = contextlib.suppress(BrokenPipeError)
        try:
            with enough, os.fdopen(writing, "wb") as pipe, unpacked(name) as file, enough:
                shutil.copyfileobj(file, pipe)
        except InputError as error:
            failures.append(error)

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb") as pipe:
            yield pipe
    finally:
        thread.join()


def _headless(name: str, error: Exception) -> str:
    """Say why a file that starts as a VCF cannot be opened."""
    if "EOF marker" in str(error) or "truncated" in str(error):
        return damaged(name)
    with unpacked(name) as file:
        line = next((line for line in file if line.startswith(b"#CHROM")), b"")
    columns = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    samples = columns[9:]
    twice = [sample for i, sample in enumerate(samples) if sample in samples[:i]]
    if not line:
        return f"{name}: its header has no line '#CHROM POS ID ...'; is the file complete?"
    if twice:
        return f"{name}: sample {twice[0]!r} stands twice in the header; rename one"
    if len(columns) < 8:
        return f"{name}: its line '#CHROM ...' has {len(columns)} columns separated by tabs, not 8"
    return f"{name}: its header cannot be read; check it with `bcftools view -h`"


def _diagnosed(name: str, number: int) -> str:
    """Say what is wrong with the row at which reading failed."""
    with unpacked(name) as file:
        head = list(itertools.takewhile(lambda line: line.startswith(b"##"), file))
        if head and head[0].startswith(b"BCF"):
            return f"{name}, row {number}: cannot be read; the file is damaged"
    with unpacked(name) as file:
        size, fault, line_of = 0, "", len(head) + 1 + number
        for count, line in enumerate(file, 1):
            size = line.count(b"\t") + 1 if line.startswith(b"#CHROM") else size
            if count == line_of:
                fault = _fault(line, size)
            if fault:
                return f"{name}, row {number} (line {count}): {fault}"
        # All of it was read, so that a damaged block is not the reason.
    return (
        f"{name}, row {number} (line {line_of}): cannot be parsed; check its INFO, FORMAT and GT "
        "with `bcftools view`"
    )


def _fault(line: bytes, size: int) -> str:
    """Return what is plainly wrong with a line; empty where nothing is."""
    cells = line.rstrip(b"\r\n").split(b"\t")
    if cells == [b""]:
        return "is blank; remove the line"
    if len(cells) != size:
        end = "" if line.endswith(b"\n") else " and ends the file; is it cut off?"
        return f"has {len(cells)} columns where the header has {size}{end or '; mend the row'}"
    if not cells[1].isdigit():
        return f"POS {cells[1][:20].decode('utf-8', 'replace')!r} is not a number; mend the row"
    return ""
