"""Patches swapped between pictures of a class and pictures of others: one stream of inputs.

A picture of the class and one of another class are a pair. Content is pasted into the other
picture, and taken out of the picture of the class by what stands there in the other. The log-odds
of the class are read off each, and which class is predicted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from saliscope.audit.pictures.regions import Region
from saliscope.core.ask import Ask, Estimate, Question, Steps
from saliscope.core.class_target import every_class
from saliscope.core.engine import Job, Progress, drive
from saliscope.core.errors import OptionError
from saliscope.core.model import Model, Sample
from saliscope.core.perturbation import DELETE, Baseline, Perturbation
from saliscope.core.units import FloatArray, Grouping, Units

__all__ = ["Move", "Pairs", "Stream", "Swapped", "log_odds"]

_SUMS = 1e-3  # by which probabilities may miss one, in half precision

IntArray = npt.NDArray[np.int64]

Move = tuple[Region, int]
"""Where, and which filling is put there: the number of a picture, or -1 for the first texture."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures of a class, and as many of others: a pair at each place.

    Parameters
    ----------
    which : int
        The class, as the model counts.
    own, other : sequence of int
        Numbers of pictures.
    """

    which: int
    own: Sequence[int]
    other: Sequence[int]

    def __len__(self) -> int:
        return len(self.own)

    def first(self, count: int) -> Pairs:
        """Return the first pairs."""
        return Pairs(self.which, self.own[:count], self.other[:count])


@dataclass(frozen=True, eq=False)
class Swapped:
    """What swapping did, per patch and pair, shape (patches, pairs).

    Parameters
    ----------
    gain, loss : numpy.ndarray
        By how much the log-odds of the class rise in the other picture when the patch is pasted,
        and fall in the picture of the class when it is taken out.
    flips : numpy.ndarray of bool
        Whether the other picture is taken for the class, and was not before.
    """

    gain: FloatArray
    loss: FloatArray
    flips: npt.NDArray[np.bool_]

    @property
    def effect(self) -> FloatArray:
        """The mean of both changes."""
        return (self.gain + self.loss) / 2


def log_odds(logits: FloatArray, which: int) -> FloatArray:
    """Return log P / (1 - P) of a class, from logits (..., classes).

    Examples
    --------
    >>> log_odds(np.array([[2.0, 0.0], [0.0, 0.0]]), 0).tolist()
    [2.0, 0.0]
    """
    rest = np.delete(logits, which, axis=-1)
    return np.asarray(logits[..., which] - logsumexp(rest, axis=-1))


@dataclass(eq=False)
class Stream:
    """Pictures, what the model says of them, and of them with patches put in.

    Parameters
    ----------
    model : Model
    samples : sequence of Sample
        Of one shape.
    textures : sequence of Baseline
    budget, seed, tell
        As of `saliscope.explain`.
    """

    model: Model
    samples: Sequence[Sample]
    textures: Sequence[Baseline]
    budget: int | None
    seed: int
    tell: Callable[[Progress], None] | None
    evaluations: int = 0
    logits: FloatArray = field(init=False)
    _grids: dict[tuple[int, int], Grouping] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fillings = [Baseline("picture", sample.value) for sample in self.samples]
        target = every_class(self.model, self.samples[0])
        if target is None or target.count < 2:
            msg = f"{self.model.name}: has no classes to tell apart; cues are of a classifier"
            raise OptionError(msg)
        self.target = target
        found = self._drive({i: [] for i in range(len(self.samples))})
        self.logits = np.concatenate([found[i][0] for i in range(len(self.samples))])

    @property
    def units(self) -> Units:
        """Those of every picture."""
        return self.samples[0].units

    @property
    def predicted(self) -> IntArray:
        """The class that each picture is taken for."""
        return np.asarray(self.logits.argmax(-1))

    def swap(
        self, pairs: Sequence[Pairs], patches: Sequence[Sequence[Move]]
    ) -> list[Swapped]:  # fmt: skip
        """Put patches into all pairs, of all classes in one stream.

        Parameters
        ----------
        pairs : sequence of Pairs
        patches : sequence of sequence of (Region, int)
            Those of each class: where, and -1 for what the picture of the class has there, else
            the number of a texture.
        """
        moves: dict[int, dict[Move, int]] = {}
        places: list[list[tuple[tuple[int, int], tuple[int, int], tuple[int, int] | None]]] = []

        def put(host: int, region: Region, filling: int) -> tuple[int, int]:
            own = moves.setdefault(host, {})
            return host, own.setdefault((region, filling), len(own))

        first = len(self.fillings)
        for each, wanted in zip(pairs, patches, strict=True):
            found = []
            for region, kind in wanted:
                for own, other in zip(each.own, each.other, strict=True):
                    content = own if kind < 0 else first + kind
                    there = put(other, region, content)
                    out = put(own, region, other)
                    with_it = None if kind < 0 else put(own, region, content)
                    found.append((there, out, with_it))
            places.append(found)
        got = self._drive({host: list(own) for host, own in moves.items()})
        top = {host: values.argmax(-1) for host, (_, values) in got.items()}
        results = []
        for each, wanted, found in zip(pairs, patches, places, strict=True):
            shape, c = (len(wanted), len(each)), each.which
            gain, loss, flips = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
            before = log_odds(self.logits, c)
            at = {
                host: log_odds(got[host][1], c) for host in {*each.own, *each.other} if host in got
            }
            for i, (there, out, with_it) in enumerate(found):
                k, p = divmod(i, len(each))
                own, other = each.own[p], each.other[p]
                full = before[own] if with_it is None else at[with_it[0]][with_it[1]]
                gain[k, p] = at[there[0]][there[1]] - before[other]
                loss[k, p] = full - at[out[0]][out[1]]
                flips[k, p] = top[there[0]][there[1]] == c != self.predicted[other]
            results.append(Swapped(gain, loss, flips))
        return results

    # -- the engine ----------------------------------------------------------------------------

    def _drive(
        self, moves: Mapping[int, Sequence[Move]]
    ) -> dict[int, tuple[FloatArray, FloatArray]]:
        """Return logits of each picture, (1, classes), and with each of its moves."""
        jobs = [self._job(number, own) for number, own in moves.items()]
        found: dict[int, tuple[FloatArray, FloatArray]] = {}
        with (
            self.model.quiet(self.seed),
            contextlib.closing(
                drive(self.model, jobs, budget=self.budget, progress=self.tell)
            ) as stream,
        ):
            for number, outcome in zip(moves, stream, strict=True):
                self.evaluations += outcome.evaluations
                if outcome.error is not None:
                    raise outcome.error
                assert outcome.estimate is not None
                found[number] = (
                    self._as_logits(outcome.estimate.score[None]),
                    self._as_logits(outcome.estimate.notes["moved"]),
                )
        return found

    def _as_logits(self, outputs: FloatArray) -> FloatArray:
        """Return what classes are told by on the scale of logits.

        Raises
        ------
        OptionError
            The outputs are neither logits nor probabilities of classes.
        """
        if self.target.scale == "logit":
            return outputs
        if outputs.size and (outputs.min() < 0 or np.abs(outputs.sum(-1) - 1).max() > _SUMS):
            msg = (
                f"{self.model.name}: its outputs are neither logits of classes nor probabilities "
                "that add up to one; a cue moves the log-odds of one class against the others"
            )
            raise OptionError(msg)
        return np.asarray(np.log(np.maximum(outputs, np.finfo(np.float32).tiny)))

    def _job(self, number: int, moves: Sequence[Move]) -> Job:
        sample = self.samples[number]
        rng = np.random.default_rng(self.seed)
        question = Question(sample.units, self.target.count, DELETE, None, None, rng)
        return Job(sample, self.target, question, lambda asked: self._moved(asked, moves))

    def _moved(self, question: Question, moves: Sequence[Move]) -> Steps:
        """Ask for every class at the picture, or with its moves: those of one size together."""
        every = [*self.fillings, *self.textures]
        values = np.zeros((len(moves), question.targets))
        score = np.zeros(question.targets)
        if not moves:
            answer = yield Ask(Perturbation.identity(question.units))
            score = answer.values[0]
        for size, rows in _by_size(moves):
            grid = self._grid(size)
            used = list(dict.fromkeys(moves[row][1] for row in rows))
            answer = yield Ask(Perturbation(
                grid, removed=np.array([self._place(moves[row][0]) for row in rows]),
                fills=[every[i] for i in used],
                choice=np.array([used.index(moves[row][1]) for row in rows]),
            ))  # fmt: skip
            values[rows] = answer.values
        shape = (question.targets, *question.units.shape)
        return Estimate(np.broadcast_to(0.0, shape), score, notes={"moved": values})

    def _grid(self, size: tuple[int, int]) -> Grouping:
        """Return every place of a rectangle of one size (height, width)."""
        if size not in self._grids:
            self._grids[size] = self.units.boxes(size, (1, 1))
        return self._grids[size]

    def _place(self, region: Region) -> int:
        """Return the number of a region on its grid."""
        return region.y * (self.units.shape[1] - region.width + 1) + region.x


def _by_size(moves: Sequence[Move]) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Yield moves by the size of their regions."""
    groups: dict[tuple[int, int], list[int]] = {}
    for row, (region, _) in enumerate(moves):
        groups.setdefault((region.height, region.width), []).append(row)
    yield from groups.items()
