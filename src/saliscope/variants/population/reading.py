"""Text tables: bytes to rows of cells, with one line for whatever is wrong with the file."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from saliscope.core.errors import InputError

__all__ = ["LFS", "head_of", "rows_of", "text_of", "whole"]

LFS = b"version https://git-lfs"
"""How a Git LFS pointer begins: a few lines of text in place of the file."""


def head_of(path: str | os.PathLike[str], size: int = 65536) -> bytes:
    """Return the first bytes of a file, unpacked where it is gzip.

    Raises
    ------
    InputError
        No such file, a folder, not readable, empty, a Git LFS pointer, cut off.
    """
    place = Path(path)
    if place.is_dir():
        msg = f"{path}: is a folder; give a file"
        raise InputError(msg)
    try:
        with place.open("rb") as file:
            start = file.read(size)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(place) as unpacked:
                start = unpacked.read(size)
    except FileNotFoundError as error:
        msg = f"{path}: there is no such file"
        raise InputError(msg) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{path}: is cut off or damaged (gzip); copy it again"
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror})"
        raise InputError(msg) from error
    if not start.strip():
        msg = f"{path}: is empty"
        raise InputError(msg)
    if start.startswith(LFS):
        msg = f"{path}: is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"
        raise InputError(msg)
    return start


def text_of(path: str | os.PathLike[str]) -> str:
    """Return a whole text file (UTF-8, with or without byte order mark, plain or gzip).

    Raises
    ------
    InputError
        As `head_of`; UTF-16, a workbook, null bytes, other bytes that are not UTF-8.
    """
    start = head_of(path)
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        msg = f"{path}: is UTF-16 text; save it as UTF-8"
        raise InputError(msg)
    if start[:4] == b"PK\x03\x04":
        msg = f"{path}: is a workbook or zip file; save the table as CSV in UTF-8"
        raise InputError(msg)
    try:
        raw = Path(path).read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{path}: is cut off or damaged (gzip); copy it again"
        raise InputError(msg) from error
    if b"\x00" in raw:
        line = raw[: raw.index(b"\x00")].count(b"\n") + 1
        msg = f"{path}, row {line}: holds null bytes; this is not UTF-8 text"
        raise InputError(msg)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        msg = (
            f"{path}, row {line}: is not UTF-8 (byte {raw[error.start]:#04x}); "
            "save the file as UTF-8 text"
        )
        raise InputError(msg) from error


def rows_of(
    path: str | os.PathLike[str], text: str, separator: str, *, fault: str = ""
) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the rows of a delimited text with the line each ends on; empty lines left out.

    Every row must have as many cells as the first.

    Parameters
    ----------
    path : path
        For messages.
    text, separator : str
    fault : str
        What a wrongly quoted cell most likely means in this kind of file.

    Raises
    ------
    InputError
        A quote that does not end where its cell ends, or a row of another length.

    Examples
    --------
    >>> list(rows_of("x.csv", 'a,b\n1,"2,3"\n', ","))
    [(1, ['a', 'b']), (2, ['1', '2,3'])]
    """
    hint = fault or "put the cell in quotes and double the quotes inside it"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    width, last = 0, 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            msg = f"{path}, row {last + 1}: a quote inside of a cell is badly escaped; {hint}"
            raise InputError(msg) from error
        first, last = last + 1, reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        width = width or len(cells)
        if len(cells) != width:
            quoted = any('"' in cell for cell in cells) or last > first
            why = f"a quote is badly escaped; {hint}" if quoted else "the row is damaged"
            msg = f"{path}, row {first}: {len(cells)} cells, the header has {width}; {why}"
            raise InputError(msg)
        yield last, cells


def whole(text: str) -> int | None:
    """Return a count as written by a program or a spreadsheet; None for a blank.

    Raises
    ------
    ValueError
        Not a whole number.

    Examples
    --------
    >>> whole("912"), whole("912.0"), whole("1e+05"), whole(""), whole("NA")
    (912, 912, 100000, None, None)
    """
    text = text.strip()
    if text in {"", "NA", "."}:
        return None
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise ValueError(text) from None
        return int(number)
