"""From outcomes of the engine to one labelled, durable result."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from saliscope.core.ask import Estimate, Layer, Question
from saliscope.core.attribution import PAIR, Attribution
from saliscope.core.health import Finding, Health, finding
from saliscope.core.model import Sample
from saliscope.core.perturbation import Baseline
from saliscope.core.record import Arrays
from saliscope.core.registry import MethodSpec
from saliscope.core.target import BoundTarget
from saliscope.core.tasks import Outcome
from saliscope.core.units import Units

if TYPE_CHECKING:
    from saliscope.api.planning import Plan

__all__ = ["assemble", "versions"]

_KEPT = {"picture", "reading"}  # what a result keeps of what an adapter says of its input
_EMPTY = {"no_slope", "nothing_positive"}  # findings of methods that say why all values are zero


@functools.cache
def versions(
    packages: Sequence[str] = ("saliscope", "torch", "transformers", "numpy"),
) -> dict[str, str]:
    """Return the versions that numbers depend on."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def assemble(
    wanted: Plan, outcomes: Sequence[Outcome], predicted: Sequence[Outcome | None],
    findings: Iterable[Finding], about: Mapping[str, Any],
) -> Attribution:  # fmt: skip
    """Label the estimates of one input (several for a tensor of examples).

    `about` is what the model says of itself (`Model.describe`), asked once for many inputs.
    """
    first = outcomes[0]
    estimates = [o.estimate for o in outcomes]
    assert all(e is not None for e in estimates)
    made: list[Estimate] = [
        _reached(o.job.target, e) for o, e in zip(outcomes, estimates, strict=True) if e is not None
    ]
    sample, target = first.job.sample, first.job.target
    units = made[0].units or sample.units
    table = wanted.model.modality == "table"
    examples = wanted.model.modality == "tensor" or (table and len(made) > 1)
    several = target.count > 1
    lead = (*(("target",) if several else ()), *(("example",) if examples else ()))
    dims, coords, pick = _labels(units)
    if examples:
        coords["example"] = list(range(len(made)))
    if table and examples:
        coords["row"] = ("example", [str(o.job.sample.context["label"]) for o in outcomes])
        if units is sample.units:
            cells = np.array([o.job.sample.context["cells"] for o in outcomes], dtype=str)
            coords["cell"] = (("example", *dims), cells)
    names = list(target.names)
    classes = [o.job.target.names for o in outcomes]
    if len(set(classes)) > 1:  # the predicted class, where examples differ in it
        names = ["predicted class"]
        coords["class"] = ("example", [c[0] for c in classes])
    if several:
        coords["target"] = names

    def stack(arrays: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Arrays (targets, *rest) per example to (targets?, examples?, *rest)."""
        joined = np.stack(arrays, axis=1)
        joined = joined if examples else joined[:, 0]
        return joined if several else joined[0]

    def map_of(arrays: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        joined = stack(arrays)
        return joined if pick is None else joined[..., pick]

    if examples and sample.context.get("scalar"):
        dims, coords = (), {k: v for k, v in coords.items() if k != "element"}
        values = stack([e.values[..., 0] for e in made])
        extra = {k: stack([e.extra[k][..., 0] for e in made]) for k in made[0].extra}
    else:
        values = map_of([e.values for e in made])
        extra = {k: map_of([e.extra[k] for e in made]) for k in made[0].extra}
    numbers: dict[str, tuple[tuple[str, ...], Any]] = {
        "score": (lead, stack([e.score for e in made]))
    }
    if made[0].baseline_score is not None:
        numbers["baseline_score"] = (lead, stack([_some(e.baseline_score) for e in made]))
    if made[0].additive:
        numbers["gap"] = (lead, stack([_gap(e) for e in made]))
    if made[0].error is not None:
        numbers["error"] = (lead, stack([_some(e.error) for e in made]))
    for name in made[0].numbers:
        numbers[name] = (lead, stack([e.numbers[name] for e in made]))
    for name in made[0].pairs:
        numbers[name] = ((*lead, *PAIR), stack([e.pairs[name] for e in made]))
    if made[0].pairs:
        coords |= dict.fromkeys(PAIR, _names(units))
    found: list[Finding] = [*findings]
    for outcome, estimate, prediction in zip(outcomes, made, predicted, strict=True):
        found += _examined(wanted, outcome, estimate, prediction)
    data = Arrays(values, (*lead, *dims), coords, numbers, extra)
    meta = _meta(wanted, outcomes, predicted, made[0], units, names, found, about)
    return Attribution(data, meta)


def _names(units: Units) -> list[str]:
    """Return one name per unit that results show: its label and position, or its place alone."""
    if len(units.dims) > 1:
        return [", ".join(map(str, place)) for place in np.ndindex(units.shape)]
    given = {name: np.asarray(values)[units.kept] for name, (_, values) in units.coords.items()}
    places = given.get("position", np.arange(len(units.kept)))
    labels = given.get(units.kind)
    if labels is None:
        return [str(place) for place in places]
    if units.kind in units.dims:  # a column is called by its name alone
        return [str(label) for label in labels]
    between = "" if units.kind == "residue" else " "
    return [f"{label}{between}{place}" for label, place in zip(labels, places, strict=True)]


def _reached(target: BoundTarget, estimate: Estimate) -> Estimate:
    """Return a map that is exactly zero at units that cannot change a target.

    There, the difference of two passes is the rounding of their batches, or the error of a sample.
    """
    reach, units = target.reach, estimate.units
    if reach is None or (units is not None and units.members is None):
        return estimate
    if units is not None:
        groups = [reach[:, units.members == group].any(1) for group in range(units.size)]
        reach = np.stack(groups, axis=1)
    extra = {name: np.where(reach, more, 0.0) for name, more in estimate.extra.items()}
    return dataclasses.replace(estimate, values=np.where(reach, estimate.values, 0.0), extra=extra)


def _some(array: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
    assert array is not None
    return array


def _gap(estimate: Estimate) -> np.ndarray[Any, Any]:
    total = estimate.values.reshape(len(estimate.values), -1).sum(1)
    gap: np.ndarray[Any, Any] = total - (estimate.score - _some(estimate.baseline_score))
    return gap


def _labels(
    units: Units,
) -> tuple[tuple[str, ...], dict[str, Any], np.ndarray[Any, Any] | None]:
    """Return dims, coordinates of kept units, and which units are kept (None: all)."""
    pick = units.kept if units.keep is not None else None
    coords: dict[str, Any] = {}
    for name, (dim, values) in units.coords.items():
        array = np.asarray(values)
        coords[name] = (dim, array if pick is None else array[pick])
    return units.dims, coords, pick


def _examined(
    wanted: Plan, outcome: Outcome, estimate: Estimate, prediction: Outcome | None
) -> list[Finding]:
    """Return what should make a reader doubt this estimate."""
    sample, target, question = outcome.job.sample, outcome.job.target, outcome.job.question
    before = () if prediction is None else prediction.findings
    found = [*sample.findings, *before, *outcome.findings, *estimate.findings]
    values = estimate.values
    bad = int((~np.isfinite(values)).sum())
    if bad:
        found.append(finding("non_finite", count=bad, total=values.size))
    scale = np.abs(values).reshape(len(values), -1).sum(1)
    if estimate.baseline_score is not None:
        scale = np.maximum(scale, np.abs(estimate.score - estimate.baseline_score))
    baselines = question.background or (question.baseline,)
    same = "baseline" in wanted.method.accepts and all(_is_input(sample, b) for b in baselines)
    if same:
        found.append(finding("input_equals_baseline"))
    elif not bad and not scale.any() and not _EMPTY & {f.code for f in estimate.findings}:
        found.append(finding("flat"))
    tolerance = estimate.tolerance or wanted.tolerance or 0.01
    if estimate.additive and not bad and not same:
        gap = np.divide(np.abs(_gap(estimate)), scale, out=np.zeros_like(scale), where=scale > 0)
        if gap.max() > tolerance and not any(f.code == "evaluation_cap" for f in found):
            found.append(finding("gap_over_tolerance", gap=float(gap.max()), tolerance=tolerance))
    if prediction is not None and prediction.estimate is not None and target.head == "classes":
        certain = float(np.nan_to_num(prediction.estimate.extra["probability"]).max())
        if certain > 0.999 and len(target.owner) == target.count:
            found.append(finding("saturated", probability=certain))
    if target.head == "tokens" and target.views == ((),):
        found.append(finding("unmasked_copy"))
    dropout = getattr(wanted.model, "token_dropout", False)
    if dropout and "fill" in wanted.method.takes and question.baseline.name == "mask":
        found.append(finding("token_dropout"))
    return found


def _is_input(sample: Sample, baseline: Baseline) -> bool:
    ids = sample.context.get("ids")
    if ids is not None and baseline.ids is not None:
        return bool(np.array_equal(ids, np.asarray(baseline.ids)))
    return sample.value is not None and bool((sample.value == baseline.value).all())


def _meta(
    wanted: Plan, outcomes: Sequence[Outcome], predicted: Sequence[Outcome | None],
    estimate: Estimate, units: Units, names: list[str], found: Iterable[Finding],
    about: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    first = outcomes[0].job
    model, spec = wanted.model, wanted.method
    asked = [*outcomes, *(p for p in predicted if p is not None)]
    many = len(outcomes) > 1 or model.modality == "tensor"
    # No time stamp and no duration: equal work gives equal bytes.
    provenance = {
        "evaluations": sum(o.evaluations for o in asked),
        "model": about,
        "method": spec.name,
        "source": spec.source,
        "options": dataclasses.asdict(wanted.options),
        **_replaced(first.question, spec),
        **_layer(first.question.layer, wanted),
        "tolerance": wanted.tolerance,
        "max_evaluations": wanted.max_evaluations,
        "seed": wanted.seed,
        "notes": estimate.notes,
        "versions": versions(),
    }
    return {
        "name": first.sample.name.rsplit(" ", 1)[0]
        if many and len(outcomes) > 1
        else first.sample.name,
        "text": first.sample.text,
        **{name: first.sample.context[name] for name in _KEPT & first.sample.context.keys()},
        "modality": model.modality,
        "unit_kind": units.kind,
        "method": spec.name,
        "target": names,
        "scale": first.target.scale,
        "signed": spec.signed and estimate.signed,
        "unit": spec.unit,
        "how": spec.summary,
        "misuse": spec.misuse,
        "prediction": _prediction(wanted, predicted[0]) if not many or len(outcomes) == 1 else [],
        "health": [f.to_dict() for f in Health(found)],
        "provenance": provenance,
    }


def _layer(layer: Layer | None, wanted: Plan) -> dict[str, Any]:
    """Return what is told of the layer that a method looked at."""
    if layer is None:
        return {}
    return {
        "layer": {
            "name": layer.name,
            "inferred": getattr(wanted.options, "layer", None) is None,
            "grid": list(layer.units.shape),
            "features": layer.features,
            "tokens_left_out": layer.skipped,
        }
    }


def _replaced(question: Question, spec: MethodSpec) -> dict[str, Any]:
    """Return by what units were replaced: the name of a fill or baseline, or of a background."""
    names = [b.name for b in question.background or (question.baseline,)]
    if "fill" in spec.takes and not question.background:
        return {"fill": names[0]}
    if "baseline" not in spec.accepts:
        return {}
    if len(names) == 1:
        return {"baseline": names[0]}
    return {"baseline": f"background of {len(names)}", "background": sorted(set(names))}


def _prediction(wanted: Plan, outcome: Outcome | None) -> list[dict[str, Any]]:
    """Return labels with probabilities, the most probable first (at most five)."""
    if outcome is None or outcome.estimate is None or "classes" not in wanted.model.heads:
        return []
    probabilities = outcome.estimate.extra["probability"][:, 0]
    score = outcome.estimate.score
    assert wanted.model.labels is not None
    order = np.argsort(-score, kind="stable")[:5]
    return [
        {
            "label": wanted.model.labels[i],
            "score": float(score[i]),
            "probability": float(probabilities[i]) if np.isfinite(probabilities[i]) else None,
        }
        for i in order
    ]
