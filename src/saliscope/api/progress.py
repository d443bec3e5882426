"""Progress of a run over many chunks: a bar on the terminal, or the caller's own function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from saliscope.core.engine import Progress

__all__ = ["Meter"]


class Meter:
    """Adds up the progress of chunks and tells it, by a bar, a function, or not at all.

    Parameters
    ----------
    progress : bool or callable
        True shows a bar, where standard error is a terminal; a function gets a `Progress`.
    total : int or None
        Inputs of the whole run, where that is known.

    Examples
    --------
    >>> seen = []
    >>> with Meter(seen.append, 2) as meter:
    ...     meter.tell(Progress(1, 1, 5, 1))
    ...     meter.next()
    ...     meter.tell(Progress(1, 1, 7, 1))
    >>> seen[-1]
    Progress(done=2, started=2, rows=12, calls=2)
    """

    def __init__(self, progress: bool | Callable[[Progress], None], total: int | None) -> None:
        self.progress, self.total = progress, total
        self.before = self.now = Progress(0, 0, 0, 0)
        self.running: dict[int, Progress] = {}
        self.bar: Any = None

    def __enter__(self) -> Meter:
        if self.progress is True and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Rich

            self.bar = Rich(console=Console(stderr=True), transient=True)
            self.bar.add_task("explaining", total=self.total)
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def tell(self, state: Progress, worker: int = 0) -> None:
        """Tell how far the present chunk is; each worker has its own."""
        self.running[worker] = state
        self._add_up()
        self._show()

    def next(self, inputs: int = 0, worker: int = 0) -> None:
        """Go on to the next chunk; of this one `inputs` are done, those too that no engine saw."""
        done = self.running.pop(worker, Progress(0, 0, 0, 0))
        skipped = max(0, inputs - done.done)
        self.before = _sum(self.before, done, Progress(skipped, skipped, 0, 0))
        self._add_up()
        if skipped:
            self._show()

    def _add_up(self) -> None:
        self.now = _sum(self.before, *self.running.values())

    def _show(self) -> None:
        if callable(self.progress):
            self.progress(self.now)
        elif self.bar is not None:
            done, whole = f"{self.now.done:,}", f" of {self.total:,}" if self.total else ""
            self.bar.update(
                self.bar.task_ids[0], completed=self.now.done,
                description=f"explaining {done}{whole} ({self.now.rows:,} evaluations)",
            )  # fmt: skip


def _sum(*states: Progress) -> Progress:
    """Return several states as one."""
    done, started, rows, calls = (
        sum(getattr(s, name) for s in states) for name in ("done", "started", "rows", "calls")
    )
    return Progress(done, started, rows, calls)
