"""What the commands share: reading inputs, numbers and flags, and the output folder."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from saliscope.api.inputs import Input, files_in, read_files, read_records
from saliscope.core.errors import InputError, OptionError
from saliscope.core.files import shared
from saliscope.core.model import Model
from saliscope.core.registry import MethodSpec, options_from

__all__ = [
    "Folder", "Page", "read_bytes", "read_flags", "read_inputs", "read_numbers", "read_page", "say",
    "split_words", "titled", "warn",
]  # fmt: skip

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9,
          "kib": 2**10, "mib": 2**20, "gib": 2**30}  # fmt: skip
_FILE = r"\.(fa|fasta|faa|txt|tsv|csv|gz|a2m|a3m|bmp|gif|jpe?g|png|tiff?|webp)$"  # looks like one


def say(text: str, *, quiet: bool = False) -> None:
    """Print a line of the summary."""
    if not quiet:
        print(text)


def warn(text: str) -> None:
    """Print a line on standard error."""
    print(f"saliscope: {' '.join(text.split())}", file=sys.stderr)


def read_bytes(text: str | None) -> int | None:
    """Return a number of bytes such as "500MB" or "2GiB".

    Examples
    --------
    >>> read_bytes("2GiB"), read_bytes("1000")
    (2147483648, 1000)
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if found is None or found[2].casefold() not in _UNITS:
        msg = f"--budget {text!r} is not a size; write bytes, or e.g. 500MB or 2GiB"
        raise OptionError(msg)
    count = int(float(found[1]) * _UNITS[found[2].casefold()])
    if count < 1:
        msg = f"--budget {text} must be positive, e.g. 500MB"
        raise OptionError(msg)
    return count


def read_numbers(text: str | None, flag: str) -> list[int] | None:
    """Return comma-separated whole numbers.

    Examples
    --------
    >>> read_numbers("0,-1", "--layers")
    [0, -1]
    """
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        msg = f"{flag} {text!r}: write whole numbers with commas, e.g. 0,1,-1"
        raise OptionError(msg) from error


def read_flags(
    arguments: Sequence[str], specs: Sequence[MethodSpec]
) -> dict[str, dict[str, object]]:
    """Return each method's own options from the flags that the command itself does not know.

    A flag goes to every chosen method that has the option; one that none has is refused.
    """
    given: dict[str, str] = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            msg = f"{word!r} is not understood here; options are written --name value"
            raise OptionError(msg)
        name, equals, value = word[2:].partition("=")
        if not equals:
            value = left.pop(0) if left and not left[0].startswith("--") else "true"
        given[name.replace("-", "_")] = value
    chosen: dict[str, dict[str, object]] = {spec.name: {} for spec in specs}
    for name, value in given.items():
        takers = [s for s in specs if name in s.options.__dataclass_fields__]
        if not takers:
            options_from(specs[0], {name: value})  # refuses, naming the nearest
        for spec in takers:
            chosen[spec.name][name] = value
    return chosen


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell inputs from flags that the command itself does not know, and their values.

    Examples
    --------
    >>> split_words(["a.fasta", "b.fasta", "--steps", "32", "--absolute"])
    (['a.fasta', 'b.fasta'], ['--steps', '32', '--absolute'])
    """
    inputs: list[str] = []
    flags: list[str] = []
    for word in words:
        valued = bool(flags) and flags[-1].startswith("--") and "=" not in flags[-1]
        (flags if word.startswith("--") or valued else inputs).append(word)
    return inputs, flags


def read_inputs(sources: Sequence[str], modality: str) -> list[Input]:
    """Return the records of files and of the files in folders, or one literal input itself.

    A source that does not exist and looks like a file name is refused as a missing file.
    """
    if not all(source.strip() for source in sources):
        msg = (
            "INPUT is empty; give a file (FASTA, text or picture), a folder of them, or the input "
            "itself"
        )
        raise InputError(msg)
    files: dict[Path, Path] = {}  # each once, in the order given
    for source in sources:
        if not _exists(source):
            return [_literal(source, alone=len(sources) == 1)]
        path = Path(source)
        for file in files_in(path, modality) if path.is_dir() else [path]:
            files.setdefault(file.resolve(), file)
    paths = list(files.values())
    if len(sources) == 1 and paths == [Path(sources[0])]:
        return list(read_records(paths[0], modality))
    return list(read_files(paths, modality))


class Page(NamedTuple):
    """Which parts of a file are meant: lines of a page (ALTO, or boxes), or rows of a table."""

    alto: str | None = None
    boxes: Sequence[str] = ()
    rows: str | None = None


def read_page(sources: Sequence[str], page: Page, model: Model) -> list[Input]:
    """Return the lines of a page where one is said to be one, else the records of the sources."""
    if model.modality == "table":
        return _rows(sources, page, model)
    if page.rows is not None:
        msg = f"--rows chooses rows of a table, and {model.name} does not take tables"
        raise OptionError(msg)
    if page.alto is None and not page.boxes:
        return read_inputs(sources, model.modality)
    flag = "--alto" if page.alto is not None else "--box"
    if "strings" not in model.heads:
        msg = f"{flag} cuts lines out of a page, and {model.name} does not read lines of text"
        raise OptionError(msg)
    if len(sources) != 1 or not _exists(sources[0]) or Path(sources[0]).is_dir():
        msg = f"{flag} is for one page; give the file of one picture, not {titled(sources)}"
        raise InputError(msg)
    if page.alto is not None and page.boxes:
        msg = "give the lines of a page by --alto or by --box, one of them"
        raise OptionError(msg)
    from saliscope.api.pages import read_lines

    boxes = [_box(text) for text in page.boxes] or None
    return read_lines(sources[0], alto=page.alto, boxes=boxes)


def _rows(sources: Sequence[str], page: Page, model: Model) -> list[Input]:
    """Return rows of the one table that is given."""
    from saliscope.api.rows import read_rows
    from saliscope.models.table.model import TableModel

    assert isinstance(model, TableModel)
    if len(sources) != 1 or not Path(sources[0]).is_file():
        found = "no such file" if len(sources) == 1 else "several inputs"
        msg = f"{', '.join(sources)}: {found}; a model on tables takes one CSV or TSV file"
        raise InputError(msg)
    return read_rows(sources[0], model, page.rows)


def _box(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        msg = f"--box {text!r}: write x,y,width,height in pixels, e.g. 30,15,600,48"
        raise OptionError(msg)
    return numbers


def _literal(source: str, *, alone: bool) -> Input:
    looks_like_file = re.search(_FILE, source, re.IGNORECASE)
    if looks_like_file or (os.sep in source and " " not in source):
        msg = f"{source}: there is no such file"
        raise InputError(msg)
    if not alone:
        msg = f"{source!r}: there is no such file or folder; of several inputs each must be one"
        raise InputError(msg)
    return Input("input", source)


def _exists(source: str) -> bool:
    try:
        return Path(source).exists()
    except OSError:  # too long for a file name: a literal
        return False


def titled(sources: Sequence[str]) -> str:
    """Return what messages and titles call inputs: a file or folder, "input" for a literal."""
    if len(sources) > 1:
        return f"{len(sources)} inputs"
    return sources[0] if _exists(sources[0]) else "input"


class Folder:
    """The output folder: made at once, so that trouble shows early, and gone again if unused."""

    def __init__(self, path: str) -> None:
        self.text, self.path = path, Path(path)
        self.made: list[Path] = []
        self.inside = ExitStack()

    def __enter__(self) -> Folder:
        if not self.text.strip():
            msg = "-o is empty; name the folder that results go to"
            raise InputError(msg)
        if self.path.exists() and not self.path.is_dir():
            msg = f"{self.path}: is a file; -o names a folder"
            raise InputError(msg)
        missing = [p for p in (self.path, *self.path.parents) if not p.exists()]
        try:
            for folder in reversed(missing):
                folder.mkdir()
                self.made.append(folder)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except (OSError, ValueError) as error:
            self._undo()
            reason = error.strerror if isinstance(error, OSError) else error
            msg = f"{self.path}: cannot be written ({reason}); choose another folder"
            raise InputError(msg) from error
        self.inside.enter_context(shared(self.path))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.inside.close()
        if kind is not None:
            self._undo()

    def _undo(self) -> None:
        """Remove the folders that were made here and hold nothing."""
        for folder in reversed(self.made):
            kept = [p for p in folder.rglob("*") if p.is_file()]
            if kept:
                return
            shutil.rmtree(folder, ignore_errors=True)
