"""How often a verdict is wrong: meaningless maps that pass, true maps that do not.

    python -m benchmarks.trusting [--seeds 1000] [--zoo]

Planted models of four kinds of input, new ones for each seed, in which the truth is known: sums
over units with products of pairs. With --zoo also integrated gradients on the reviews of the
package. Prints one table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from saliscope.core.ask import Answer, Question
from saliscope.core.perturbation import Baseline
from saliscope.core.units import FloatArray, Grouping, Units
from saliscope.trust.curves import LEVEL, Curves, Wanted, faithfulness

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
        self.single = (single / single.std()).ravel()
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
}
"""Maps that know nothing of the model."""


def false_passes(seeds: int) -> list[tuple[str, str, int]]:
    """Count meaningless maps that pass."""
    found = []
    for kind in MODELS:
        for name, make in MAPS.items():
            count = 0
            for seed in range(seeds):
                model = planted(kind, seed, pairs=True)
                values = make(model, np.random.default_rng([seed, 2]))
                count += passes(judged(model, values, seed))
            found.append((kind, name, count))
    return found


def power(seeds: int) -> list[tuple[str, str, int]]:
    """Count exact Shapley values that pass."""
    found = []
    for kind in MODELS:
        for name, pairs in (("additive", False), ("pairwise", True)):
            count = 0
            for seed in range(seeds):
                model = planted(kind, seed, pairs=pairs)
                count += passes(judged(model, model.shapley(), seed))
            found.append((kind, f"shapley, {name}", count))
    return found


def reviews(most: int) -> tuple[int, int]:
    """Return how many reviews of the package there are, and for how many maps pass."""
    from importlib.resources import files

    import saliscope

    path = files("saliscope") / "samples" / "reviews.txt"
    texts = [line for line in path.read_text("utf-8").splitlines() if line.strip()][:most]
    found = saliscope.trust("zoo:sentiment", texts, method="integrated_gradients")
    return len(texts), sum(each.verdict == "passes" for each in found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--power-seeds", type=int, default=None)
    parser.add_argument("--zoo", action="store_true")
    given = parser.parse_args()
    print(f"{'input':<10}{'map':<22}{'passed':>8} of")
    for kind, name, count in false_passes(given.seeds):
        print(f"{kind:<10}{name:<22}{count:>8} {given.seeds}", flush=True)
    seeds = given.power_seeds or max(1, given.seeds // 5)
    for kind, name, count in power(seeds):
        print(f"{kind:<10}{name:<22}{count:>8} {seeds}", flush=True)
    if given.zoo:
        texts, count = reviews(100)
        print(f"{'text':<10}{'reviews, zoo:sentiment':<22}{count:>8} {texts}", flush=True)


if __name__ == "__main__":
    main()
