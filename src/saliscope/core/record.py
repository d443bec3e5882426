"""Record: labelled numbers plus what they were made from, durable in one netCDF file.

`Attribution` and `AttentionMap` are records. Numbers live in an `xarray.Dataset`; everything else
(strings, findings, provenance) is one JSON attribute, so that no object dtype is ever written and
a file opens with xarray alone.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import xarray as xr

from saliscope.core.errors import InputError
from saliscope.core.files import write_beside
from saliscope.core.health import Finding, Health
from saliscope.core.render import renderer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMAT", "Arrays", "Record", "plain", "write_beside"]

FORMAT = 1
_META = "saliscope"


def plain(value: Any) -> Any:
    """Return `value` as JSON data: numpy scalars and arrays, tuples and mappings included.

    Examples
    --------
    >>> plain({"a": (np.int64(1), np.array([0.5]))})
    {'a': [1, [0.5]]}
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def _text(meta: Mapping[str, Any]) -> str:
    return json.dumps(meta, sort_keys=True)


def _labelled(data: xr.Dataset, labels: Mapping[str, Any]) -> xr.Dataset:
    """Put the strings back that `Record.to_bytes` took out."""
    for name, label in labels.items():
        shape = [data.sizes[d] for d in label["dims"]]
        values = np.array(label["values"], dtype=str).reshape(shape)
        data = data.assign_coords({name: (label["dims"], values)})
    for variable in data.variables.values():
        variable.encoding = {}
    return data


@dataclass(frozen=True, eq=False)
class Arrays:
    """The numbers of a record before they are labelled.

    Labelling takes longer than a small model does, so it waits until a label is asked for.

    Parameters
    ----------
    values : numpy.ndarray
    dims : tuple of str
        Of `values`.
    coords : mapping
        Labels along dims, as xarray takes them.
    numbers : mapping of str to (dims, array)
        Numbers with dims of their own.
    extra : mapping of str to numpy.ndarray
        Further numbers with the dims of `values`.
    """

    values: np.ndarray[Any, Any]
    dims: tuple[str, ...]
    coords: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, tuple[tuple[str, ...], Any]] = field(default_factory=dict)
    extra: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def dataset(self) -> xr.Dataset:
        """Return the numbers with their labels."""
        numbers = {
            n: (own, np.asarray(a, dtype=np.float64)) for n, (own, a) in self.numbers.items()
        }
        extra = {name: (self.dims, array) for name, array in self.extra.items()}
        return xr.Dataset({"values": (self.dims, self.values), **extra, **numbers}, self.coords)


class Record:
    """Labelled numbers with health and provenance.

    Parameters
    ----------
    data : xarray.Dataset or Arrays
        Numbers. Coordinates may hold strings.
    meta : mapping
        JSON data; at least "health" (findings) and "provenance".
    """

    kind: ClassVar[str] = "record"

    def __init__(self, data: xr.Dataset | Arrays, meta: Mapping[str, Any]) -> None:
        self._given = data
        self._meta: dict[str, Any] = plain(meta)

    @cached_property
    def _data(self) -> xr.Dataset:
        return self._given.dataset() if isinstance(self._given, Arrays) else self._given

    @property
    def data(self) -> xr.Dataset:
        """All numbers, labelled."""
        return self._data

    @property
    def meta(self) -> Mapping[str, Any]:
        """Everything else, as JSON data."""
        return self._meta

    @property
    def values(self) -> xr.DataArray:
        """The map itself."""
        return self._data["values"]

    @property
    def health(self) -> Health:
        """What should make a reader doubt this result, the worst first."""
        return Health(Finding.from_dict(f) for f in self._meta.get("health", ()))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How this was made: model, options, versions, seed, cost."""
        found: Mapping[str, Any] = self._meta["provenance"]
        return found

    @property
    def name(self) -> str:
        """What the input is called."""
        return str(self._meta.get("name", ""))

    def with_findings(self, findings: Iterable[Finding]) -> Self:
        """Return the same record with further findings."""
        merged = Health([*self.health, *findings])
        return type(self)(self._data, {**self._meta, "health": [f.to_dict() for f in merged]})

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Return the values as a bare array."""
        if isinstance(self._given, Arrays):
            return self._given.values
        return np.asarray(self.values.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Support ``np.asarray(record)``."""
        return np.array(self.to_numpy(), dtype=dtype, copy=copy)

    def equals(self, other: Record) -> bool:
        """Whether numbers, labels and metadata are the same."""
        return (
            type(self) is type(other)
            and self._data.identical(other._data)
            and _text(self._meta) == _text(other._meta)  # as text, so that NaN equals NaN
        )

    # -- files -------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return the record as the bytes of a netCDF-4 file."""
        labels: dict[str, Any] = {}
        numbers = self._data.copy(deep=False)
        numbers.attrs = {}
        for name, variable in list(numbers.variables.items()):
            if variable.dtype.kind in "UOST":
                labels[str(name)] = {
                    "dims": list(variable.dims), "values": [str(v) for v in variable.values.ravel()]
                }  # fmt: skip
                numbers = numbers.drop_vars(str(name))
            elif variable.dtype.kind == "b":
                msg = f"{name}: booleans are not stored; use whole numbers"
                raise TypeError(msg)
        header = {"format": FORMAT, "kind": self.kind, "labels": labels, "meta": self._meta}
        numbers.attrs[_META] = json.dumps(header, ensure_ascii=True, allow_nan=True)
        buffer = io.BytesIO()
        compress = {
            name: {"zlib": True, "complevel": 4} for name in numbers.variables if numbers[name].ndim
        }
        numbers.to_netcdf(buffer, engine="h5netcdf", encoding=compress)
        return buffer.getvalue()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save to one netCDF file; the file is whole or absent.

        Returns
        -------
        pathlib.Path
        """
        return write_beside(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load what `save` wrote; needs neither torch nor the model.

        Raises
        ------
        InputError
            If the file does not exist, or is not a saved record of this kind.
        """
        if not Path(path).is_file():
            msg = f"{path}: there is no such file"
            raise InputError(msg)
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                data = opened.load()
            header = json.loads(data.attrs.pop(_META))
            kind, version = header["kind"], int(header["format"])
            if kind == cls.kind and version <= FORMAT:
                return cls(_labelled(data, header["labels"]), header["meta"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{path}: not a file that Saliscope saved; give a .nc file written by save()"
            raise InputError(msg) from error
        msg = (
            f"{path}: holds {kind!r} in format {version}; "
            f"expected {cls.kind!r} in format {FORMAT} or older"
        )
        raise InputError(msg)

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row per value, led by its labels."""
        values = self._data["values"].rename("value")
        frame: pd.DataFrame = values.to_dataframe().reset_index()
        return frame[[c for c in frame.columns if c != "value"] + ["value"]]

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return (and with `path` write) the tidy table as CSV."""
        text = str(self.to_frame().to_csv(index=False, lineterminator="\n"))
        if path is not None:
            write_beside(path, text.encode())
        return text

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return (and with `path` write) everything as one JSON document."""
        text = json.dumps(
            {
                "format": FORMAT,
                "kind": self.kind,
                "data": plain(self._data.to_dict()),
                **self._meta,
            },
            ensure_ascii=False,
            indent=1,
            allow_nan=True,
        )
        if path is not None:
            write_beside(path, text.encode())
        return text

    def plot(self, **options: Any) -> Any:
        """Draw the record with matplotlib and return the figure."""
        return renderer("plot")(self, **options)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return (and with `path` write) a self-contained report, readable offline."""
        text = str(renderer("html")([self]))
        if path is not None:
            write_beside(path, text.encode())
        return text

    def _repr_html_(self) -> str:
        return str(renderer("notebook")(self))
