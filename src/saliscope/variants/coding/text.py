"""Lines of text files, plain or gzip, with one line of refusal for what is not text."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from saliscope.core.errors import InputError

__all__ = ["lines"]

Path_ = str | os.PathLike[str]

_BINARY = {
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"BZh": "is packed with bzip2; unpack it first",
    b"\xfd7zXZ": "is packed with xz; unpack it first",
}


def lines(path: Path_) -> Iterator[tuple[int, str]]:
    """Yield numbered lines (from 1) of a UTF-8 file, which may be packed with gzip or bgzip.

    Raises
    ------
    InputError
        No such file, a folder, empty, cut off, binary, another encoding, a Git LFS pointer.
    """
    place = Path(path)
    if place.is_dir():
        msg = f"{path}: is a folder; give a file"
        raise InputError(msg)
    try:
        with place.open("rb") as file:
            start = file.read(6)
            reason = next((why for magic, why in _BINARY.items() if start.startswith(magic)), "")
            if reason:
                msg = f"{path}: {reason}"
                raise InputError(msg)
            file.seek(0)
            if start[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    yield from _decoded(path, cast("IO[bytes]", unpacked))
            else:
                yield from _decoded(path, file)
    except FileNotFoundError as error:
        msg = f"{path}: there is no such file"
        raise InputError(msg) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{path}: is cut off or damaged (its compression ends early); copy it again"
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror})"
        raise InputError(msg) from error


def _decoded(path: Path_, file: IO[bytes]) -> Iterator[tuple[int, str]]:
    seen = False
    for number, line in enumerate(file, 1):
        if number == 1 and line.startswith(b"version https://git-lfs"):
            msg = f"{path}: is a Git LFS pointer, not the file; fetch it with 'git lfs pull'"
            raise InputError(msg)
        if b"\x00" in line:
            msg = f"{path}, line {number}: holds null bytes; this is not a text file"
            raise InputError(msg)
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            msg = f"{path}, line {number}: is not UTF-8; save the file as UTF-8 text"
            raise InputError(msg) from error
        seen = seen or bool(text.strip())
        yield number, text
    if not seen:
        msg = f"{path}: is empty"
        raise InputError(msg)
