"""A folder of finished results, so that a run that was cut off can go on.

Work is cut into chunks by a fixed rule, of the inputs' sizes alone. A chunk that is not finished is
done again whole, in the same batches, so a run that was cut off and taken up again ends in the
same bytes as one that was not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from saliscope.api.inputs import Input
from saliscope.api.planning import Plan
from saliscope.api.running import Result
from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, OptionError, SaliscopeError
from saliscope.core.record import plain

__all__ = ["Store", "cut", "resumed"]

_LETTERS = 4096
_INPUTS = 256
_HELD = 512

Compute = Callable[[Sequence[Input], Callable[[Input, Attribution], None]], list[Result]]


class Store:
    """Keeps one netCDF file per distinct input, named by a hash of input and settings.

    Inputs of equal content share a file, whatever they are called: the result is the same but for
    the name.

    Parameters
    ----------
    folder : str or path
        Made when the first result is kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        place = next(p for p in (self.folder, *self.folder.absolute().parents) if p.exists())
        if not place.is_dir():
            msg = f"{folder}: cannot be used as a folder ({place} is a file); choose another"
            raise InputError(msg)
        if not os.access(place, os.W_OK):
            msg = f"{folder}: cannot be used as a folder ({place} is read-only); choose another"
            raise InputError(msg)
        self._held: OrderedDict[str, Attribution] = OrderedDict()
        self._settings: tuple[Plan, bytes] | None = None

    def key(self, wanted: Plan, named: Input) -> str:
        """Return the key of a result: equal for equal input, model and settings."""
        if not isinstance(named.raw, str):
            msg = "resume= works for texts and proteins; tensors have no key of their own"
            raise OptionError(msg)
        if self._settings is None or self._settings[0] is not wanted:
            self._settings = (wanted, _settings(wanted))
        # An input without a name is called by its content, so it does not share with named ones.
        text = self._settings[1] + (b"named:" if named.name else b":") + named.raw.encode()
        return hashlib.sha256(text).hexdigest()[:32]

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.folder / f"{key}.nc"

    def find(self, key: str, name: str) -> Attribution | None:
        """Return a result that was finished before, under the name that it has here."""
        found = self._held.get(key)
        if found is None:
            if not self.path(key).exists():
                return None
            found = Attribution.load(self.path(key))
            self._hold(key, found)
        if not name or found.name == name:
            return found
        return Attribution(found.data, {**found.meta, "name": name})

    def keep(self, key: str, result: Attribution) -> None:
        """Save a finished result, unless it is there already."""
        self._hold(key, result)
        if self.path(key).exists():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{self.folder}: cannot be used as a folder ({error.strerror}); choose another"
            raise InputError(msg) from error
        result.save(self.path(key))

    def _hold(self, key: str, result: Attribution) -> None:
        self._held[key] = result
        if len(self._held) > _HELD:
            self._held.popitem(last=False)


def _settings(wanted: Plan) -> bytes:
    settings = {
        "model": wanted.model.describe(),
        "method": wanted.method.name,
        "options": dataclasses.asdict(wanted.options),
        "target": repr(wanted.target),
        "baseline": repr(wanted.baseline), "fill": repr(wanted.fill),
        "tolerance": wanted.tolerance, "max_evaluations": wanted.max_evaluations,
        "budget": wanted.budget, "seed": wanted.seed, "threads": wanted.model.threads,
    }  # fmt: skip
    return json.dumps(plain(settings), sort_keys=True).encode()


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


def resumed(
    wanted: Plan, chunk: Sequence[Input], store: Store, finished: set[str], compute: Compute
) -> list[Result]:
    """Return the results of a chunk, from the store where all of it is there.

    Parameters
    ----------
    wanted : Plan
    chunk : sequence of Input
    store : Store
    finished : set of str
        Keys that an earlier chunk of this run has finished; extended by those of this one. What
        is computed here depends on the inputs alone, never on what else the folder holds.
    compute : callable
        Explains some inputs, and hands on every result as soon as it is finished.
    """
    keys = [store.key(wanted, named) for named in chunk]
    fresh: dict[str, Input] = {}
    for key, named in zip(keys, chunk, strict=True):
        if key not in finished:
            fresh.setdefault(key, named)
    missing = [key for key in fresh if not store.path(key).exists()]
    failed: dict[str, SaliscopeError] = {}
    if missing and len(missing) < len(fresh):  # perhaps those only are missing that cannot be had
        failed = _refused(wanted, {key: fresh[key] for key in missing})
    if len(failed) < len(missing):
        by_input = {id(named): key for key, named in fresh.items()}
        results = compute(
            list(fresh.values()), lambda named, made: store.keep(by_input[id(named)], made)
        )
        for key, result in zip(fresh, results, strict=True):
            if isinstance(result, SaliscopeError):
                failed[key] = result
    finished |= fresh.keys() - failed.keys()
    return [
        _one(store, key, named, failed, fresh, compute)
        for key, named in zip(keys, chunk, strict=True)
    ]


def _refused(wanted: Plan, inputs: dict[str, Input]) -> dict[str, SaliscopeError]:
    """Return the errors of inputs that the model does not take at all."""
    failed: dict[str, SaliscopeError] = {}
    for key, named in inputs.items():
        try:
            wanted.model.prepare(named.raw, name=named.name or None)
        except SaliscopeError as error:
            failed[key] = error
    return failed


def _one(
    store: Store, key: str, named: Input, failed: dict[str, SaliscopeError],
    fresh: dict[str, Input], compute: Compute,
) -> Result:  # fmt: skip
    if key not in failed:
        found = store.find(key, named.name)
        if found is not None:
            return found
    elif fresh[key] is named:
        return failed[key]
    # A second input like one that failed (its error has its own name), or a file that was removed.
    return compute([named], lambda _, made: store.keep(key, made))[0]
