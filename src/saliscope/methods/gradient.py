"""Gradient: the slope of the target at the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from saliscope.core.ask import Ask, Estimate, Fold, Options, Question, Steps
from saliscope.core.errors import OptionError
from saliscope.core.health import finding
from saliscope.core.perturbation import Perturbation
from saliscope.core.registry import method, option
from saliscope.core.units import Units

__all__ = ["REDUCE", "Gradient", "gradient", "input_x_gradient", "takes_norm"]

REDUCE = ("auto", "norm", "sum")


@dataclass(frozen=True)
class Gradient(Options):
    """Options of `gradient`."""

    reduce: Literal["auto", "norm", "sum"] = option(
        "auto",
        "how the features of one unit are reduced: their L2 norm or their sum (auto: the norm for "
        "token embeddings, the sum for colors, nothing to reduce for plain tensors)",
    )
    absolute: bool = option(False, "give the size of the slope without its sign")

    def __post_init__(self) -> None:
        if self.reduce not in REDUCE:
            msg = f"reduce={self.reduce!r} does not exist; use 'auto', 'norm' or 'sum'"
            raise OptionError(msg)


def takes_norm(units: Units, options: Any) -> bool:
    """Return whether the features of a unit are reduced by their norm: for tokens, unless said."""
    tokens = units.kind in {"residue", "token"}
    by_norm = options.reduce == "norm" or (options.reduce == "auto" and tokens)
    return by_norm or bool(getattr(options, "absolute", False))


@method(
    "gradient",
    options=Gradient,
    needs={"gradients"},
    summary="Slope of the target with respect to each unit.",
    cost="1 forward and 1 backward pass",
    use="a first look; where the model is most sensitive to small changes",
    misuse="as a contribution: it ignores how large the input is, and is near zero where the "
    "model is saturated although the unit decides the output",
    source="Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034, section 3",
    equation=r"a_i = \partial f(x) / \partial x_i",
    unit="score per unit of input",
    aliases=("saliency", "vanilla_gradient", "grad"),
)
def gradient(question: Question, options: Gradient) -> Steps:
    """Ask for the gradient at the input.

    For token models the gradient is a vector per token. Its norm says how strongly the target
    reacts to that token; the sum over features has no meaning of its own and is given on request.
    """
    norm = takes_norm(question.units, options)
    fold = Fold("one", "norm" if norm else "sum")
    answer = yield Ask(Perturbation.identity(question.units), fold)
    assert answer.gradients is not None
    found = [finding("gradient_is_local")]
    return Estimate(
        answer.gradients[0], answer.values[0], findings=tuple(found),
        notes={"reduce": "norm" if norm else "sum"}, signed=not norm,
    )  # fmt: skip


@method(
    "input_x_gradient",
    needs={"gradients"},
    summary="Input times slope: the first-order guess of each unit's contribution.",
    cost="1 forward and 1 backward pass",
    use="a cheap signed map; exact for piecewise-linear models without biases (then it sums to "
    "the score)",
    misuse="on saturated or strongly curved models, where it can have the wrong sign",
    source="Shrikumar et al. 2016, arXiv:1605.01713, section 3; Ancona et al. 2018",
    equation=r"a_i = x_i \, \partial f(x) / \partial x_i",
    aliases=("gradient_x_input", "inputxgradient", "grad_x_input"),
)
def input_x_gradient(question: Question, _options: Options) -> Steps:
    """Ask for input times gradient, summed over the features of each unit."""
    answer = yield Ask(Perturbation.identity(question.units), Fold("input"))
    assert answer.gradients is not None
    return Estimate(answer.gradients[0], answer.values[0], findings=(finding("gradient_is_local"),))
