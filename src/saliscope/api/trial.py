"""One map of one input under test: everything that `trust` runs for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.api.inputs import Input
from saliscope.api.measuring import job_of
from saliscope.api.planning import Later, Plan, plan
from saliscope.api.results import versions
from saliscope.api.running import compute, job_for
from saliscope.core.ask import Question
from saliscope.core.attribution import Attribution
from saliscope.core.engine import Job, Outcome, Progress, drive
from saliscope.core.errors import InputError, OptionError, RefusedError, SaliscopeError
from saliscope.core.health import Health
from saliscope.core.model import Sample
from saliscope.core.target import POSITIONED, BoundTarget
from saliscope.core.target_spec import as_target
from saliscope.core.units import FloatArray
from saliscope.trust.comparing import localization, rank_similarity
from saliscope.trust.curves import Curves, Wanted, faithfulness
from saliscope.trust.measures import shaken
from saliscope.trust.record import ALIKE, DRAWS, LEVEL, Trust, verdict_of
from saliscope.trust.testing import Table, as_groups, kept_shape, obstacle, parts_of

__all__ = ["Settings", "Trial"]

_STAGES = 6  # steps of the cascade, from the output back to the input


@dataclass(frozen=True)
class Settings:
    """How much is tested; see `trust`."""

    fill: object = None
    groups: Any = None
    draws: int = DRAWS
    levels: int = 5
    randomize: bool | None = None
    repeats: int = 5
    neighbors: int = 0
    noise: float = 0.02
    against: tuple[str, ...] = ()
    mask: Any = None

    def __post_init__(self) -> None:
        for name, least in (("draws", 0), ("levels", 1), ("repeats", 1), ("neighbors", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                msg = f"{name}={value!r} must be a whole number of at least {least}"
                raise OptionError(msg)
        if not 0 < self.noise < 1:
            msg = f"noise={self.noise!r} is a share of the range of the input, between 0 and 1"
            raise OptionError(msg)


class Trial:
    """One input and its map under test."""

    def __init__(
        self,
        wanted: Plan,
        named: Input,
        given: Any,
        settings: Settings,
        tell: Callable[[Progress], None] | None,
    ) -> None:
        self.settings, self.tell, self.named = settings, tell, named
        self.evaluations = 0
        model = wanted.model
        samples = model.prepare(named.raw, name=named.name or None)
        if len(samples) != 1:
            msg = f"{named.name or 'input'}: holds {len(samples)} examples; trust tests one by one"
            raise InputError(msg)
        (sample,) = samples
        target = wanted.target
        if isinstance(target, Later):
            target = as_target(target.spec, model)
        self.sample: Sample = target.on(model, sample)
        asked = target.asks(model, self.sample)
        if asked is not None:
            with model.quiet(wanted.seed):
                (seen,) = self._drive(wanted, [job_of(self.sample, asked)])
            assert seen.estimate is not None
            target = target.known(seen.estimate.score, model)
        self.bound: BoundTarget = target.bind(model, self.sample)
        if self.bound.count != 1:
            names = ", ".join(self.bound.names[:3])
            msg = f"{sample.name}: {self.bound.count} targets ({names}, ...); trust tests one map"
            raise OptionError(msg)
        self.wanted = replace(wanted, target=target)
        self.again = given is None or isinstance(given, Attribution)
        self.findings = Health(())
        if given is None:
            given = self._explain(self.wanted)
        self.map = np.asarray(given, dtype=np.float64)
        if isinstance(given, Attribution):
            self.findings = given.health
            self._same_target(given)
        self.signed = given.signed if isinstance(given, Attribution) else True
        self.unit = str(given.meta.get("unit", "")) if isinstance(given, Attribution) else "score"
        # Means over windows, and what was weighed at a layer, do not add up.
        self.averaged = isinstance(given, Attribution) and (
            "layer" in wanted.method.takes
            or int(np.prod(given.provenance.get("notes", {}).get("window", 1))) > 1
        )
        self.grouped = parts_of(self.sample.units, settings.groups)
        self.values = self._grouped(self.map, signed=self.signed)

    # -- parts -------------------------------------------------------------------------------

    def _same_target(self, given: Attribution) -> None:
        names = given.meta.get("target", [])
        if len(names) == 1 and names[0] not in {self.bound.names[0], "predicted class"}:
            msg = (
                f"{self.sample.name}: the map is of {names[0]!r} and would be tested on "
                f"{self.bound.names[0]!r}; give target= as it was explained"
            )
            raise OptionError(msg)

    def _grouped(self, values: npt.ArrayLike, *, signed: bool) -> FloatArray:
        name = self.sample.name
        return as_groups(values, self.sample.units, self.grouped, signed=signed, name=name)

    def _drive(self, wanted: Plan, jobs: list[Job]) -> list[Outcome]:
        with contextlib.closing(
            drive(wanted.model, jobs, budget=wanted.budget, progress=self.tell)
        ) as stream:
            outcomes = list(stream)
        for outcome in outcomes:
            self.evaluations += outcome.evaluations
            if outcome.error is not None:
                raise outcome.error
        return outcomes

    def _explain(self, wanted: Plan) -> Attribution:
        (made,) = compute(wanted, [Input(self.named.name, self.named.raw)], progress=self.tell)
        if isinstance(made, SaliscopeError):
            raise made
        self.evaluations += made.evaluations
        return made

    @property
    def ordered(self) -> bool:
        """Whether neighbors in the map are neighbors in the input."""
        flat = self.wanted.model.modality == "tensor" and len(self.sample.units.dims) == 1
        by_name = self.settings.groups is None or isinstance(self.settings.groups, str)
        return by_name and not flat and self.wanted.model.modality != "table"

    def _curves(self) -> tuple[Curves, bool]:
        """Run the stream of perturbed inputs; say whether the map predicts falls."""
        model, sample = self.wanted.model, self.sample
        fill = model.fill(sample, self.settings.fill)
        if fill.deletes and self.bound.head in POSITIONED:
            msg = (
                f"{sample.name}: deletion would change what {self.bound.names[0]} is taken over; "
                "use fill='mask', or a target that does not stand at positions"
            )
            raise RefusedError(msg)
        additive = self._additive(fill.value)
        wanted = Wanted(
            self.values, self.grouped.grouping, additive, self.ordered, self.settings.draws,
            self.settings.levels, change=self._change(fill.value),
        )  # fmt: skip
        rng = np.random.default_rng(self.wanted.seed)
        question = Question(sample.units, 1, fill, None, None, rng)
        job = Job(sample, self.bound, question, lambda asked: faithfulness(asked, wanted))
        with model.quiet(self.wanted.seed):
            (outcome,) = self._drive(self.wanted, [job])
        assert outcome.estimate is not None
        found: Curves = outcome.estimate.notes["curves"]
        return found, additive is not None

    def _change(self, fill: Any) -> FloatArray | None:
        """Return how much a picture changes when a group goes; None where that is not one scale."""
        value, shape = self.sample.value, kept_shape(self.sample.units)
        if value is None or not self.ordered:
            return None
        away = np.abs(np.asarray((value - fill).detach().cpu(), dtype=np.float64))
        if away.size % int(np.prod(shape)) or away.shape[: len(shape)] != shape:
            return None
        summed = away.reshape(*shape, -1).sum(-1)
        return self._grouped(summed, signed=True).ravel()

    def _additive(self, fill: Any) -> FloatArray | None:
        """Return what the map says that the target falls by without each group."""
        if self.unit == "score" and not self.averaged:
            return self._grouped(self.map, signed=True).ravel()
        value = self.sample.value
        if self.unit == "score per unit of input" and self.signed and value is not None:
            away = np.asarray((value - fill).detach().cpu(), dtype=np.float64)
            if away.shape == kept_shape(self.sample.units):
                return self._grouped(self.map.reshape(away.shape) * away, signed=True).ravel()
        return None

    def _random_weights(self) -> tuple[list[tuple[str, float]], list[float]] | str:
        """Return the cascade and similarities to maps of random weights, or why there are none."""
        spec, settings = self.wanted.method, self.settings
        if settings.randomize is False:
            return "random weights were not asked for"
        if not self.again:
            return "the map was given as numbers"
        if not spec.needs - {"values"} and not settings.randomize:
            return f"{spec.name} uses the output of the model alone"
        if np.ptp(self.map) == 0:
            return "the map is the same everywhere"
        from saliscope.trust.randomizing import hash_of, module_of, randomized, stages_of

        module = module_of(self.wanted.model.identity)
        if module is None:
            return "the model has no weights that can be set"

        def similarity(parameters: Sequence[Any], seed: int) -> float:
            with randomized(module, parameters, seed):
                return rank_similarity(self.map, self._explain(self.wanted).to_numpy())

        untouched = similarity([], 0)
        if untouched < 0.99:
            msg = (
                f"{self.sample.name}: {spec.name} gives another map than the one that was given "
                f"(rank similarity {untouched:.2f}); give its options, or randomize=False"
            )
            raise InputError(msg)
        stages = stages_of(module, _STAGES)
        cascade, gone = [("untouched", untouched)], list[Any]()
        for name, own in stages:
            gone += own
            cascade.append((name, similarity(gone, hash_of(self.wanted.seed, 0))))
        full = [cascade[-1][1]]
        full += [
            similarity(gone, hash_of(self.wanted.seed, repeat))
            for repeat in range(1, settings.repeats)
        ]
        return cascade, full

    def _sensitivity(self) -> list[float]:
        """Return how much the map changes, relative to its size, at noisy neighbors."""
        base = job_for(self.wanted, self.sample)
        seeds = np.random.default_rng(self.wanted.seed).integers(
            2**32, size=self.settings.neighbors
        )
        shaking = [
            replace(base, start=shaken(base.start, self.settings.noise, int(s)), key=None,
                    question=replace(base.question, rng=np.random.default_rng(self.wanted.seed)))
            for s in seeds
        ]  # fmt: skip
        with self.wanted.model.quiet(self.wanted.seed):
            first, *others = self._drive(self.wanted, [base, *shaking])
        maps = [each.estimate.values for each in (first, *others) if each.estimate is not None]
        size = float(np.linalg.norm(maps[0]))
        return [float(np.linalg.norm(m - maps[0])) / size if size else 0.0 for m in maps[1:]]

    def _against(self) -> dict[str, float]:
        """Return the rank similarity to maps of other methods."""
        found = {}
        for name in self.settings.against:
            other = plan(
                self.wanted.model, name, None, budget=self.wanted.budget, seed=self.wanted.seed
            )
            made = self._explain(replace(other, target=self.wanted.target))
            values = self._grouped(made.to_numpy(), signed=made.signed)
            found[other.method.name] = rank_similarity(self.values, values)
        return found

    # -- together ----------------------------------------------------------------------------

    def result(self) -> Trust:
        """Run every test and say what came of it."""
        settings, table = self.settings, Table({})
        curves, additive = self._curves()
        table.add_curves(curves, np.random.default_rng(self.wanted.seed), additive=additive)
        random = self._random_weights()
        stages: list[tuple[str, float]] = []
        own: bool | None = None
        unweighted = ""
        if isinstance(random, str):
            unweighted = random
        else:
            stages, similarities = random
            table.add_randomized(similarities)
            value = table.rows["randomized"]["value"]
            own = None if np.isnan(value) else bool(value < ALIKE)
            unweighted = "maps of random weights are not finite" if own is None else ""
        if settings.neighbors and self.again and "gradients" in self.wanted.model.offers:
            table.add_sensitivity(self._sensitivity())
        if settings.mask is not None:
            self._locate(table)
        constant = bool(np.ptp(self.values) == 0)
        reason = obstacle(curves, self.grouped.count, constant=constant)
        faithful = None if reason else bool((curves.p <= LEVEL).all()) and not constant
        meta = {
            "name": self.sample.name, "text": self.sample.text,
            "modality": self.wanted.model.modality,
            "method": self.wanted.method.name if self.again else "given",
            "target": list(self.bound.names), "scale": self.bound.scale,
            "unit_kind": self.grouped.grouping.kind,
            "verdict": verdict_of(faithful=faithful, own=own), "reason": reason,
            "faithful": faithful, "own": own, "unweighted": unweighted,
            "draws": len(curves.null), "groups": self.grouped.count,
            "blocks": list(curves.blocks),
            "health": [f.to_dict() for f in self.findings],
            "provenance": {
                "evaluations": self.evaluations, "distinct": curves.rows,
                "model": dict(self.wanted.model.describe()), "seed": self.wanted.seed,
                "settings": {"draws": settings.draws, "levels": settings.levels,
                             "repeats": settings.repeats, "neighbors": settings.neighbors,
                             "noise": settings.noise},
                "versions": versions(),
            },
        }  # fmt: skip
        return Trust(table.dataset(curves, stages, self._against()), meta)

    def _locate(self, table: Table) -> None:
        region = np.asarray(self.settings.mask).astype(bool)
        values = self.map
        if region.shape != values.shape:
            values = self.values if region.shape == self.values.shape else values.reshape(
                kept_shape(self.sample.units)
            )  # fmt: skip
        table.add_localization(
            localization(
                values, region, signed=self.signed, draws=max(1, self.settings.draws),
                ordered=self.ordered, seed=self.wanted.seed,
            )
        )  # fmt: skip
