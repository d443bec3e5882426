"""The embedding, substituted in place while the token ids are still passed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from saliscope.core.errors import ModelError
from saliscope.models.layout import Spread

__all__ = ["Seen", "substituted"]


class Seen:
    """What hooks have seen of a pass: the tensor that gradients are taken at."""

    leaf: torch.Tensor | None = None


@contextlib.contextmanager
def substituted(
    modules: Sequence[nn.Module], leaf: torch.Tensor | None, laid: Spread | None, name: str, *,
    gradients: bool,
) -> Iterator[Seen]:  # fmt: skip
    """Put an embedding in place of what some modules give in the one pass inside the context.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        All that embed, each once: a shared one is called for the encoder and for the decoder.
    leaf : torch.Tensor, shape (rows, units, width), optional
        None: what the module gives is only observed.
    laid : Spread, optional
        How units stand in the rows of the module; then gradients need a leaf.
    name : str
        Of the model, for messages.
    gradients : bool
        Whether gradients will be taken.

    Raises
    ------
    ModelError
        The embedding was called more or less often than a pass has streams.
    """
    seen, calls = Seen(), itertools.count()
    streams = 1 if laid is None else len(laid.streams)

    def substitute(_module: nn.Module, _args: Any, output: torch.Tensor) -> torch.Tensor | None:
        call = next(calls)
        if call >= streams:
            msg = f"{name} calls its embedding more than once in a pass"
            raise ModelError(msg)
        if laid is not None and leaf is None:
            return None
        if call == 0:
            seen.leaf = output.detach() if leaf is None else leaf
            seen.leaf.requires_grad_(gradients)
        assert seen.leaf is not None
        if laid is not None:
            return laid.put(seen.leaf, call)
        # A copy, because some models change the embedding in place, which a leaf forbids.
        return seen.leaf.clone() if gradients else seen.leaf

    handles = [module.register_forward_hook(substitute) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
    if next(calls) < streams:
        msg = f"{name} did not use its embedding module; it cannot be explained"
        raise ModelError(msg)
