"""Chunks of a run, computed here or by a crew of workers, and their results in order."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from saliscope.api.inputs import Input
from saliscope.api.planning import Plan
from saliscope.api.progress import Meter
from saliscope.api.running import Result, compute
from saliscope.api.store import Chunk, Store, chunks, computed, left_to_do, results_of
from saliscope.api.workers import Crew, Engine, Tell, crew
from saliscope.core.attribution import Attribution
from saliscope.core.engine import Progress
from saliscope.core.errors import SaliscopeError
from saliscope.core.registry import get_method
from saliscope.models.loading import Origin, origin_of
from saliscope.models.quiet import threads as threads_of

__all__ = ["Filled", "Shard", "fill", "stored", "team"]

_Made = tuple[list[tuple[str, Result, bytes | None]], Progress]
Team = Crew[tuple[int, Chunk], _Made]


@dataclasses.dataclass(frozen=True)
class _Orders:
    """What workers are to do: some plans without their model, and where the model comes from."""

    origin: Origin
    about: Mapping[str, Any]
    plans: Sequence[tuple[str, Mapping[str, Any]]]
    threads: int

    def __call__(self, tell: Tell) -> Callable[[tuple[int, Chunk]], _Made]:
        """Load the model, in a worker."""
        model = self.origin.again(self.about, self.threads)
        plans = [
            Plan(model=model, method=get_method(method), **rest) for method, rest in self.plans
        ]
        return functools.partial(_work, plans, tell)


def _work(plans: Sequence[Plan], tell: Tell, task: tuple[int, Chunk]) -> _Made:
    """Compute a chunk by one of the plans, in a worker."""
    number, chunk = task
    last = Progress(0, 0, 0, 0)

    def told(state: Progress) -> None:
        nonlocal last
        last = state
        tell(state)

    results = compute(plans[number], list(chunk.fresh.values()), steady=True, progress=told)
    # The bytes are made here, because that takes longer than a small model does.
    data = [result.to_bytes() if isinstance(result, Attribution) else None for result in results]
    return list(zip(chunk.fresh, results, data, strict=True)), last


def team(plans: Sequence[Plan], store: Store, workers: int | None, engine: Engine) -> Team:
    """Return a crew for some plans of one model.

    Raises
    ------
    OptionError
        The model is an object of this process, or something in a plan is.
    """
    model = plans[0].model
    sent = [
        (
            wanted.method.name,
            {
                field.name: getattr(wanted, field.name)
                for field in dataclasses.fields(wanted)
                if field.name not in {"model", "method"}
            },
        )
        for wanted in plans
    ]
    orders = _Orders(origin_of(model), model.describe(), sent, store.threads)
    gpus = str(orders.about["device"]).startswith("cuda")
    return crew(engine, orders, workers, gpus=gpus)


class _Sharing:
    """One pass over chunks, some of which are with workers."""

    def __init__(
        self, wanted: Plan, store: Store, meter: Meter, workers: Team | None, number: int
    ) -> None:
        self.wanted, self.store, self.meter = wanted, store, meter
        self.workers, self.number = workers, number
        self.finished: dict[int, dict[str, SaliscopeError]] = {}
        if workers is not None:
            workers.progress = lambda worker, state: meter.tell(state, worker)

    def take(self, chunk: Chunk, there: Callable[[str], bool]) -> None:
        """See that a chunk is computed: here, or in time by a worker."""
        needed, failed = left_to_do(self.wanted, chunk, there)
        if needed and self.workers is not None:
            while not self.workers.room:
                self.receive()
            self.workers.submit((self.number, chunk))
            return
        if needed:
            failed = computed(chunk, self.store, self.here)
        self.finished[chunk.number] = failed
        self.meter.next(len(chunk.inputs))

    def receive(self) -> None:
        """Take what a worker has made, and keep it."""
        assert self.workers is not None
        worker, (_, chunk), (made, state) = self.workers.receive()
        failed = self.finished.setdefault(chunk.number, {})
        for key, result, data in made:
            if isinstance(result, Attribution):
                self.store.keep(key, result, data)
            else:
                failed[key] = result
        self.meter.tell(state, worker)
        self.meter.next(len(chunk.inputs), worker)

    def here(
        self, inputs: Sequence[Input], keep: Callable[[Input, Attribution], None], *,
        counted: bool = False,
    ) -> list[Result]:  # fmt: skip
        """Explain some inputs in this process; those that were counted are not told again."""
        tell = None if counted else self.meter.tell
        with threads_of(self.store.threads):
            return compute(self.wanted, inputs, steady=True, progress=tell, keep=keep)


def stored(
    wanted: Plan, inputs: Iterable[Input], store: Store, meter: Meter,
    workers: Team | None = None, number: int = 0,
) -> Iterator[Result]:  # fmt: skip
    """Yield the results of inputs, in order, by way of a store.

    Parameters
    ----------
    wanted : Plan
    inputs : iterable of Input
        Read as far as is needed to keep workers busy.
    store : Store
    meter : Meter
    workers : Crew, optional
        Who computes; None: this process.
    number : int
        Of the plan among those that the workers know.
    """
    sharing = _Sharing(wanted, store, meter, workers, number)
    counted = functools.partial(sharing.here, counted=True)
    waiting: deque[Chunk] = deque()

    def ready() -> Iterator[Result]:
        while waiting and waiting[0].number in sharing.finished:
            chunk = waiting.popleft()
            failed = sharing.finished.pop(chunk.number)
            yield from results_of(chunk, store, failed, counted)

    for chunk in chunks(wanted, inputs, store):
        waiting.append(chunk)
        sharing.take(chunk, lambda key: store.find(key) is not None)
        yield from ready()
    while waiting:
        sharing.receive()
        yield from ready()


class Shard(NamedTuple):
    """One of several parts of a run: every so many chunks."""

    number: int
    of: int


class Filled(NamedTuple):
    """What a shard has done."""

    chunks: int
    inputs: int
    failed: list[SaliscopeError]


def fill(
    wanted: Plan, inputs: Iterable[Input], store: Store, meter: Meter, shard: Shard,
    workers: Team | None = None, number: int = 0,
) -> Filled:  # fmt: skip
    """Compute the chunks of one shard into a store, and nothing else.

    Parameters
    ----------
    wanted, inputs, store, meter, workers, number
        As of `stored`.
    shard : Shard
        Which chunks: the first of 4 takes chunks 1, 5, 9, ...

    Returns
    -------
    Filled
    """
    sharing = _Sharing(wanted, store, meter, workers, number)
    own = count = 0
    for chunk in chunks(wanted, inputs, store):
        if chunk.number % shard.of == shard.number - 1:
            own, count = own + 1, count + len(chunk.fresh)
            sharing.take(chunk, lambda key: store.path(key).exists())
    while len(sharing.finished) < own:
        sharing.receive()
    failed = [error for errors in sharing.finished.values() for error in errors.values()]
    return Filled(own, count, failed)
