"""Who runs the batches: this process, or a crew of workers. The bytes are the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saliscope.api.workers import Crew, Engine, Tell, crew
from saliscope.models.loading import Origin, origin_of
from saliscope.models.protein import ProteinModel
from saliscope.variants.catalog.forward import Batch, protein_model, run_batch

__all__ = ["Done", "run_batches", "workers_for"]

Done = tuple[Batch, bytes]


@dataclass(frozen=True)
class _Orders:
    """What a worker needs to run batches. Bits depend on threads, so they are the caller's."""

    origin: Origin
    about: Mapping[str, Any]
    threads: int
    budget: int | None

    def __call__(self, tell: Tell) -> Callable[[Batch], bytes]:
        """Load the model, in a worker."""
        model = protein_model(self.origin.again(self.about, self.threads))
        return functools.partial(run_batch, model, budget=self.budget)


def workers_for(
    model: ProteinModel, engine: Engine, workers: int | None, budget: int | None
) -> Crew[Batch, bytes] | None:
    """Return workers, or None where this process runs the batches itself.

    Raises
    ------
    OptionError
        The model is an object of this process; Ray is not installed.
    """
    if engine == "local" and workers in {None, 1}:
        return None
    orders = _Orders(origin_of(model), model.describe(), model.threads, budget)
    return crew(engine, orders, workers, gpus=model.device.type == "cuda")


def run_batches(
    model: ProteinModel, batches: Sequence[Batch], budget: int | None,
    workers: Crew[Batch, bytes] | None,
) -> Generator[Done, None, None]:  # fmt: skip
    """Run batches, and yield each with its bytes as it is done."""
    if workers is None:
        for batch in batches:
            yield batch, run_batch(model, batch, budget)
        return
    with workers:
        yield from workers.each(batches)
