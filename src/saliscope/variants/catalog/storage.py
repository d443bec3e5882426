"""How a catalog lies on the disk: Parquet with equal bytes, whole files or none, one writer."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from saliscope.core.errors import InputError, OptionError

__all__ = [
    "ARRAYS", "COMMIT", "META", "PARTS", "arrow", "digest", "library", "locked", "parquet_bytes",
    "publish", "put", "read_table", "recover", "told",
]  # fmt: skip

META, COMMIT, PARTS, LOCK = "meta.json", "commit.json", "parts", ".lock"
ARRAYS = ("proteins", "entries", "counts")
"""The tables of a catalog, each a Parquet file of that name."""
_NEW = ".new"


def library(name: str) -> Any:
    """Return an optional library.

    Raises
    ------
    OptionError
        It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        msg = f"{package} is not installed, and catalogs need it; run: pip install {package}"
        raise OptionError(msg) from error


def arrow() -> Any:
    """Return pyarrow, which is heavy, when it is needed."""
    return library("pyarrow")


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def parquet_bytes(table: Any) -> bytes:
    """Return a table as a Parquet file; equal tables give equal bytes.

    Every setting that a version of pyarrow could choose otherwise is given, and columns are made
    one piece, because pages are cut where pieces end.
    """
    pa, pq = arrow(), library("pyarrow.parquet")
    words = [f.name for f in table.schema if pa.types.is_string(f.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.combine_chunks(), sink, version="2.6", data_page_version="1.0", compression="zstd",
        compression_level=3, use_dictionary=words, write_statistics=True, row_group_size=65_536,
        store_schema=True,
    )  # fmt: skip
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read_table(path: Path) -> Any:
    """Return a Parquet file as a table.

    Raises
    ------
    InputError
        It cannot be read, or is not whole.
    """
    pa, pq = arrow(), library("pyarrow.parquet")
    try:
        return pq.read_table(path, memory_map=False, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        msg = f"{path}: is not a whole Parquet file; remove the folder and build the catalog again"
        raise InputError(msg) from error


def put(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole, or not at all."""
    _stage(path, data)
    path.with_name(path.name + _NEW).replace(path)
    _sync(path.parent)


def _stage(path: Path, data: bytes) -> None:
    """Write beside a file what is to replace it."""
    beside = path.with_name(path.name + _NEW)
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(folder: Path, tables: Mapping[str, bytes], meta: bytes) -> None:
    """Replace the files of a catalog, all of them or none.

    All are written beside first. `commit.json` is the point of no return: once it is there, a run
    that was cut off is finished by the next one (`recover`) with the same bytes.
    """
    for name, data in tables.items():
        _stage(folder / f"{name}.parquet", data)
    put(folder / COMMIT, meta)
    recover(folder)


def recover(folder: Path) -> None:
    """Finish or undo what a build left that was cut off while it wrote the catalog."""
    if (folder / COMMIT).exists():
        for beside in sorted(folder.glob(f"*.parquet{_NEW}")):
            beside.replace(beside.with_suffix(""))
        (folder / COMMIT).replace(folder / META)
    for beside in [*folder.glob(f"*{_NEW}"), *(folder / PARTS).glob(f"*{_NEW}")]:
        beside.unlink()
    _sync(folder)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Tell in one line why a folder cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = (
                f"{folder}: the disk is full; free some space and build again: what was finished "
                "is kept"
            )
        else:
            why = error.strerror or type(error).__name__
            msg = f"{folder}: cannot be written ({why}); choose another folder"
        raise InputError(msg) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other builds out of a folder; the system lets go when the process ends, however.

    Raises
    ------
    InputError
        Another build is at work.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"{folder}: another build is writing this catalog; wait for it, or choose another"
            raise InputError(msg) from error
        yield
