"""Workers of Ray, on one machine or on many."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
from collections.abc import Callable, Generator
from importlib import import_module
from typing import Any

from saliscope.api.workers import AHEAD, Crew, R, T, ignore
from saliscope.core.errors import ModelError, OptionError, SaliscopeError
from saliscope.core.failures import line

__all__ = ["OnRay"]


class _Actor:
    """A process of Ray."""

    def __init__(self, start: bytes) -> None:
        self.start = start

    @functools.cached_property
    def work(self) -> Callable[[Any], Any]:
        made: Callable[[Any], Any] = pickle.loads(self.start)(ignore)  # noqa: S301 - ours
        return made

    def run(self, task: Any) -> tuple[Any, SaliscopeError | None]:
        """Return what came of a task, or why nothing did."""
        try:
            return self.work(task), None
        except SaliscopeError as error:
            return None, error


class OnRay(Crew[T, R]):
    """Workers of Ray.

    A cluster that is connected already is used and left; otherwise one of this machine is started
    for the time of the run.

    Parameters
    ----------
    start : bytes
        A pickled `Start`.
    workers : int, optional
        At most so many; None: as many as there are processors, or GPUs, for.
    gpus : bool
        Whether each needs one.

    Raises
    ------
    OptionError
        Ray is not installed.
    """

    def __init__(self, start: bytes, workers: int | None, *, gpus: bool = False) -> None:
        try:
            self._ray = import_module("ray")
        except ImportError as error:
            msg = "ray is not installed, and engine='ray' needs it; run: pip install ray"
            raise OptionError(msg) from error
        self._start, self._most, self._gpus = start, workers, gpus
        self._started = False
        self._actors: list[Any] = []
        self._running: dict[Any, tuple[int, T]] = {}

    @property
    def room(self) -> bool:
        """Whether some worker could take a task."""
        return not self._actors or len(self._running) < AHEAD * (self._most or 1)

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return bool(self._running)

    def submit(self, task: T) -> None:
        """Give a task to the worker with least to do, or to a new one."""
        with self._told():
            if not self._actors:
                self._connect()
            load = [
                sum(w == n for w, _ in self._running.values()) for n in range(len(self._actors))
            ]
            if 0 not in load and len(load) < (self._most or 1):
                # One CPU each to be scheduled by; how many threads they use is decided by `start`.
                remote = self._ray.remote(num_cpus=1, num_gpus=int(self._gpus))(_Actor)
                self._actors.append(remote.remote(self._start))
                load.append(0)
            least = load.index(min(load))
            self._running[self._actors[least].run.remote(task)] = least, task

    def receive(self) -> tuple[int, T, R]:
        """Wait for a task to be finished."""
        with self._told():
            (ready, *_), _ = self._ray.wait(list(self._running), num_returns=1)
            worker, task = self._running.pop(ready)
            got, error = self._ray.get(ready)
        if error is not None:
            raise error
        return worker + 1, task, got

    def close(self) -> None:
        """End the workers, and the cluster if it was started here."""
        try:
            for actor in self._actors:
                self._ray.kill(actor)
        finally:  # also where the cluster is gone
            if self._started:
                self._ray.shutdown()
            self._actors, self._running, self._started = [], {}, False

    def _connect(self) -> None:
        if not self._ray.is_initialized():
            with _no_report():
                self._ray.init(
                    num_cpus=self._most, include_dashboard=False, log_to_driver=False,
                    logging_level="error", configure_logging=True,
                )  # fmt: skip
            self._started = True
        room = int(self._ray.cluster_resources().get("GPU" if self._gpus else "CPU", 1))
        self._most = max(1, min(self._most or room, room))

    @contextlib.contextmanager
    def _told(self) -> Generator[None, None, None]:
        try:
            yield
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            msg = f"a worker of Ray failed ({line(cause)[:200]})"
            raise ModelError(msg) from error


@contextlib.contextmanager
def _no_report() -> Generator[None, None, None]:
    """Keep Ray's own report of how it is used on this machine, unless somebody wants it."""
    name = "RAY_USAGE_STATS_ENABLED"
    if name in os.environ:
        yield
        return
    os.environ[name] = "0"
    try:
        yield
    finally:
        del os.environ[name]
