"""A folder of finished results, so that a run that was cut off can go on.

Work is cut into chunks by a fixed rule, of the inputs alone. A chunk that is not finished is done
again whole, in the same batches, so a run that was cut off and taken up again, by one process or by
many, ends in the same bytes as one that was not.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from saliscope.api.inputs import Input
from saliscope.api.planning import Later, Plan
from saliscope.api.results import versions
from saliscope.api.running import Result
from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, OptionError, SaliscopeError
from saliscope.core.files import shared, write_beside
from saliscope.core.record import plain
from saliscope.models.vision.images import Picture

__all__ = ["Chunk", "Compute", "Store", "chunks", "computed", "cut", "left_to_do", "results_of"]

_LETTERS = 4096
_INPUTS = 256
_HELD = 512
_SETTINGS = "settings.json"

Compute = Callable[[Sequence[Input], Callable[[Input, Attribution], None]], list[Result]]


class Store:
    """Keeps one netCDF file per distinct input, named by a hash of input and settings.

    Inputs of equal content share a file, whatever they are called: the result is the same but for
    the name. Several processes may fill one folder.

    Parameters
    ----------
    folder : str or path, optional
        Made when the first result is kept. None: a temporary one, for as long as the store is
        entered as a context.
    threads : int, optional
        Of a pass, by which its last bits may differ (default 1). A folder keeps the number that
        it was begun with, so that whoever goes on with it gets the same bits.
    """

    def __init__(self, folder: str | Path | None, threads: int = 1) -> None:
        self._held: OrderedDict[str, Attribution] = OrderedDict()
        self._settings: tuple[Plan, bytes] | None = None
        self._inside = ExitStack()
        self._entered = False
        self._given = folder is not None
        self.threads = threads
        if folder is None:
            return
        self.folder = Path(folder)
        place = next(p for p in (self.folder, *self.folder.absolute().parents) if p.exists())
        if not place.is_dir():
            msg = f"{folder}: cannot be used as a folder ({place} is a file); choose another"
            raise InputError(msg)
        if not os.access(place, os.W_OK):
            msg = f"{folder}: cannot be used as a folder ({place} is read-only); choose another"
            raise InputError(msg)
        self.threads = self._begun_with() or threads

    def __enter__(self) -> Self:
        if not self._given:
            self.folder = Path(self._inside.enter_context(tempfile.TemporaryDirectory()))
        if self.folder.exists():
            self._enter()
        return self

    def __exit__(self, *_: object) -> None:
        self._inside.close()
        self._entered = False

    def _enter(self) -> None:
        if not self._entered:
            self._inside.enter_context(shared(self.folder))
            self._entered = True

    def _begun_with(self) -> int | None:
        try:
            found = json.loads((self.folder / _SETTINGS).read_bytes())
            return max(1, int(found["threads"]))
        except (OSError, ValueError, KeyError, TypeError):  # none yet, or not ours: begun anew
            return None

    def key(self, wanted: Plan, named: Input) -> str:
        """Return the key of a result: equal for equal input, model and settings."""
        content = _content(wanted, named.raw)
        if self._settings is None or self._settings[0] is not wanted:
            self._settings = (wanted, _settings(wanted, self.threads))
        # An input without a name is called by its content, so it does not share with named ones.
        text = self._settings[1] + (b"named:" if named.name else b":") + content
        return hashlib.sha256(text).hexdigest()[:32]

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.folder / f"{key}.nc"

    def find(self, key: str, name: str = "") -> Attribution | None:
        """Return a result that was finished before, under the name that it has here.

        A file that cannot be read is removed, to be made again.
        """
        found = self._held.get(key)
        if found is None:
            if not self.path(key).exists():
                return None
            try:
                found = Attribution.load(self.path(key))
            except InputError:
                self.path(key).unlink(missing_ok=True)
                return None
            self._hold(key, found)
        if not name or found.name == name:
            return found
        return Attribution(found.data, {**found.meta, "name": name})

    def keep(self, key: str, result: Attribution, data: bytes | None = None) -> None:
        """Save a finished result, unless it is there already; `data` are the bytes of its file."""
        self._hold(key, result)
        if self.path(key).exists():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{self.folder}: cannot be used as a folder ({error.strerror}); choose another"
            raise InputError(msg) from error
        self._enter()
        if not (self.folder / _SETTINGS).exists():
            write_beside(self.folder / _SETTINGS, b'{"threads": %d}\n' % self.threads)
        write_beside(self.path(key), result.to_bytes() if data is None else data)

    def _hold(self, key: str, result: Attribution) -> None:
        self._held[key] = result
        if len(self._held) > _HELD:
            self._held.popitem(last=False)


def _content(wanted: Plan, raw: object) -> bytes:
    """Return what an input is: a text, or of a file its name and its bytes."""
    if isinstance(raw, (str, os.PathLike)) and wanted.model.modality == "image":
        try:
            held = Path(raw).read_bytes()
        except OSError:  # told when it is prepared
            held = b""
        return os.fspath(Path(raw).name).encode() + b":" + hashlib.sha256(held).digest()
    if isinstance(raw, Picture):
        return repr((raw.name, raw.key)).encode()
    if isinstance(raw, pd.DataFrame):
        return raw.to_csv().encode()
    if not isinstance(raw, str):
        msg = (
            "resume= and workers= are for texts, proteins and files of pictures; arrays have no "
            "key by which they would be found again"
        )
        raise OptionError(msg)
    return raw.encode()


def _settings(wanted: Plan, threads: int) -> bytes:
    """Return all that a result depends on beside its input.

    Raises
    ------
    OptionError
        A function: where it lies in memory says nothing of what it does.
    """
    names = [f.name for f in dataclasses.fields(wanted) if f.name not in {"model", "method"}]
    settings = {name: _said(getattr(wanted, name)) for name in names}
    settings |= {
        "model": plain(wanted.model.describe()), "method": wanted.method.name, "threads": threads,
        "versions": versions(),
    }  # fmt: skip
    return json.dumps(settings, sort_keys=True).encode()


def _said(value: Any) -> object:
    """Return a setting as something that is equal for equal settings only: every digit counts."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, np.generic):
        return _said(value.item())
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return [str(value.dtype), list(value.shape), value.tolist()]
    if isinstance(value, (list, tuple)):
        return [_said(one) for one in value]
    if isinstance(value, Mapping):
        return [[_said(name), _said(one)] for name, one in value.items()]
    if dataclasses.is_dataclass(value):
        fields = {f.name: _said(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return [type(value).__qualname__, fields]
    said = repr(value)
    if " at 0x" in said:
        msg = (
            "resume= and workers= find results again by their settings, and one of them is a "
            "function or object without a value; name a target instead"
        )
        raise OptionError(msg)
    return said


@dataclasses.dataclass(frozen=True, eq=False)
class Chunk:
    """Inputs that are computed together.

    Parameters
    ----------
    number : int
        Place among the chunks of a run, from 0.
    inputs : list of Input
    keys : list of str
        Of each input.
    fresh : mapping of str to Input
        What is computed: the inputs whose keys no input before has. It depends on the inputs of
        the run alone, never on what a folder holds, or on what failed.
    """

    number: int
    inputs: list[Input]
    keys: list[str]
    fresh: dict[str, Input]


def cut(inputs: Iterable[Input]) -> Iterator[list[Input]]:
    """Cut inputs into chunks of about 4,096 letters and at most 256 inputs.

    Examples
    --------
    >>> inputs = [Input("", "A" * 3000), Input("", "A"), Input("", "C" * 3000)]
    >>> [len(chunk) for chunk in cut(inputs)]
    [2, 1]
    """
    chunk: list[Input] = []
    letters = 0
    for named in inputs:
        size = len(named.raw) if isinstance(named.raw, str) else 1
        if chunk and (letters + size > _LETTERS or len(chunk) >= _INPUTS):
            yield chunk
            chunk, letters = [], 0
        chunk.append(named)
        letters += size
    if chunk:
        yield chunk


def chunks(wanted: Plan, inputs: Iterable[Input], store: Store) -> Iterator[Chunk]:
    """Cut inputs into chunks, and say which of them are new in each."""
    seen: set[str] = set()
    for number, some in enumerate(cut(inputs)):
        keys = [store.key(wanted, named) for named in some]
        fresh: dict[str, Input] = {}
        for key, named in zip(keys, some, strict=True):
            if key not in seen:
                fresh[key] = named
                seen.add(key)
        yield Chunk(number, some, keys, fresh)


def left_to_do(
    wanted: Plan, chunk: Chunk, there: Callable[[str], bool]
) -> tuple[bool, dict[str, SaliscopeError]]:
    """Say whether a chunk has to be computed, and which of its inputs can have no result.

    Parameters
    ----------
    wanted : Plan
    chunk : Chunk
    there : callable
        Whether a result is there.
    """
    failed: dict[str, SaliscopeError] = {}
    for key, named in chunk.fresh.items():
        if there(key):
            continue
        try:
            for sample in wanted.model.prepare(named.raw, name=named.name or None):
                if isinstance(wanted.target, Later):
                    continue
                given = wanted.target.on(wanted.model, sample)
                if wanted.target.asks(wanted.model, given) is None:
                    wanted.target.bind(wanted.model, given)
        except SaliscopeError as error:
            failed[key] = error
        else:
            return True, {}
    return False, failed


def computed(chunk: Chunk, store: Store, compute: Compute) -> dict[str, SaliscopeError]:
    """Compute a chunk, keep its results, and return the errors of those inputs that have none."""
    keys = {id(named): key for key, named in chunk.fresh.items()}
    results = compute(
        list(chunk.fresh.values()), lambda named, made: store.keep(keys[id(named)], made)
    )
    pairs = zip(chunk.fresh, results, strict=True)
    return {key: result for key, result in pairs if isinstance(result, SaliscopeError)}


def results_of(
    chunk: Chunk, store: Store, failed: dict[str, SaliscopeError], compute: Compute
) -> Iterator[Result]:
    """Yield the results of a chunk that was computed, in the order of its inputs."""
    for key, named in zip(chunk.keys, chunk.inputs, strict=True):
        if chunk.fresh.get(key) is named and key in failed:
            yield failed[key]
            continue
        found = store.find(key, named.name) if key not in failed else None
        if found is not None:
            yield found
            continue
        # Like an input that failed (the error has its own name), or a file that was removed.
        yield compute([named], functools.partial(_keep, store, key))[0]


def _keep(store: Store, key: str, _: Input, made: Attribution) -> None:
    store.keep(key, made)
