"""Convolutions of patched rows, which are done once they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from saliscope.models.patches.along import normed
from saliscope.models.patches.pointwise import pointwise
from saliscope.models.patches.rows import PatchRows
from saliscope.models.patches.sliding import Slide, each_axis, slide
from saliscope.models.patches.story import Story

__all__ = ["ACTIVATIONS", "activation", "batch_norm", "convolution"]

_aten: Any = torch.ops.aten

ACTIVATIONS: dict[Any, Any] = {
    one: getattr(_aten, f"{name}_").default
    for name in (
        "relu", "hardtanh", "silu", "gelu", "hardswish", "sigmoid", "tanh", "elu", "leaky_relu",
    )
    for one in (getattr(_aten, name).default, getattr(_aten, f"{name}_").default)
}  # fmt: skip
"""Functions of a number, by the operation, and how they are computed in place."""


@dataclass(frozen=True, eq=False)
class _Convolved:
    """A convolution that is done once it is looked at: what scales its channels goes into it."""

    slide: Slide
    versions: tuple[int, ...]
    apply: Callable[[torch.Tensor, list[int], torch.Tensor, torch.Tensor | None], torch.Tensor]
    weight: torch.Tensor
    bias: torch.Tensor | None
    story: Story
    key: tuple[object, ...]
    then: tuple[tuple[Any, Sequence[Any], dict[str, Any]], ...] = ()

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the convolved inputs and patches."""
        given = self.slide
        if self.versions != _versions(self.key):
            msg = "the weights of a convolution have changed since"
            raise RuntimeError(msg)  # seen when the module is tried, which then runs whole rows
        patch = self._made(given.part, given.inner)
        if not given.axes:
            return patch, patch
        key = [*self.key, given.whole, given.pads, *self.then]
        return self.story.once(key, lambda: self._made(given.whole, given.pads)), patch

    def _made(self, part: torch.Tensor, pads: list[int]) -> torch.Tensor:
        made: torch.Tensor = self.apply(part, pads, self.weight, self.bias)
        for func, args, kwargs in self.then:
            made = func(made, *args, **kwargs)
        return made

    def scaled(self, args: Sequence[Any]) -> _Convolved:
        """Return it with its channels normalized."""
        scale, shift, mean, variance, *_, small = args

        def factor() -> torch.Tensor:
            root: torch.Tensor = torch.rsqrt(variance + small)
            return root if scale is None else scale * root

        def weight() -> torch.Tensor:
            return self.weight * factor().reshape(-1, *(1 for _ in self.weight.shape[1:]))

        def bias() -> torch.Tensor:
            moved: torch.Tensor = factor() * (-mean if self.bias is None else self.bias - mean)
            return moved if shift is None else moved + shift

        once, key = self.story.once, (*self.key, *args)
        return replace(
            self,
            weight=once(["weight", *key], weight),
            bias=once(["bias", *key], bias),
            key=key,
            versions=_versions(key),
        )


def _versions(given: Sequence[object]) -> tuple[int, ...]:
    """Return how often tensors were changed in place."""
    return tuple(v._version for v in given if isinstance(v, torch.Tensor))  # noqa: SLF001 - counts changes in place


def convolution(
    func: Any, x: Any, weight: torch.Tensor, bias: torch.Tensor | None, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool, more: Any, groups: int,
) -> Any:  # fmt: skip
    """Slide a kernel over the rows, later."""
    rows = isinstance(x, PatchRows) and not isinstance(weight, PatchRows)
    if not rows or transposed or x.ndim != weight.ndim:
        return NotImplemented
    axes, kernel = x.ndim - 2, weight.shape[2:]
    stride, padding, dilation = (each_axis(v, axes) for v in (stride, padding, dilation))
    x = x.fill([1])
    spans = [
        (span + 2 * p - d * (k - 1) - 1) // s + 1
        for span, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    given = slide(x, kernel, stride, padding, dilation, spans, joins=True)

    def apply(
        part: torch.Tensor, pads: list[int], weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        made: torch.Tensor = func(
            part, weight, bias, stride, pads, dilation, transposed, more, groups
        )
        return made

    none = given.part.new_empty(())
    whole = none.expand(len(given.whole), len(weight), *spans)
    made = x.like(whole, none.expand(len(x), len(weight), *given.extents), given.axes, given.at)
    key = (func, weight, bias, stride, dilation, groups)
    made.later = _Convolved(given, _versions(key), apply, weight, bias, x.story, key)
    x.lent = x.lent or given.part is x.patch
    return made


def batch_norm(func: Any, x: PatchRows, *args: Any) -> Any:
    """Normalize by the numbers of the module; those of the batch need whole rows."""
    if func is not _aten._native_batch_norm_legit_no_training.default and args[4]:  # noqa: SLF001 - its name
        return NotImplemented
    if (
        not isinstance(x.later, _Convolved)
        or x.later.then
        or x.dtype not in {torch.float32, torch.float64}
    ):
        return normed(func, x, [1], *args)
    return x.after(x.later.scaled(args)), args[2].new_empty(0), args[2].new_empty(0)


def activation(func: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute numbers from numbers: of a convolution as soon as it is done, in its place."""
    if not isinstance(x, PatchRows) or not isinstance(x.later, _Convolved):
        return pointwise(func, x, *args, **kwargs)
    later = replace(x.later, then=(*x.later.then, (ACTIVATIONS[func], args, kwargs)))
    if func is not ACTIVATIONS[func]:
        return x.after(later)
    x.later = later
    return x
