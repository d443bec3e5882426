"""Text files, plain or packed with gzip, with one line of refusal for what is not text."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from saliscope.core.errors import InputError

__all__ = ["Path_", "damaged", "head_of", "lines", "text_of", "unpacked"]

Path_ = str | os.PathLike[str]

_GZIP = b"\x1f\x8b"
_REFUSED = {
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
    b"PK\x03\x04": "is compressed (a zip archive or a workbook); unpack it, or save it as text",
    b"BZh": "is compressed (bzip2); unpack it first",
    b"\xfd7zXZ": "is compressed (xz); unpack it first",
    b"(\xb5/\xfd": "is compressed (zstd); unpack it first",
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; fetch it with "
    "`git lfs pull`",
}
"""What a file may begin with instead of text, and what is said of it."""


def damaged(path: Path_) -> str:
    """Return what is said of a file whose compression ends early or does not add up."""
    return f"{path}: is cut off or damaged (its compression ends early); copy it again"


@contextmanager
def unpacked(path: Path_, *, unpack: bool = True) -> Iterator[IO[bytes]]:
    """Open a file to read its bytes, unpacked where it is gzip or bgzip.

    Parameters
    ----------
    path : path
    unpack : bool
        Whether a packed file is taken; else it is refused.

    Raises
    ------
    InputError
        Also while it is read: no such file, a folder, not readable, UTF-16, packed in another way,
        a Git LFS pointer, cut off.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(32)
            file.seek(0)
            reason = next((why for sign, why in _REFUSED.items() if start.startswith(sign)), "")
            if start.startswith(_GZIP) and not unpack:
                reason = "is compressed (gzip); unpack it first"
            if reason:
                msg = f"{path}: {reason}"
                raise InputError(msg)
            if start.startswith(_GZIP):
                with gzip.open(file) as inner:
                    yield cast("IO[bytes]", inner)
            else:
                yield file
    except FileNotFoundError as error:
        msg = f"{path}: there is no such file"
        raise InputError(msg) from error
    except IsADirectoryError as error:
        msg = f"{path}: is a folder; give a file"
        raise InputError(msg) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(damaged(path)) from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror})"
        raise InputError(msg) from error


def head_of(path: Path_, size: int = 65536) -> bytes:
    """Return the first bytes of a file, unpacked; nothing of an empty one.

    Raises
    ------
    InputError
        As `unpacked`.
    """
    with unpacked(path) as file:
        return file.read(size)


def lines(
    path: Path_, *, unpack: bool = True, unit: str = "line", empty: str = "is empty"
) -> Iterator[tuple[int, str]]:
    r"""Yield numbered lines (from 1) of a UTF-8 file, with or without a byte order mark.

    Parameters
    ----------
    path : path
    unpack : bool
        Whether a file packed with gzip or bgzip is taken; else it is refused.
    unit : str
        What messages call a line: "row" in tables.
    empty : str
        What is said of a file that holds no text.

    Raises
    ------
    InputError
        As `unpacked`; null bytes, another encoding, no text at all.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.txt"
    ...     _ = file.write_bytes(b"\xef\xbb\xbfone\r\n\ntwo")
    ...     list(lines(file))
    [(1, 'one'), (2, ''), (3, 'two')]
    """
    seen = False
    with unpacked(path, unpack=unpack) as file:
        for number, line in enumerate(file, 1):
            where = f"{path}, {unit} {number}"
            if b"\x00" in line:
                msg = f"{where}: holds null bytes; this is not a text file"
                raise InputError(msg)
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                msg = (
                    f"{where}: is not UTF-8 (byte {error.object[error.start]:#04x} at column "
                    f"{error.start + 1}); save the file as UTF-8 text"
                )
                raise InputError(msg) from error
            seen = seen or bool(text.strip())
            yield number, text
    if not seen:
        msg = f"{path}: {empty}"
        raise InputError(msg)


def text_of(path: Path_, *, unit: str = "line") -> str:
    r"""Return a whole text, its lines ended by "\n"; see `lines`."""
    return "".join(f"{line}\n" for _, line in lines(path, unit=unit))
