"""Inputs: named records from FASTA and text files, and pictures, read strictly and one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from saliscope.core.errors import InputError
from saliscope.core.textfile import lines

__all__ = ["Input", "files_in", "read_fasta", "read_files", "read_records", "read_texts"]


_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_ENDINGS = {
    "protein": (".fa", ".faa", ".fas", ".fasta"), "text": (".txt",), "image": _PICTURES,
}  # fmt: skip
_KINDS = {"protein": "FASTA", "image": "image"}
_NO_RECORD = "holds no record; a FASTA record starts with a line '>name'"
_NO_TEXT = "holds no text; write one text per line"


class Input(NamedTuple):
    """An input with the name that results call it by."""

    name: str
    raw: Any


def read_fasta(path: str | os.PathLike[str]) -> Iterator[Input]:
    """Yield the records of a FASTA file; the name is the header's first word.

    Raises
    ------
    InputError
        With file and line: no header, an empty record, a name that occurs twice, an empty file,
        bytes that are not UTF-8 text.
    """
    name, line_of, parts = "", 0, list[str]()
    seen: dict[str, int] = {}
    for number, line in lines(path, unpack=False, empty=_NO_RECORD):
        text = line.strip()
        if text.startswith(">"):
            if line_of:
                yield _record(path, name, line_of, parts)
            words = text[1:].split()
            if not words:
                msg = f"{path}, line {number}: the header is empty; write a name behind '>'"
                raise InputError(msg)
            name, line_of, parts = words[0], number, []
            if name in seen:
                msg = (
                    f"{path}, line {number}: the name {name!r} stands already at line "
                    f"{seen[name]}; names must be unique"
                )
                raise InputError(msg)
            seen[name] = number
        elif text and not text.startswith(";"):
            if not line_of:
                msg = (
                    f"{path}, line {number}: sequence without a header; a FASTA record starts "
                    "with a line '>name'"
                )
                raise InputError(msg)
            parts.append(text)
    if not line_of:
        msg = f"{path}: {_NO_RECORD}"
        raise InputError(msg)
    yield _record(path, name, line_of, parts)


def _record(path: str | os.PathLike[str], name: str, line: int, parts: list[str]) -> Input:
    if not parts:
        msg = f"{path}, line {line}: record {name!r} has no sequence; remove it or add one"
        raise InputError(msg)
    return Input(name, "".join(parts))


def read_texts(path: str | os.PathLike[str]) -> Iterator[Input]:
    """Yield the lines of a text file as inputs, named "line 1", ...; empty lines are skipped."""
    for number, line in lines(path, unpack=False, empty=_NO_TEXT):
        if line.strip():
            yield Input(f"line {number}", line.strip())


def read_records(path: str | os.PathLike[str], modality: str) -> Iterator[Input]:
    """Yield the records of a file in the form that a modality takes; a picture is one record."""
    if modality == "image":
        return iter([Input(Path(path).name, os.fspath(path))])
    if Path(path).suffix.lower() in _PICTURES:
        msg = f"{path}: is a picture, and this model does not take one; give an image model"
        raise InputError(msg)
    if modality == "protein":
        return read_fasta(path)
    if modality == "text":
        if Path(path).suffix.lower() in _ENDINGS["protein"]:
            msg = f"{path}: is a FASTA file, and this model takes text; give a protein model"
            raise InputError(msg)
        return read_texts(path)
    msg = (
        f"{path}: the command line reads FASTA, text, pictures, and tables for models on columns; "
        "give tensors from Python"
    )
    raise InputError(msg)


def files_in(folder: str | os.PathLike[str], modality: str) -> list[Path]:
    """Return the FASTA files (for proteins), pictures or text files of a folder, sorted by name.

    Folders within it, and files of other endings, are passed over.

    Raises
    ------
    InputError
        If there is none.
    """
    endings = _ENDINGS.get(modality, ())
    found = sorted(
        file
        for file in Path(folder).iterdir()
        if file.is_file() and file.suffix.lower() in endings and not file.name.startswith(".")
    )
    if not found:
        kind = _KINDS.get(modality, "text")
        msg = f"{folder}: holds no {kind} file ({', '.join(endings)}); give a folder that does"
        raise InputError(msg)
    return found


def read_files(paths: Sequence[Path], modality: str) -> Iterator[Input]:
    r"""Yield the records of several files, each named by its file and its name there.

    Files are called by their path below the folder that all are in, so two of them may hold equal
    names.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = [Path(folder, "a.txt"), Path(folder, "b.txt")]
    ...     for file in files:
    ...         _ = file.write_text("good\nbad\n")
    ...     [named.name for named in read_files(files, "text")]
    ['a.txt: line 1', 'a.txt: line 2', 'b.txt: line 1', 'b.txt: line 2']
    """
    whole = [path.absolute() for path in paths]
    home = os.path.commonpath([path.parent for path in whole])
    for path, given in zip(whole, paths, strict=True):
        place = path.relative_to(home).as_posix()
        for name, raw in read_records(given, modality):
            yield Input(place if modality == "image" else f"{place}: {name}", raw)
