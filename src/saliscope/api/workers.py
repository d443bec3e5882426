"""Work shared out to other processes: of this machine, or of Ray (`saliscope.api.on_ray`).

A crew is given tasks and gives back what came of them, in whatever order they are finished. Workers
begin fresh and load what they need themselves; they write nothing, so that killing them, or whoever
sent them, leaves nothing half-done.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from saliscope.core.errors import ModelError, OptionError, SaliscopeError, nearest
from saliscope.core.failures import line
from saliscope.core.tasks import Progress

__all__ = [
    "AHEAD",
    "ENGINES",
    "Crew",
    "Engine",
    "Processes",
    "Start",
    "Tell",
    "check_workers",
    "crew",
    "ignore",
]

Engine = Literal["local", "ray"]
ENGINES = ("local", "ray")

T = TypeVar("T")
R = TypeVar("R")
Tell = Callable[[Progress], None]

AHEAD = 2
"""Tasks that a worker has at once, so that the next one is there when one is done."""
_OFTEN = 0.2  # seconds between two reports of a worker
_PATIENCE = 5.0  # seconds for a worker to end by itself


def ignore(*_: object) -> None:
    """Listen to no progress."""


class Start(Protocol):
    """Begins in a worker, and returns the function that does a task there. It is sent by pickle."""

    def __call__(self, tell: Tell) -> Callable[[Any], Any]:
        """Load what is needed; `tell` reports how far the present task is."""
        ...


def check_workers(engine: str, workers: int | None) -> None:
    """Refuse an engine that does not exist, and a number of workers that is none.

    Raises
    ------
    OptionError
    """
    if engine not in ENGINES:
        msg = f"engine={engine!r} does not exist: {nearest(str(engine), ENGINES)}"
        raise OptionError(msg)
    if workers is not None and (isinstance(workers, bool) or workers < 1):
        msg = f"workers={workers} must be a positive number"
        raise OptionError(msg)


def threads_each(threads: int, engine: Engine, workers: int | None) -> int:
    """Return the threads of each worker: those of this process, divided; one by itself on Ray.

    Examples
    --------
    >>> threads_each(8, "local", 3), threads_each(8, "local", None), threads_each(8, "ray", None)
    (2, 8, 1)
    """
    if workers is None:
        return 1 if engine == "ray" else threads
    return max(1, threads // workers)


class Crew(ABC, Generic[T, R]):
    """Workers that do tasks. Leave it with `close`, or as a context.

    Attributes
    ----------
    progress : callable
        Called with the number of a worker and how far its task is.
    """

    progress: Callable[[int, Progress], None] = staticmethod(ignore)

    @property
    @abstractmethod
    def room(self) -> bool:
        """Whether some worker could take a task."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether a task is under way."""

    @abstractmethod
    def submit(self, task: T) -> None:
        """Give a task to a worker that has room."""

    @abstractmethod
    def receive(self) -> tuple[int, T, R]:
        """Wait for a task to be finished; return the worker, the task, and what came of it.

        Raises
        ------
        SaliscopeError
            A worker could not begin, failed, or was killed.
        """

    @abstractmethod
    def close(self) -> None:
        """Send the workers home, whatever they are doing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def each(self, tasks: Iterable[T]) -> Generator[tuple[T, R], None, None]:
        """Do tasks, and yield them with what came of them, as they are finished."""
        for task in tasks:
            while not self.room:
                yield self.receive()[1:]
            self.submit(task)
        while self.busy:
            yield self.receive()[1:]


def crew(
    engine: Engine, start: Start, workers: int | None, *, gpus: bool = False
) -> Crew[Any, Any]:
    """Return a crew, which begins when it is given its first task.

    Parameters
    ----------
    engine : {"local", "ray"}
    start : Start
    workers : int, optional
        At most so many. None: one process, or as many as Ray has processors for.
    gpus : bool
        Whether each worker of Ray needs one.

    Raises
    ------
    OptionError
        `start` cannot be sent to another process; Ray is not installed.
    """
    try:
        sent = pickle.dumps(start)
    except Exception as error:  # whatever an object raises that is in there
        msg = (
            f"workers begin in processes of their own, and something cannot be sent there "
            f"({line(error)}); use functions and classes of a module, or leave out workers="
        )
        raise OptionError(msg) from error
    if engine == "ray":
        from saliscope.api.on_ray import OnRay

        return OnRay(sent, workers, gpus=gpus)
    return Processes(sent, workers or 1)


@dataclass(eq=False)
class _Process(Generic[T]):
    number: int
    process: BaseProcess
    pipe: Connection
    tasks: deque[T] = field(default_factory=deque)


class Processes(Crew[T, R]):
    """Processes of this machine, begun one by one as there is work for them.

    Parameters
    ----------
    start : bytes
        A pickled `Start`.
    workers : int
        At most so many.
    """

    def __init__(self, start: bytes, workers: int) -> None:
        self._start, self._most = start, workers
        self._workers: list[_Process[T]] = []

    @property
    def room(self) -> bool:
        """Whether some worker could take a task."""
        return len(self._workers) < self._most or any(len(w.tasks) < AHEAD for w in self._workers)

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return any(w.tasks for w in self._workers)

    def submit(self, task: T) -> None:
        """Give a task to an idle worker, else to a new one, else to the one with least to do."""
        idle = [w for w in self._workers if not w.tasks]
        if not idle and len(self._workers) < self._most:
            idle = [self._begin()]
        worker = min(idle or self._workers, key=lambda w: len(w.tasks))
        worker.tasks.append(task)
        with self._told_if_dead(worker):
            worker.pipe.send(task)

    def receive(self) -> tuple[int, T, R]:
        """Wait for a task to be finished; on the way, pass on what workers tell."""
        while True:
            ready = wait([w.pipe for w in self._workers])
            for worker in [w for w in self._workers if w.pipe in ready]:
                with self._told_if_dead(worker):
                    kind, content = worker.pipe.recv()
                if kind == "progress":
                    self.progress(worker.number, content)
                elif kind == "failed":
                    raise content
                else:
                    return worker.number, worker.tasks.popleft(), content

    def close(self) -> None:
        """End the processes: those that wait by themselves, the others by a signal."""
        for worker in self._workers:
            worker.pipe.close()
        end = time.monotonic() + _PATIENCE
        for worker in self._workers:
            worker.process.join(max(0.0, end - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _begin(self) -> _Process[T]:
        # Spawned, never forked: the threads of a library that has run do not come along in a fork.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._start), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Process(len(self._workers) + 1, process, ours))
        return self._workers[-1]

    @contextlib.contextmanager
    def _told_if_dead(self, worker: _Process[T]) -> Generator[None, None, None]:
        try:
            yield
        except (EOFError, OSError) as error:
            worker.process.join(_PATIENCE)
            code = worker.process.exitcode
            if code is not None and code < 0:
                why = f"was killed (signal {-code}), perhaps because memory ran out; use fewer"
            else:
                why = (
                    f"ended too early (exit code {code}); a script that uses workers needs the "
                    "line `if __name__ == '__main__':` above its own work"
                )
            msg = f"worker {worker.number} {why}"
            raise ModelError(msg) from error


def _serve(pipe: Connection, start: bytes) -> None:
    """Do tasks from a pipe until it is closed, by the other side or by its death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who sent us
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, tasks), daemon=True).start()
    last = 0.0

    def tell(state: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _OFTEN:
            last = time.monotonic()
            pipe.send(("progress", state))

    try:
        work = pickle.loads(start)(tell)  # noqa: S301 - made by the process that began this one
        while True:
            pipe.send(("done", work(tasks.get())))
    except OSError:  # nobody listens any more
        return
    except Exception as error:  # noqa: BLE001 - told by the process that began this one
        pipe.send(("failed", _failure(error)))


def _listen(pipe: Connection, tasks: queue.SimpleQueue[Any]) -> None:
    """Take tasks as they come, so that who sends one never waits; end with who sent them."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(pipe.recv())
    os._exit(0)  # a worker has nothing to put in order


def _failure(error: Exception) -> SaliscopeError:
    if isinstance(error, SaliscopeError):
        return error
    return ModelError(f"a worker failed ({line(error)[:200]})")
