"""One case per adapter, for tests that run over every method and every adapter."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from helpers import columns, lines, tokens, toys
from saliscope import Attribution, explain
from saliscope.core.registry import MethodSpec, methods
from saliscope.models.function import FunctionModel
from saliscope.models.protein import ProteinModel
from saliscope.models.table.model import EstimatorModel, ModuleModel
from saliscope.models.tensor import TensorModel
from saliscope.models.text import TextModel
from saliscope.models.vision.classifier import ImageModel, image_model
from saliscope.models.vision.recognizer import Recognizer

PROTEINS = ("MVHLTPEEK", "MKWX", "ACDEFGHIKLMN")
TEXTS = ("The film was unbelievably good!", "dull", "It isn't bad, it is a very fine story.")

TABLES = {"estimator", "black box", "columns"}
"""Cases on rows of a table, which bring the rows that stand in for others."""
KEYED = {"protein", "text", "image", "line", *TABLES}
"""Cases whose inputs have a key of their own: equal ones are computed once."""


@dataclass(frozen=True, eq=False)
class Case:
    """An adapter with inputs of different lengths.

    Parameters
    ----------
    name : str
    offers : frozenset of str
    make : callable
        Makes a fresh model in a floating type.
    inputs : sequence
    targets : tuple
        Two targets; the first is the plain one.
    """

    name: str
    offers: frozenset[str]
    make: Callable[[torch.dtype], Any]
    inputs: Sequence[Any]
    targets: tuple[Any, Any]

    @functools.cache  # noqa: B019 - there are a few cases, and they live as long as the tests
    def shared(self, dtype: torch.dtype) -> Any:
        """Return one model for all tests that leave it as it is."""
        return self.make(dtype)

    def options(self, method: str, most: int = 13) -> dict[str, Any]:
        """Return general options that keep a method short, as far as they fit this case."""
        given = general(method, most)
        if self.name in TABLES:
            given.pop("baseline", None)
        return given


def _tensors(*shapes: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(6)
    return tuple(torch.randn(n, generator=generator, dtype=torch.float64) for n in shapes)


ROWS = _tensors((1, 3, 3), (2, 3, 3), (1, 4, 3))
IMAGES = _tensors((1, 1, 3, 4), (2, 1, 3, 4), (1, 1, 4, 3))
PICTURES = tuple(
    image.clamp(-2, 2) / 4 + 0.5 for image in _tensors((3, 9, 7), (3, 6, 5), (3, 5, 8))
)


def classifier(dtype: torch.dtype) -> ImageModel:
    """Return a classifier of pictures that are stretched to 6 x 5 pixels, with 9 patches."""
    net = toys.ConvNet(dtype, channels=3).eval()
    labels = ("cat", "dog", "fox", "owl")
    return image_model(net, size=(6, 5), mean=0.4, std=(0.2, 0.3, 0.5), labels=labels, patch=2)


LINES = tuple(torch.from_numpy(lines.line(n, seed=n)) for n in (40, 56, 32))

CASES = (
    Case(
        "tensor", TensorModel.offers, lambda dtype: TensorModel(toys.PoolNet(dtype).eval(), "pool"),
        ROWS, (2, [0, 3]),
    ),
    Case(
        "conv", TensorModel.offers, lambda dtype: TensorModel(toys.ConvNet(dtype).eval(), "conv"),
        IMAGES, (2, [0, 2]),
    ),
    Case(
        "function", FunctionModel.offers, lambda _: FunctionModel(toys.numpy_softplus, "softplus"),
        ROWS, (0, [1, 0]),
    ),
    Case(
        "protein", ProteinModel.offers,
        lambda dtype: ProteinModel(tokens.esm(dtype), tokens.esm_tokenizer(), "esm"),
        PROTEINS, ("likelihood", ["1", "2"]),
    ),
    Case(
        "text", TextModel.offers,
        lambda dtype: TextModel(tokens.bert(dtype), tokens.word_tokenizer(), "bert"),
        TEXTS, ("positive", ["negative", "positive"]),
    ),
    Case("image", ImageModel.offers, classifier, PICTURES, ("fox", [0, 2])),
    Case("estimator", EstimatorModel.offers, columns.estimator, columns.PEOPLE,
         ("yes", ["no", "yes"])),
    Case("black box", EstimatorModel.offers, columns.function, columns.PEOPLE, ("worth", [1, 0])),
    Case("columns", ModuleModel.offers, columns.module, columns.NUMBERS, (0, [0, 2])),
    Case("line", Recognizer.offers, lines.ctc, LINES, ("characters 2: ab", "characters: ab")),
)  # fmt: skip

ABLE = [
    (method, case)
    for method, spec in methods().items()
    for case in CASES
    if spec.needs <= case.offers
]
UNABLE = [
    (method, case)
    for method, spec in methods().items()
    for case in CASES
    if not spec.needs <= case.offers
]


def names(value: object) -> str:
    """Return the name of a parameter, for test ids."""
    return value.name if isinstance(value, Case) else str(value)


LEAST = {"shapley": 50, "lime": 34, "permutation": 25, "expected_gradients": 34}
"""Evaluations without which a method gives nothing for the 12 units of the largest input, or
(expected gradients) next to nothing but the rounding of draws that cancel."""


def general(method: str, most: int = 13) -> dict[str, Any]:
    """Return general options that keep a method short, as far as it takes them."""
    spec: MethodSpec = methods()[method]
    given: dict[str, Any] = {}
    if "max_evaluations" in spec.takes:
        given["max_evaluations"] = max(most, LEAST.get(method, 0))
    if method == "expected_gradients":  # so many that they are drawn
        given["baseline"] = ["zero"] * 9
    if "examples" in spec.takes:  # inputs come one by one, so there are no others
        given["baseline"] = ["zero", "zero"]
    return given


@functools.cache
def known(method: str, case: Case) -> tuple[Attribution, ...]:
    """Return what a fresh model in float64 gives for the inputs and the plain target."""
    return tuple(
        explain(case.make(torch.float64), list(case.inputs), method, case.targets[0],
                **case.options(method))
    )  # fmt: skip
