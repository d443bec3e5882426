"""The engine: drives many questions at once and packs what they ask into batches.

Adaptive stopping, packing across inputs, deduplication, the byte budget, halving when memory runs
out, call counting and progress are here, once; no method and no adapter contains any of them.
"""

from __future__ import annotations

import functools
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from saliscope.core.ask import Ask, Estimate
from saliscope.core.batching import (
    Sizer,
    SteadySizer,
    remembered,
)
from saliscope.core.errors import OutOfMemoryError, SaliscopeError
from saliscope.core.failures import as_model_error, is_out_of_memory, line
from saliscope.core.health import finding
from saliscope.core.model import Model, Pass, Piece, Reader
from saliscope.core.packing import first_batch
from saliscope.core.perturbation import Perturbation
from saliscope.core.single import SingleRow
from saliscope.core.tasks import Job, Outcome, Progress, Task
from saliscope.core.units import FloatArray

__all__ = ["Job", "Outcome", "Progress", "drive"]

_MEMORY = 500_000  # numbers remembered for deduplication
_ACTIVE = 256  # questions under way at once, where a batch needs no more
_DEPENDENT = 0.01  # relative change that rounding in half precision does not reach

_Rows = npt.NDArray[np.int64]
_Chosen = list[tuple[Task, list[tuple[int, int]]]]


class _Run:
    """State of one `drive` call."""

    def __init__(
        self, model: Model, budget: int, progress: Callable[[Progress], None] | None, *,
        steady: bool = False,
    ) -> None:  # fmt: skip
        self.model, self.budget, self.progress = model, budget, progress
        self.known = remembered(model.identity)
        self.sized = Sizer if model.grain.timed and not steady else SteadySizer
        if steady:  # nothing that was timed, and nothing from before, decides what comes out
            self.known = self.known.for_steady(_DEPENDENT)
        self.memo: OrderedDict[Hashable, tuple[FloatArray, FloatArray]] = OrderedDict()
        self.finished: dict[int, Outcome] = {}
        self.twins: dict[Hashable, list[tuple[int, Job]]] = {}
        self.recent: OrderedDict[Hashable, Outcome] = OrderedDict()
        self.rows = self.calls = self.done = self.started = self.memory = 0
        self.single = SingleRow(model, self.known.weighed)

    def sizer(self, task: Task) -> Sizer:
        bucket = max(1, task.job.sample.length - 1).bit_length()
        # A pass that is cut at a layer keeps little, so it says nothing of whole ones.
        grain = self.model.grain  # another one where the model was moved to another device
        if self.model.shares(task.job.sample, task.ask.points):
            grain = grain.sharing(1 << (bucket - 1))
        key = (task.backward, task.rule, task.layer, bucket, self.model.threads, grain)
        return self.known.sizers.setdefault(key, self.sized(grain=grain))

    # -- cutting -----------------------------------------------------------------------------

    def cut(self, tasks: list[Task]) -> _Chosen:
        """Choose the rows of the next batch from all that wait."""
        waiting = [task for task in tasks if task.waiting]
        # Longest first: the largest batch comes first, so that memory trouble shows at once.
        waiting.sort(key=lambda t: (t.backward == 0, -t.job.sample.length, t.number))
        first = waiting[0]
        sizer = self.sizer(first)
        if isinstance(sizer, SteadySizer) and sizer.bytes_per_row is None:
            self.single.weigh(first, sizer)
        kind, length = self._kind(first), first.job.sample.length
        room = sizer.rows(self.budget, length)
        alike = [task for task in waiting if self._kind(task) == kind]
        # What waits is shared out evenly, because a small rest costs a pass of its own.
        rest = sum(len(task.waiting) for task in alike)
        parts = 1 if sizer.at_once(self.budget, length, rest) else max(1, round(rest / room))
        room = min(math.ceil(rest / parts), sizer.allowed(self.budget, length))
        if alike[-1].job.sample.length < length:
            lengths = (task.job.sample.length for task in alike for _ in task.waiting)
            room = first_batch(lengths, room, sizer.pass_units)
        chosen: _Chosen = []
        for task in alike:
            if room <= 0:
                break
            rows = min(room, len(task.waiting))
            taken, task.waiting = task.waiting[:rows], task.waiting[rows:]
            room -= rows
            chosen.append((task, taken))
        return chosen

    def _kind(self, task: Task) -> Hashable:
        if task.kind is None:
            pack = self.model.pack_key(task.job.sample, task.ask.points)
            # Gradients cost a pass per target, so targets of one number go together; values do not.
            task.kind = (task.backward, task.rule, task.layer, pack)
        return task.kind

    # -- running -----------------------------------------------------------------------------

    def step(self, tasks: list[Task]) -> None:
        """Cut one batch, run it (halving while memory runs out), and hand out what it gave."""
        pending = [self.cut(tasks)]
        while pending:
            chosen = pending.pop()
            try:
                self._run(chosen)
            except Exception as error:  # noqa: BLE001 - whatever a user's model raises
                pending += self._recover(chosen, error)

    def _recover(self, chosen: _Chosen, error: Exception) -> list[_Chosen]:
        """Return what to run instead of a batch that failed."""
        rows = sum(len(items) for _, items in chosen)
        if not is_out_of_memory(error):
            if len(chosen) > 1:  # one record's failure must not lose the others
                return [[entry] for entry in reversed(chosen)]
            task, _ = chosen[0]
            task.error = as_model_error(task.job.sample.name, error)
            return []
        if rows == 1:
            task, _ = chosen[0]
            task.error = OutOfMemoryError(
                f"{task.job.sample.name}: memory ran out on a single row ({line(error)}); "
                "shorten the input or use a smaller model"
            )
            return []
        limit = self.sizer(chosen[0][0]).ran_out(rows)
        halved: list[_Chosen] = []
        for task, items in chosen:
            task.findings["out_of_memory"] = finding("out_of_memory", rows=rows, halved=limit)
            halved += [[(task, items[i : i + limit])] for i in range(0, len(items), limit)]
        return halved[::-1]

    def _run(self, chosen: _Chosen) -> None:
        sizer = self.sizer(chosen[0][0])
        pieces: list[Piece] = []
        readers: list[Reader] = []
        back: list[tuple[Task, _Rows, int]] = []  # who gets what each reader reads
        recalled: list[tuple[Task, _Rows, Pass]] = []  # handed out once the batch has run
        seen: dict[Hashable, int] = {}  # row key -> physical row
        remember: list[list[Hashable | None]] = []
        total = 0
        for task, items in chosen:
            sample, target, points = task.job.sample, task.job.target, task.ask.points
            fold = task.ask.fold
            for view, positions in enumerate(target.views):
                rows = np.array([row for row, v in items if v == view], dtype=np.int64)
                if not len(rows):
                    continue
                keys: list[Hashable | None] = [None] * len(rows)
                physical = np.arange(total, total + len(rows))
                fresh = rows
                # What is done beside a question shares no row with it, or what the question takes
                # would depend on how both are packed.
                if not task.backward and task.job.counted:
                    keys = [self.model.row_key(sample, points, int(r), positions) for r in rows]
                    rows, keys, found = self._recall(task, rows, keys, view)
                    recalled += found
                    if not len(rows):
                        continue
                    new, physical = _number(keys, seen, total)
                    fresh = rows[new]
                if len(fresh):
                    pieces.append(Piece(sample, points, fresh, positions))
                    total += len(fresh)
                cut = fold
                if fold is not None:
                    cut = fold.at(rows)
                readers.append(Reader(target, view, physical, len(pieces) - 1, cut, task.ask.layer))
                back.append((task, rows, len(fresh)))
                remember.append(keys)
        if pieces:
            self._pass(sizer, chosen, pieces, readers, back, remember, total)
        for task, rows, got in recalled:
            task.receive(rows, got)

    def _pass(
        self, sizer: Sizer, chosen: _Chosen, pieces: list[Piece], readers: list[Reader],
        back: list[tuple[Task, _Rows, int]], remember: list[list[Hashable | None]], total: int,
    ) -> None:  # fmt: skip
        """Run a realized batch and hand out what it gave."""
        account = sizer.bytes_per_row is None
        start = time.perf_counter()
        passes, peak = self.model.run(pieces, readers, account=account)
        seconds = time.perf_counter() - start
        length = chosen[0][0].job.sample.length
        sizer.saw(total, seconds, peak / total if account else None, length)
        self.rows += total
        self.calls += 1
        if total > 1 and self.known.dependence is None:
            self.known.dependence = self.single.dependence(pieces[0], readers[0], passes[0])
            remembered(self.model.identity).dependence = self.known.dependence
        for (task, rows, fresh), keys, reader, got in zip(
            back, remember, readers, passes, strict=True
        ):
            task.receive(rows, got)
            # A rule that compares with the fill has run that row, too.
            task.evaluations += fresh if got.reference is None else 2 * fresh
            if sizer.bytes_per_row is not None and sizer.bytes_per_row > self.budget:
                task.findings["over_budget"] = finding(
                    "over_budget", needed=int(sizer.bytes_per_row), budget=self.budget
                )
            for place, key in enumerate(keys):
                if key is not None:
                    self._remember(
                        (key, reader.target.key, reader.view),
                        got.values[place], got.probabilities[place],
                    )  # fmt: skip
        for task, _ in chosen:
            task.calls += 1
            if self.known.dependence is not None and self.known.dependence > _DEPENDENT:
                task.findings["cross_example"] = finding(
                    "cross_example", change=self.known.dependence
                )

    def _recall(
        self, task: Task, rows: _Rows, keys: list[Hashable | None], view: int
    ) -> tuple[_Rows, list[Hashable | None], list[tuple[Task, _Rows, Pass]]]:
        """Return what is left to compute, its keys, and what memory answers."""
        left: list[int] = []
        recalled: list[tuple[Task, _Rows, Pass]] = []
        for place, key in enumerate(keys):
            found = None
            if key is not None and task.job.target.key is not None:
                found = self.memo.get((key, task.job.target.key, view))
            if found is None:
                left.append(place)
                continue
            got = Pass(found[0][None], found[1][None])
            recalled.append((task, rows[place : place + 1], got))
        return rows[left], [keys[i] for i in left], recalled

    def _remember(self, key: Hashable, values: FloatArray, probabilities: FloatArray) -> None:
        self.memo[key] = (values, probabilities)
        self.memory += values.size
        while self.memory > _MEMORY:
            _, (oldest, _) = self.memo.popitem(last=False)
            self.memory -= oldest.size

    # -- driving -----------------------------------------------------------------------------

    def drive(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Yield outcomes in the order of the jobs."""
        source = enumerate(jobs)
        active: list[Task] = []
        exhausted, upcoming = False, 0
        while not (exhausted and not active):
            most, room = self._room(active)
            while not exhausted and room > 0 and len(active) < most:
                item = next(source, None)
                if item is None:
                    exhausted = True
                else:
                    begun = self._start(*item)
                    active += begun
                    room -= sum(len(task.waiting) for task in begun)
            if any(task.waiting for task in active):
                self.step(active)
            active = [task for task in active if self._advance(task)]
            if self.progress is not None:
                self.progress(Progress(self.done, self.started, self.rows, self.calls))
            while upcoming in self.finished:
                yield self.finished.pop(upcoming)
                upcoming += 1

    def _room(self, active: list[Task]) -> tuple[int, int]:
        """Return how many questions may be under way, and how many more rows may wait."""
        # So many rows are kept waiting that batches can be filled and sorted.
        rows = self.model.grain.rows
        wanted = max(rows, 2 * max((s.most for s in self.known.sizers.values()), default=1))
        return max(_ACTIVE, rows), wanted - sum(len(task.waiting) for task in active)

    def _start(self, number: int, job: Job) -> list[Task]:
        self.started += job.counted
        if job.key is not None:
            if job.key in self.twins:
                self.twins[job.key].append((number, job))
                return []
            if job.key in self.recent:
                self._finish(number, replace(self.recent[job.key], job=job, evaluations=0, calls=0))
                return []
            self.twins[job.key] = []
        steps = job.start(job.question)
        empty = np.zeros((0, 0))
        task = Task(number, job, steps, Ask(Perturbation.identity(job.sample.units)), empty, empty)
        self._resume(task, functools.partial(next, steps))
        return [] if number in self.finished else [task]

    def _advance(self, task: Task) -> bool:
        """Send answers that are complete; return whether the task goes on."""
        while not task.missing or task.error is not None:
            if not self._resume(task, functools.partial(task.steps.send, task.answer)):
                return False
        return True

    def _resume(self, task: Task, onward: Callable[[], Ask]) -> bool:
        """Let a method go on to its next ask; finish the task where it ends or fails."""
        estimate: Estimate | None = None
        error = task.error
        if error is None:
            try:
                task.pose(onward())
            except StopIteration as stop:
                estimate = stop.value
            except SaliscopeError as raised:
                error = raised
            else:
                return True
        task.steps.close()
        outcome = Outcome(
            task.job, estimate, error, task.evaluations, task.calls, tuple(task.findings.values())
        )
        self._finish(task.number, outcome)
        key = task.job.key
        if key is not None:
            for number, job in self.twins.pop(key):
                self._finish(number, replace(outcome, job=job, evaluations=0, calls=0))
            self.recent[key] = outcome
            if len(self.recent) > _ACTIVE:
                self.recent.popitem(last=False)
        return False

    def _finish(self, number: int, outcome: Outcome) -> None:
        self.finished[number] = outcome
        self.done += outcome.job.counted


def _number(
    keys: list[Hashable | None], seen: dict[Hashable, int], start: int
) -> tuple[list[int], _Rows]:
    """Give equal keys one physical row: return the places that are new, and all rows."""
    new: list[int] = []
    physical = np.empty(len(keys), dtype=np.int64)
    for place, key in enumerate(keys):
        known = seen.get(key) if key is not None else None
        if known is None:
            known = start + len(new)
            new.append(place)
            if key is not None:
                seen[key] = known
        physical[place] = known
    return new, physical


def drive(
    model: Model,
    jobs: Iterable[Job],
    *,
    budget: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    steady: bool = False,
) -> Generator[Outcome, None, None]:
    """Run jobs through a model and yield their outcomes, in order.

    Parameters
    ----------
    model : Model
        Must be quiet already (`Model.quiet`).
    jobs : iterable of Job
        Taken up as room allows; never held all at once.
    budget : int, optional
        Bytes that a batch may need beside the weights; a ceiling (default: that of the model's
        grain).
    progress : callable, optional
        Called after every batch.
    steady : bool
        Cut batches by a fixed rule instead of by measured speed: equal jobs give equal bits.

    Yields
    ------
    Outcome
        With `error` set where a job failed; the others go on.
    """
    yield from _Run(model, budget or model.grain.budget, progress, steady=steady).drive(jobs)
