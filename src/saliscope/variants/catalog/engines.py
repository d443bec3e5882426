"""Who runs the batches: this process, or workers of Ray. The bytes are the same."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from saliscope.core.errors import ModelError, OptionError, SaliscopeError
from saliscope.models.protein import ProteinModel
from saliscope.variants.catalog.forward import Batch, protein_model, run_batch
from saliscope.variants.catalog.storage import library

__all__ = ["Done", "local", "on_ray", "source_for_ray"]

Done = tuple[Batch, bytes]


def local(
    model: ProteinModel, batches: Sequence[Batch], budget: int | None
) -> Generator[Done, None, None]:
    """Run batches one after another in this process."""
    for batch in batches:
        yield batch, run_batch(model, batch, budget)


def source_for_ray(model: object) -> str:
    """Return the name or folder from which every worker loads the model.

    Raises
    ------
    OptionError
        A model object was given.
    """
    if isinstance(model, Path) or (isinstance(model, str) and Path(model).is_dir()):
        return str(Path(model).resolve())
    if isinstance(model, str):
        return model
    msg = (
        f"engine='ray' loads the model in every worker; give its name or folder, not a "
        f"{type(model).__name__} (save it with save_pretrained() first), or use engine='local'"
    )
    raise OptionError(msg)


class Worker:
    """A process of Ray with a model of its own."""

    def __init__(self, source: str, threads: int, weights: str) -> None:
        import torch

        torch.set_num_threads(threads)
        self.model = protein_model(source)
        found = self.model.describe()["weights"]
        if found != weights:
            msg = f"{source}: a Ray worker loads other weights ({found}) than {weights}"
            raise ModelError(msg)

    def run(self, batch: Batch, budget: int | None) -> bytes | str:
        """Return the numbers of a batch, or one line on why there are none."""
        try:
            return run_batch(self.model, batch, budget)
        except SaliscopeError as error:
            return str(error)


def on_ray(
    source: str, model: ProteinModel, batches: Sequence[Batch], budget: int | None, workers: int
) -> Generator[Done, None, None]:
    """Run batches on workers of Ray, and yield them as they come.

    A cluster that is connected already is used and left; otherwise one of this machine is started
    for the time of the run.
    """
    if not batches:
        return
    ray = library("ray")
    started = not ray.is_initialized()
    if started:
        # Ray's own report of how it is used would leave the machine.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=workers, include_dashboard=False, log_to_driver=False,
            logging_level="error", configure_logging=True,
        )  # fmt: skip
    try:
        yield from _shared_out(ray, source, model, batches, budget, workers)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, SaliscopeError):
            raise cause from error
        line = next((s for s in str(cause).splitlines() if s.strip()), "")
        msg = f"a Ray worker failed ({type(cause).__name__}: {line.strip()[:160]})"
        raise ModelError(msg) from error
    finally:
        if started:
            ray.shutdown()


def _shared_out(
    ray: Any, source: str, model: ProteinModel, batches: Sequence[Batch], budget: int | None,
    workers: int,
) -> Generator[Done, None, None]:  # fmt: skip
    """Give every worker a batch, and the next one when it is done."""
    on_gpu = model.device.type == "cuda"
    room = ray.cluster_resources().get("GPU" if on_gpu else "CPU", 1)
    many = max(1, min(workers, len(batches), int(room)))
    # One CPU each to be scheduled by; threads are the caller's, because bits depend on them.
    made = ray.remote(num_cpus=1, num_gpus=int(on_gpu))(Worker)
    weights = model.describe()["weights"]
    free = [made.remote(source, model.threads, weights) for _ in range(many)]
    waiting = list(batches)[::-1]
    running: dict[Any, tuple[Any, Batch]] = {}
    while waiting or running:
        while waiting and free:
            worker, batch = free.pop(), waiting.pop()
            running[worker.run.remote(batch, budget)] = worker, batch
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        worker, batch = running.pop(ready)
        got = ray.get(ready)
        if isinstance(got, str):
            raise ModelError(got)
        free.append(worker)
        yield batch, got
