"""A panel that is far from exact is cut in four at once: fewer asks, no other nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saliscope.core.adaptive import Evaluation, Integral, integrate
from saliscope.core.ask import Answer, Ask
from saliscope.core.perturbation import Perturbation
from saliscope.core.units import Units

ONE = Units(("element",), (1,), "element")


def run(steepness: float, limit: int = 500, at: float = 0.25) -> tuple[Integral, list[list[float]]]:
    """Integrate the slope of a logistic step, by default in the middle of the left half."""
    asks: list[list[float]] = []

    def score(place: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-steepness * (place - at))))

    def evaluate(nodes: Sequence[float]) -> Evaluation:
        asks.append(list(nodes))
        yield Ask(Perturbation.identity(ONE))
        value = score(np.array(nodes))
        slope = steepness * value * (1 - value)
        return slope[:, None, None], value[:, None]

    steps = integrate(evaluate, 0.01, limit)
    next(steps)
    none = np.zeros((1, 1))
    while True:
        try:
            steps.send(Answer(none, none))
        except StopIteration as stop:
            found: Integral = stop.value
            return found, asks


def test_a_panel_far_from_exact_is_cut_in_four() -> None:
    found, asks = run(steepness=60)
    assert asks[0] == [i / 8 for i in range(9)]
    # The left half is wrong by far more than a cut in two could mend; its quarters are asked for.
    assert asks[1] == [i / 32 for i in range(16) if i % 4]
    np.testing.assert_allclose(found.values[0, 0], found.high[0] - found.low[0], rtol=0.01)
    assert len({node for ask in asks for node in ask}) == sum(map(len, asks)) == found.nodes


def test_what_is_nearly_exact_is_cut_in_two() -> None:
    _, asks = run(steepness=12)
    assert len(asks) == 2
    assert asks[1] == [i / 16 for i in range(8) if i % 2]


def test_the_limit_comes_before_the_depth() -> None:
    found, asks = run(steepness=60, limit=13)
    assert asks[1] == [i / 16 for i in range(8) if i % 2]
    assert found.nodes == 13
    assert [f.code for f in found.findings] == ["evaluation_cap"]


def test_a_half_that_is_nearly_straight_is_not_cut_further() -> None:
    # The step stands in the first eighth: of the first quarter's halves only the left one bends.
    found, asks = run(steepness=400, at=0.04)
    second = set(asks[1])
    assert {1 / 32, 1 / 16 + 1 / 32} & second
    assert all(node < 0.5 for ask in asks[1:] for node in ask)
    fine = [node for node in asks[1] if (node * 32) % 2 == 1]
    assert fine
    assert max(fine) < 0.25
    np.testing.assert_allclose(found.values[0, 0], found.high[0] - found.low[0], rtol=0.01)
