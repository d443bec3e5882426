"""Audit: what was asked of a model, what came of it in words, and the tables behind the words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np
import xarray as xr

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.files import write_beside
from saliscope.core.health import Finding
from saliscope.core.record import Record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["LIMITS", "Audit"]

LIMITS = (
    "An audit says what this model's output responds to on these inputs. It does not say what "
    "causes what in the world.",
    "It is not complete: it finds what it was built to look for, and what it did not find may "
    "still be there.",
    "What it finds may itself be a spurious correlation of the inputs that it was run on; look at "
    "other inputs before acting on it.",
)
"""What no audit can say; stands in each of them."""

_NAME = re.compile(r"[^\w %.,()+<>=-]")  # what netCDF or a file system could take for a path
_ROWS, _WIDE = 8, 100  # of a table, on a screen


class Audit(Record):
    """What one audit of one model found: words, tables, limits.

    Made by the functions of `saliscope.audit`; `Audit.of` puts one together.

    Examples
    --------
    >>> import pandas as pd
    >>> made = Audit.of(
    ...     "proxies", model="toy", verdict="none found", sentence="No column stands for sex.",
    ...     frames={"columns": pd.DataFrame({"column": ["age"], "excess AUC": [0.02]})},
    ...     captions={"columns": "how well each column tells sex"},
    ... )
    >>> made.verdict, made["columns"]["excess AUC"].tolist(), len(made.limits)
    ('none found', [0.02], 3)
    """

    kind: ClassVar[str] = "audit"

    @classmethod
    def of(
        cls, what: str, *, model: str, verdict: str, sentence: str,
        frames: Mapping[str, pd.DataFrame], captions: Mapping[str, str],
        facts: Mapping[str, str] | None = None, limits: Sequence[str] = (),
        findings: Iterable[Finding] = (), provenance: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Self:  # fmt: skip
        """Put an audit together.

        Parameters
        ----------
        what : str
            "spurious cues", "proxies", "groups", "identity terms" or "reason codes".
        model : str
            What the model is called.
        verdict : str
            In a word or two.
        sentence : str
            The verdict and what it rests on: what a reader sees first.
        frames : mapping of str to pandas.DataFrame
            Tidy tables, the one that matters most first: columns of floats, of whole numbers, of
            booleans, or of text (None where missing). Their index is not kept.
        captions : mapping of str to str
            What each of the tables says.
        facts : mapping of str to str, optional
            Of the run, for the head of its page: what was given, and how much of it.
        limits : sequence of str, optional
            What this kind of audit cannot say, after `LIMITS`, which stand in all.
        findings : iterable of Finding
            Those of severity "error" are audit errors.
        provenance : mapping, optional
            How it was made: model, settings, seed, evaluations, versions.
        about : mapping, optional
            JSON data that the pictures of this kind need.

        Raises
        ------
        TypeError
            A table has a column of another type, or no caption.
        """
        data, tables = _packed(frames)
        for name in tables:
            if name not in captions:
                msg = f"table {name!r} has no caption"
                raise TypeError(msg)
            tables[name]["caption"] = captions[name]
        return cls(data, {
            "what": what, "name": model, "verdict": verdict, "sentence": sentence,
            "tables": tables, "facts": dict(facts or {}), "limits": [*LIMITS, *limits],
            "health": [f.to_dict() for f in findings], "provenance": dict(provenance or {}),
            "about": dict(about or {}),
        })  # fmt: skip

    @property
    def what(self) -> str:
        """What was asked, such as "spurious cues"."""
        return str(self._meta["what"])

    @property
    def verdict(self) -> str:
        """What came of it, in a word or two."""
        return str(self._meta["verdict"])

    @property
    def sentence(self) -> str:
        """The verdict and what it rests on, in words."""
        return str(self._meta["sentence"])

    @property
    def limits(self) -> tuple[str, ...]:
        """What this audit does not say."""
        return tuple(self._meta["limits"])

    @property
    def facts(self) -> Mapping[str, str]:
        """What was given, and how much of it."""
        found: Mapping[str, str] = self._meta["facts"]
        return found

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The audit errors: findings that a model should not be used with."""
        return self.health.errors

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name, the one that matters most first."""
        return {name: self[name] for name in self._meta["tables"]}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return a table by its name.

        Raises
        ------
        OptionError
            There is none of that name.
        """
        if name not in self._meta["tables"]:
            msg = f"an audit of {self.what} has no table {name!r}: "
            raise OptionError(msg + nearest(name, self._meta["tables"]))
        return _unpacked(self._data, self._meta["tables"][name])

    def caption(self, name: str) -> str:
        """Return what a table says."""
        return str(self._meta["tables"][name]["caption"])

    @property
    def values(self) -> NoReturn:
        """An audit is tables, not a map."""
        msg = "an audit has no map; its tables are in .frames"
        raise AttributeError(msg)

    def to_frame(self) -> pd.DataFrame:
        """Return the table that matters most."""
        return next(iter(self.frames.values()))

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the first table as CSV; with `path`, write every table into that folder.

        A folder that is not there yet is made in one that is.

        Raises
        ------
        InputError
            The folder cannot be made or written.
        """
        texts = {
            f"{name}.csv": str(table.to_csv(index=False, lineterminator="\n"))
            for name, table in self.frames.items()
        }
        if path is not None:
            try:
                Path(path).mkdir(exist_ok=True)
            except OSError as error:
                msg = f"{path}: is no folder that can be written ({error.strerror}); name another"
                raise InputError(msg) from error
            for name, text in texts.items():
                write_beside(Path(path) / name, text.encode())
        return next(iter(texts.values()))

    def figures(self) -> dict[str, tuple[Figure, str]]:
        """Return the pictures by name, each with its caption; empty where a kind has none."""
        from saliscope.audit.page import figures_of

        return figures_of(self)

    def plot(self, **options: Any) -> Figure:
        """Return the first picture.

        Raises
        ------
        OptionError
            This kind of audit has none; or an option, as there are none.
        """
        drawn = self.figures()
        if options or not drawn:
            msg = (
                f"plot({', '.join(options)}=) does not exist for an audit"
                if options else f"an audit of {self.what} has no picture; its tables are in .frames"
            )  # fmt: skip
            raise OptionError(msg)
        return next(iter(drawn.values()))[0]

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return (and with `path` write) a page: sentence, pictures, tables, limits; offline."""
        from saliscope.audit.page import audit_html

        text = audit_html([self])
        if path is not None:
            write_beside(path, text.encode())
        return text

    def _repr_html_(self) -> str:
        from saliscope.audit.page import audit_section

        return audit_section(self)

    def __repr__(self) -> str:
        lines = [f"Audit of {self.name}: {self.what}", f"  {self.sentence}"]
        lines += [f"  {label:<14} {text}" for label, text in self.facts.items()]
        lines += [f"  audit error    {found.sentence}" for found in self.errors]
        for place, (name, table) in enumerate(self.frames.items()):
            count = "1 row" if len(table) == 1 else f"{len(table):,} rows"
            lines.append(f"  {name:<14} {count}: {self.caption(name)}")
            if not place and len(table):
                text = table.head(_ROWS).to_string(
                    index=False, line_width=_WIDE, float_format=lambda v: f"{v:.3g}",
                    max_colwidth=40, na_rep="–",
                )  # fmt: skip
                lines += [f"    {row}".rstrip() for row in text.splitlines()]
        lines.append(f"  not said       {self.limits[0]}")
        return "\n".join(lines)


# -- tables as labelled numbers ------------------------------------------------------------------


def _packed(frames: Mapping[str, pd.DataFrame]) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """Return tables as one dataset, and what it takes to make them again.

    Each table is a dim, each column a variable on it; text is a coordinate, as in all records.
    """
    numbers: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    for name, table in frames.items():
        if not name or _NAME.search(name):
            msg = f"{name!r} is no name of a table; use letters, digits and spaces"
            raise TypeError(msg)
        columns = []
        for place, label in enumerate(table.columns):
            variable = f"{name}.{place}.{_NAME.sub('_', str(label))}"
            kind, array, missing = _column(table.iloc[:, place], f"{name}, column {label!r}")
            (texts if kind == "text" else numbers)[variable] = ((name,), array)
            columns.append([str(label), variable, kind, missing])
        tables[name] = {"columns": columns, "rows": len(table)}
    return xr.Dataset(numbers, texts), tables


def _column(column: pd.Series, label: str) -> tuple[str, np.ndarray[Any, Any], list[int]]:
    """Return the kind of a column, its values as they are stored, and where text is missing."""
    import pandas as pd

    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else ""
    if kind == "b":
        return "truth", column.to_numpy(np.int8), []
    if kind in "iu" and kind:
        return "whole", column.to_numpy(np.int64), []
    if kind == "f":
        return "number", column.to_numpy(np.float64), []
    lost = column.isna().to_numpy()
    values = column.astype(object).where(~lost, "")
    if not all(isinstance(v, str) for v in values):
        msg = f"{label}: not all floats, all whole numbers, all booleans, or all text"
        raise TypeError(msg)
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    return "text", np.array(list(values), dtype=str), [int(i) for i in np.flatnonzero(lost)]


def _unpacked(data: xr.Dataset, table: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    columns: list[pd.Series] = []
    for label, variable, kind, missing in table["columns"]:
        array = data[variable].to_numpy()
        if kind == "text":
            array = array.astype(object)
            array[missing] = None
        elif kind == "truth":
            array = array.astype(bool)
        columns.append(pd.Series(array, name=label))
    if not columns:
        return pd.DataFrame(index=range(table["rows"]))
    return pd.concat(columns, axis=1)
