"""The Rescale rule for what is normalized: softmax, layer norm and its kin, fused attention.

Each is taken apart into sums, products and functions of one number, and put together again in a
form in which the differences cancel, so that no small quotient is left and nothing overflows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from saliscope.core.errors import RefusedError
from saliscope.models.rules.rescale import given, middle, quotient, wide
from saliscope.models.rules.tape import Back, Grads, Step

__all__ = [
    "attention", "batch_norm", "euclidean", "log_softmax", "logsumexp", "norm", "softmax", "spread",
    "standardizing",
]  # fmt: skip

Tensor = torch.Tensor
Axes = int | Sequence[int]


# -- softmax -------------------------------------------------------------------------------------


def _weights(one: Tensor, two: Tensor, axes: Axes) -> tuple[Tensor, Tensor]:
    """Return the logarithmic mean of the probabilities of both runs, and its sum over `axes`.

    With p = exp(z - L), L the log of the sum of exponentials, the Rescale multiplier of exp is
    (p - p') / (log p - log p'), the logarithmic mean m. Probabilities sum to one in both runs, so
    0 = sum m (dz - dL), which gives dL = sum m dz / sum m: exact, and never an overflow.
    """
    axes = [axes] if isinstance(axes, int) else list(axes)
    logs = [wide(t) - wide(t).logsumexp(axes, keepdim=True) for t in (one, two)]
    larger, apart = torch.maximum(*logs).exp(), (logs[0] - logs[1]).abs()
    mean = larger * quotient(-torch.expm1(-apart), apart, 1.0)
    mean = torch.where(larger > 0, mean, 0.0)  # what is masked in both runs
    return mean, mean.sum(axes, keepdim=True)


def softmax(step: Step, twin: Step) -> Back:
    """Return the rule of softmax."""
    dim = step["dim"]
    mean, total = _weights(step["self"], twin["self"], dim)

    def back(incoming: Grads) -> Grads:
        return (_through_softmax(given(incoming[0]), mean, total, dim),)

    return back


def _through_softmax(gradient: Tensor, mean: Tensor, total: Tensor, dim: int) -> Tensor:
    inner = (mean * gradient).sum(dim, keepdim=True)
    return mean * (gradient - quotient(inner, total, 0.0))


def log_softmax(step: Step, twin: Step) -> Back:
    """Return the rule of log softmax: z - L."""
    dim = step["dim"]
    mean, total = _weights(step["self"], twin["self"], dim)
    share = quotient(mean, total, 0.0)

    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        return (gradient - share * gradient.sum(dim, keepdim=True),)

    return back


def logsumexp(step: Step, twin: Step) -> Back:
    """Return the rule of the log of a sum of exponentials."""
    axes, keep = step["dim"], step["keepdim"]
    mean, total = _weights(step["self"], twin["self"], axes)
    share = quotient(mean, total, 0.0)

    def back(incoming: Grads) -> Grads:
        return (_kept(given(incoming[0]), axes, share.ndim, keep=keep) * share,)

    return back


def _kept(reduced: Tensor, axes: Axes | None, ndim: int, *, keep: bool) -> Tensor:
    """Return a reduced tensor with its axes of length one put back."""
    if keep:
        return reduced
    every = range(ndim) if not axes and axes != 0 else [axes] if isinstance(axes, int) else axes
    for axis in sorted(a % ndim for a in every):
        reduced = reduced.unsqueeze(axis)
    return reduced


# -- norms ---------------------------------------------------------------------------------------


def _standardized(
    one: Tensor, two: Tensor, axes: Sequence[int], eps: float, *, centered: bool = True
) -> Back:
    """Return the rule of c / sqrt(mean c^2 + eps), with c = x minus its mean over `axes`.

    c times c, the mean, the inverse root and the product with c, in a row; the chord of the
    inverse root r is -(r r')^2 / (r + r').
    """
    axes = list(axes)
    sides = [t - t.mean(axes, keepdim=True) if centered else t for t in (one, two)]
    r, s = ((c.square().mean(axes, keepdim=True) + eps).rsqrt() for c in sides)
    c, inverse = middle(*sides), middle(r, s)
    count = math.prod(one.shape[a] for a in axes)
    slope = -((r * s) ** 2) / (r + s) * (2 / count)

    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        through = (gradient * c).sum(axes, keepdim=True) * slope
        sent = gradient * inverse + through * c
        return (sent - sent.mean(axes, keepdim=True) if centered else sent,)

    return back


def _scaled(weight: Tensor | None, back: Back, shape: Sequence[int], scales: Sequence[int]) -> Back:
    """Return the rule of a norm on a reshaped input, with a weight on its output."""

    def through(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        whole = gradient.shape
        if weight is not None:
            gradient = gradient * wide(weight).reshape(scales)
        (sent,) = back((gradient.reshape(shape),))
        return (given(sent).reshape(whole),)

    return through


def _arranged(step: Step) -> tuple[tuple[int, ...], list[int], tuple[int, ...]]:
    """Return how a norm sees its input: its shape, the axes it runs over, the shape of weights."""
    whole = step["input"].shape
    if step.name == "native_group_norm":
        scales = (1, -1, *(1 for _ in whole[2:]))
        return (whole[0], step["group"], whole[1:].numel() // step["group"]), [-1], scales
    normal = step["normalized_shape"]
    return whole, list(range(-len(normal), 0)), tuple(normal)


def _eps(step: Step) -> float:
    given_eps: float | None = step["eps"]
    return torch.finfo(step["input"].dtype).eps if given_eps is None else given_eps


def norm(step: Step, twin: Step) -> Back:
    """Return the rule of layer norm, group norm, and the norm by the root mean square."""
    shape, axes, scales = _arranged(step)
    one, two = (wide(s["input"]).reshape(shape) for s in (step, twin))
    centered = step.name != "_fused_rms_norm"
    back = _standardized(one, two, axes, _eps(step), centered=centered)
    return _scaled(step["weight"], back, shape, scales)


def standardizing(step: Step) -> Back:
    """Return what a norm sends back when its scale is taken as known: it then is linear."""
    shape, axes, scales = _arranged(step)
    x = wide(step["input"]).reshape(shape)
    centered = step.name != "_fused_rms_norm"
    x = x - x.mean(axes, keepdim=True) if centered else x
    inverse = (x.square().mean(axes, keepdim=True) + _eps(step)).rsqrt()

    def back(incoming: Grads) -> Grads:
        sent = given(incoming[0]) * inverse
        return (sent - sent.mean(axes, keepdim=True) if centered else sent,)

    return _scaled(step["weight"], back, shape, scales)


def batch_norm(step: Step, twin: Step) -> Back | None:
    """Return the rule of batch norm; with stored statistics it is linear."""
    if not step["training"]:
        return None
    whole = step["input"].shape
    if whole[0] > 1:
        msg = "batch_norm takes its statistics from the batch, so that examples change each other"
        raise RefusedError(msg)
    one, two = (wide(s["input"]).reshape(1, whole[1], -1) for s in (step, twin))
    scales = (1, -1, *(1 for _ in whole[2:]))
    eps = step.get("eps", step.get("epsilon"))
    back = _standardized(one, two, [-1], eps)
    return _scaled(step["weight"], back, one.shape, scales)


def spread(step: Step, twin: Step) -> Back:
    """Return the rule of variance and standard deviation (and the mean that comes with them)."""
    one, two = (wide(s["self"]) for s in (step, twin))
    axes = step["dim"] or list(range(one.ndim))
    count = math.prod(one.shape[a] for a in axes)
    correction = step["correction"]
    free = max(count - (1 if correction is None else correction), 0)
    sides = [t - t.mean(axes, keepdim=True) for t in (one, two)]
    slope = 2 * middle(*sides) / free
    if step.name.startswith("std"):
        roots = [(c.square().sum(axes, keepdim=True) / free).sqrt() for c in sides]
        slope = quotient(slope, roots[0] + roots[1], 0.0)

    def back(incoming: Grads) -> Grads:
        first, mean = incoming if len(incoming) > 1 else (incoming[0], None)
        sent = torch.zeros_like(one)
        for gradient, factor in ((first, slope), (mean, torch.full_like(one, 1 / count))):
            if gradient is not None:
                sent = sent + factor * _kept(wide(gradient), axes, one.ndim, keep=step["keepdim"])
        return (sent,)

    return back


def euclidean(step: Step, twin: Step) -> Back:
    """Return the rule of the Euclidean length: (x + x') / (|x| + |x'|)."""
    if step["ord"] != 2:
        msg = f"a vector norm of order {step['ord']}"
        raise RefusedError(msg)
    one, two = (wide(s["self"]) for s in (step, twin))
    axes, keep = step["dim"], step["keepdim"]
    lengths = [torch.linalg.vector_norm(t, 2, axes, keepdim=True) for t in (one, two)]
    slope = quotient(one + two, lengths[0] + lengths[1], 0.0)

    def back(incoming: Grads) -> Grads:
        return (_kept(given(incoming[0]), axes, one.ndim, keep=keep) * slope,)

    return back


# -- fused attention -----------------------------------------------------------------------------


def attention(step: Step, twin: Step) -> Back:
    """Return the rule of scaled dot-product attention: product, softmax, product.

    The fused kernels do not keep their probabilities, so they are taken again here.
    """
    names = ("query", "key", "value")
    (q, k, v), (qq, kk, vv) = ([wide(s[n]) for n in names] for s in (step, twin))
    given_scale = step.get("scale")
    scale = 1 / math.sqrt(q.shape[-1]) if given_scale is None else given_scale
    shapes = [t.shape for t in (q, k, v)]
    share = q.shape[-3] // k.shape[-3]
    if share > 1:  # several heads of queries per head of keys
        k, v, kk, vv = (t.repeat_interleave(share, -3) for t in (k, v, kk, vv))
    mask = _mask(step, q, k)
    scores = [a @ b.mT * scale + mask for a, b in ((q, k), (qq, kk))]
    mean, total = _weights(scores[0], scores[1], -1)
    probabilities = [s.softmax(-1).nan_to_num(0.0) for s in scores]

    def back(incoming: Grads) -> Grads:
        gradient = given(incoming[0])
        inner = _through_softmax(gradient @ middle(v, vv).mT, mean, total, -1) * scale
        sent = (
            inner @ middle(k, kk),
            inner.mT @ middle(q, qq),
            middle(*probabilities).mT @ gradient,
        )
        return tuple(
            t if t.shape == shape else t.unflatten(-3, (-1, share)).sum(-3)
            for t, shape in zip(sent, shapes, strict=True)
        )

    return back


def _mask(step: Step, query: Tensor, key: Tensor) -> Tensor:
    """Return what is added to the scores."""
    rows, columns = query.shape[-2], key.shape[-2]
    mask = query.new_zeros(rows, columns)
    if step.get("is_causal"):
        later = torch.ones_like(mask, dtype=torch.bool).triu(1)
        mask = mask.masked_fill(later, -torch.inf)
    added = next((step[n] for n in ("attn_mask", "attn_bias") if step.get(n) is not None), 0)
    if isinstance(added, Tensor) and added.dtype == torch.bool:
        added = torch.zeros_like(added, dtype=mask.dtype).masked_fill(~added, -torch.inf)
    return mask + added
