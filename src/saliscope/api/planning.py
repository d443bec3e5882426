"""What is wanted of a run, checked before any input is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from saliscope.core.ask import Options
from saliscope.core.errors import OptionError, RefusedError
from saliscope.core.model import Model, Sample
from saliscope.core.registry import MethodSpec, get_method, methods, options_from
from saliscope.core.target import BoundTarget, Target
from saliscope.core.target_spec import as_target
from saliscope.models.loading import load

__all__ = ["Later", "Plan", "plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is wanted of a run, checked."""

    model: Model
    method: MethodSpec
    options: Options
    target: Target
    baseline: object
    fill: object
    tolerance: float | None
    max_evaluations: int | None
    budget: int | None
    seed: int


def plan(
    model: object, method: str, target: object, *, baseline: object = None, fill: object = None,
    tolerance: float | None = None, max_evaluations: int | None = None, budget: int | None = None,
    seed: int = 0, tokenizer: Any = None, options: dict[str, Any] | None = None,
) -> Plan:  # fmt: skip
    """Check what is asked, before any input is read.

    Raises
    ------
    OptionError
        A value that is out of range, an option that the method does not have, an unknown name.
    RefusedError
        The method needs something that the model does not offer.
    """
    spec = get_method(method)
    _check_numbers(tolerance, max_evaluations, budget, seed)
    given = {
        "baseline": baseline, "fill": fill, "tolerance": tolerance,
        "max_evaluations": max_evaluations,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None and name not in spec.accepts:
            takes = ", ".join(sorted(spec.accepts)) or "none of baseline, fill and tolerance"
            msg = f"{spec.name} does not use {name}=; it takes {takes}"
            raise OptionError(msg)
    names = isinstance(baseline, (list, tuple)) and any(isinstance(b, str) for b in baseline)
    if names and not spec.takes & {"background", "examples"}:
        msg = f"{spec.name} starts at one baseline; to average over several use expected_gradients"
        raise OptionError(msg)
    if baseline is not None and fill is not None and "background" in spec.takes:
        msg = f"{spec.name} takes one of them: fill=, or baseline= for a background to average over"
        raise OptionError(msg)
    chosen = options_from(spec, options or {})
    adapter = load(model, tokenizer=tokenizer)
    missing = spec.needs - adapter.offers
    if missing:
        able = [m.name for m in methods().values() if m.needs <= adapter.offers]
        msg = (
            f"{spec.name} needs {', '.join(sorted(missing))}, and {adapter.name} offers "
            f"{', '.join(sorted(adapter.offers))} only; use one of: {', '.join(able)}"
        )
        raise RefusedError(msg)
    wanted = as_target(target, adapter) if adapter.heads else Later(target)
    return Plan(
        adapter, spec, chosen, wanted, baseline, fill, tolerance, max_evaluations, budget, seed
    )


def _check_numbers(
    tolerance: float | None, max_evaluations: int | None, budget: int | None, seed: int
) -> None:
    if tolerance is not None and not 0 < tolerance < 1:
        msg = f"tolerance={tolerance} must lie between 0 and 1, e.g. 0.01 for one percent"
        raise OptionError(msg)
    if max_evaluations is not None and max_evaluations < 5:
        msg = f"max_evaluations={max_evaluations} is too few; give at least 5"
        raise OptionError(msg)
    if budget is not None and (isinstance(budget, bool) or budget < 1):
        msg = f"budget={budget} must be a positive number of bytes, e.g. 2 * 2**30"
        raise OptionError(msg)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        msg = f"seed={seed} must be a whole number of at least 0"
        raise OptionError(msg)


@dataclass(frozen=True)
class Later(Target):
    """A target of a model whose outputs are known only once it has seen an input."""

    spec: object

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Interpret the target now."""
        return as_target(self.spec, model).bind(model, sample)
