"""How often a verdict is wrong: meaningless maps that pass, true maps that do not.

    python -m benchmarks.trusting [--seeds 1000] [--texts FILE]

Planted models of four kinds of input, new ones for each seed, in which the truth is known: sums
over units with products of pairs. With --texts also integrated gradients of zoo:sentiment on texts
of a file, and wrong maps of them. Prints one table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from saliscope.core.ask import Answer, Question
from saliscope.core.perturbation import Baseline
from saliscope.core.units import FloatArray, Grouping, Units
from saliscope.trust.curves import Curves, Wanted, faithfulness
from saliscope.trust.record import LEVEL

__all__ = ["MAPS", "MODELS", "Planted", "judged", "planted"]

MODELS: dict[str, tuple[int, ...]] = {
    "protein": (120,), "text": (25,), "image": (14, 14), "table": (12,),
}  # fmt: skip
"""Kinds of input, and the grid of their units."""

_SMOOTH = {"protein": 2.0, "text": 0.0, "image": 1.5, "table": 0.0}


class Planted:
    """A target that is a sum over units, and over pairs of units that are both there.

    Parameters
    ----------
    kind : str
    rng : numpy.random.Generator
    pairs : int
        How many pairs of units have a product.
    """

    def __init__(self, kind: str, rng: np.random.Generator, pairs: int) -> None:
        self.kind, self.shape = kind, MODELS[kind]
        self.size = int(np.prod(self.shape))
        single = rng.normal(size=self.shape) * (rng.random(self.shape) < 0.4)
        if _SMOOTH[kind]:
            single = gaussian_filter(rng.normal(size=self.shape), _SMOOTH[kind], mode="wrap")
        self.single = (single / (single.std() or 1.0)).ravel()
        self.pairs = rng.integers(self.size, size=(pairs, 2))
        self.pairs = self.pairs[self.pairs[:, 0] != self.pairs[:, 1]]
        self.strength = rng.normal(size=len(self.pairs))

    def __call__(self, masks: FloatArray) -> FloatArray:
        """Return the target of rows of presence."""
        both = masks[:, self.pairs[:, 0]] * masks[:, self.pairs[:, 1]]
        return np.asarray(masks @ self.single + both @ self.strength)

    def shapley(self) -> FloatArray:
        """Return exact Shapley values: half of each product goes to either unit."""
        values = self.single.copy()
        for (a, b), strength in zip(self.pairs, self.strength, strict=True):
            values[a] += strength / 2
            values[b] += strength / 2
        return values.reshape(self.shape)


def planted(kind: str, seed: int, *, pairs: bool) -> Planted:
    """Return the model of a seed."""
    rng = np.random.default_rng([seed, 1])
    return Planted(kind, rng, int(np.prod(MODELS[kind])) if pairs else 0)


def linear(kind: str, seed: int) -> Planted:
    """Return a linear model of a seed, every weight of which counts: its terms are w x."""
    rng = np.random.default_rng([seed, 4])
    model = Planted(kind, rng, pairs=0)
    model.single = rng.normal(size=model.size) * rng.normal(size=model.size)
    return model


def judged(model: Planted, values: FloatArray, seed: int, first: int = 29) -> Curves:
    """Test a map against a planted model."""
    units = Units(tuple(f"d{i}" for i in range(len(model.shape))), model.shape, "element")
    grouping: Grouping = units.each()
    wanted = Wanted(values, grouping, None, model.kind != "table", 999, 5, first)
    rng = np.random.default_rng([seed, 3])
    steps = faithfulness(Question(units, 1, Baseline("zero"), None, None, rng), wanted)
    ask = next(steps)
    while True:
        rows = ask.points.matrix(np.arange(ask.points.rows))
        found = model(rows)[:, None]
        try:
            ask = steps.send(Answer(found, np.full_like(found, np.nan)))
        except StopIteration as stop:
            curves: Curves = stop.value.notes["curves"]
            return curves


def passes(curves: Curves) -> bool:
    """Whether deletion and insertion both beat shuffled copies."""
    return bool((curves.p <= LEVEL).all())


def _blob(shape: tuple[int, ...]) -> FloatArray:
    places = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return np.asarray(np.exp(-sum(p**2 for p in places) / 0.3))


MAPS: dict[str, Callable[[Planted, np.random.Generator], FloatArray]] = {
    "gaussian": lambda m, rng: rng.normal(size=m.shape),
    "uniform": lambda m, rng: rng.random(m.shape),
    "permuted truth": lambda m, rng: rng.permutation(m.shapley().ravel()).reshape(m.shape),
    "blurred noise": lambda m, rng: gaussian_filter(rng.normal(size=m.shape), 2.0),
    "center blob": lambda m, _: _blob(m.shape),
    "truth of another": lambda m, rng: planted(
        m.kind, int(rng.integers(2**30)), pairs=True
    ).shapley(),
}
"""Maps that know nothing of the model."""


def false_passes(seeds: int, kinds: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Count meaningless maps that pass."""
    for kind in kinds:
        for name, make in MAPS.items():
            count = 0
            for seed in range(seeds):
                model = planted(kind, seed, pairs=True)
                values = make(model, np.random.default_rng([seed, 2]))
                count += passes(judged(model, values, seed))
            yield kind, name, count


TRUE: dict[str, Callable[[str, int], Planted]] = {
    "shapley, additive": lambda kind, seed: planted(kind, seed, pairs=False),
    "shapley, pairwise": lambda kind, seed: planted(kind, seed, pairs=True),
    "input x gradient": linear,
}
"""Models whose map is exact: Shapley values, which of a linear model are w x."""


def power(seeds: int, kinds: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Count exact maps that pass."""
    for kind in kinds:
        for name, make in TRUE.items():
            count = 0
            for seed in range(seeds):
                model = make(kind, seed)
                count += passes(judged(model, model.shapley(), seed))
            yield kind, name, count


def reviews(texts: Sequence[str]) -> Iterator[tuple[str, str, int, int]]:
    """Count verdicts on `zoo:sentiment`: integrated gradients, and maps that are not of a text."""
    import saliscope
    from saliscope.trust.randomizing import randomized

    model = saliscope.load("zoo:sentiment")
    module = model.module
    counts = {"integrated gradients": 0, "map of the next text": 0, "random weights": 0}
    assessed = 0
    maps = [saliscope.explain(model, text).group("word").to_numpy() for text in texts]
    for number, text in enumerate(texts):
        found = saliscope.trust(model, text)
        if found.verdict == "not assessed":
            continue
        assessed += 1
        own = maps[number]
        with randomized(module, list(module.parameters()), number):
            other = saliscope.explain(model, text, target=found.target).group("word").to_numpy()
        wrong = {
            "map of the next text": np.resize(maps[(number + 1) % len(maps)], own.shape),
            "random weights": other,
        }
        counts["integrated gradients"] += found.verdict == "passes"
        for name, values in wrong.items():
            again = saliscope.trust(model, text, values, target=found.target)
            counts[name] += again.verdict == "passes"
    for name, count in counts.items():
        yield "text, zoo", name, count, assessed


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--power-seeds", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--texts", help="file with a text per line, as far as the first tab")
    parser.add_argument("--most", type=int, default=100, help="texts, drawn at random")
    given = parser.parse_args()
    print(f"{'input':<10}{'map':<22}{'passed':>8} of")
    for seeds, cells in (
        (given.seeds, false_passes(given.seeds, given.kinds)),
        (given.power_seeds, power(given.power_seeds, given.kinds)),
    ):
        for kind, name, count in cells:
            print(f"{kind:<10}{name:<22}{count:>8} {seeds}", flush=True)
    if given.texts:
        lines = Path(given.texts).read_text("utf-8").splitlines()
        texts = [line.partition("\t")[0].strip() for line in lines if line.strip()]
        chosen = np.random.default_rng(1).choice(len(texts), min(given.most, len(texts)), False)
        for kind, name, count, assessed in reviews([texts[i] for i in chosen]):
            print(f"{kind:<10}{name:<22}{count:>8} {assessed}", flush=True)


if __name__ == "__main__":
    main()
