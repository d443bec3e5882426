"""Files that are whole or absent, and folders that several runs may share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saliscope.core.errors import InputError

__all__ = ["shared", "staged", "write_beside"]

_PART = ".part"


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to write, which takes its name when all went well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_beside(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` to `path` so that the file is whole or absent: beside it, then renamed.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written, or `path` is a folder.
    """
    target = Path(path)
    try:
        if target.is_dir():
            msg = f"{target}: is a folder; name a file"
            raise InputError(msg)
        with staged(target) as beside:
            beside.write_bytes(data)
    except OSError as error:
        msg = f"{target}: cannot be written ({error.strerror}); choose another folder"
        raise InputError(msg) from error
    return target


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Work in a folder, beside other processes or not; whoever comes alone clears it first.

    A process that was killed while it wrote leaves a hidden file behind, beside the one that it
    did not replace. Such files are removed by the next process that finds nobody else at work. The
    system lets go of a lock when a process ends, however. Where a folder cannot be locked (some
    network file systems), nothing is removed.
    """
    try:
        import fcntl
    except ImportError:  # no locks on this system
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob(f".*{_PART}"):
                left.unlink(missing_ok=True)
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)
