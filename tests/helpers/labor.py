"""Light work for workers, defined in a module so that it can be sent to other processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from saliscope.core.errors import ModelError
from saliscope.core.tasks import Progress


@dataclass(frozen=True)
class Squares:
    """Squares numbers; told by a negative one to fail in some way."""

    broken: bool = False

    def __call__(self, tell: Callable[[Progress], None]) -> Callable[[int], tuple[int, int]]:
        """Begin, or fail to."""
        if self.broken:
            msg = "there is no such model"
            raise ModelError(msg)

        def work(number: int) -> tuple[int, int]:
            tell(Progress(number, number, number, 1))
            if number == -1:
                msg = "one line\nand another"
                raise ZeroDivisionError(msg)
            if number == -9:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 3:
                time.sleep(0.3)
            return number * number, os.getpid()

        return work


def unsendable() -> Any:
    """Return something that pickle refuses."""
    return lambda tell: tell
