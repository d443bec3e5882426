"""A user's own recognizer with connectionist temporal classification, declared in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn

from saliscope.core.errors import OptionError
from saliscope.models.vision.alphabet import Alphabet, Direction
from saliscope.models.vision.heads import FrameHead, Layout, OutputKind
from saliscope.models.vision.lines import LinePreparation
from saliscope.models.vision.recognizer import Recognizer

__all__ = ["recognizer"]


def recognizer(
    module: nn.Module, alphabet: str | Sequence[str], *, blank: int = 0, layout: Layout = "TNC",
    output: OutputKind = "logits", height: int | None = None, channels: Literal[1, 3] = 1,
    preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None,
    direction: Direction = "ltr", name: str | None = None,
) -> Recognizer:  # fmt: skip
    """Declare, once, how a recognizer with connectionist temporal classification is used.

    Parameters
    ----------
    module : torch.nn.Module
        Takes lines (rows, channels, height, width) and gives scores of symbols along frames.
    alphabet : str or sequence of str
        The symbols in the order of the outputs, without the blank.
    blank : int
        Number of the output that is the blank; -1 is the last.
    layout : {"TNC", "NTC", "NCT"}
        Axes of the output: frames (T), lines (N), symbols (C).
    output : {"logits", "log_probs", "probs"}
        What the numbers are.
    height : int, optional
        Pixels that a line is brought to, its width in proportion. None: as it is.
    channels : {1, 3}
        Gray or color.
    preprocess : callable, optional
        From lines (rows, channels, height, width), 0 black to 1 white, to what the module takes:
        normalization, inversion, padding. Of differentiable torch operations.
    direction : {"ltr", "rtl"}
        "rtl" for scripts that are written from right to left, where the module says symbols in
        visual order, from left to right in the picture. Texts are in logical order always.
    name : str, optional
        What results call the model.

    Returns
    -------
    Recognizer
        For `explain`, `attention` and `Recognizer.read`.

    Raises
    ------
    OptionError
        A blank out of range, an alphabet with a symbol twice, an unknown layout.
    ModelError
        The alphabet, layout or kind of output is not what the module gives.

    Examples
    --------
    >>> import numpy as np
    >>> class Frames(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.see = nn.Conv2d(1, 3, (8, 4), (8, 4))
    ...     def forward(self, lines):
    ...         return self.see(lines)[:, :, 0].permute(2, 0, 1)
    >>> model = recognizer(Frames().eval(), "ab", height=8)
    >>> reading = model.read(np.full((16, 80), 255, dtype=np.uint8))
    >>> reading.steps, model.sight.stride
    (10, 4.0)
    >>> recognizer(Frames(), "abc", height=8)
    Traceback (most recent call last):
        ...
    saliscope.core.errors.ModelError: the model gives 3 symbols per frame, and the alphabet has 3 \
and a blank (4); give one symbol per output, without the blank
    """
    if not isinstance(module, nn.Module):
        msg = f"a recognizer is a torch module, not {type(module).__name__}"
        raise OptionError(msg)
    whole = isinstance(height, int) and not isinstance(height, bool) and height > 0
    if height is not None and not whole:
        msg = f"height={height!r} is not a number of pixels"
        raise OptionError(msg)
    prepare = preprocess or _as_it_is
    head = FrameHead(
        lambda images: module(prepare(images)), Alphabet(alphabet, blank, direction), layout, output
    )
    colors = "L" if channels == 1 else "RGB"
    made = Recognizer(
        module, name or type(module).__name__, LinePreparation(height=height, colors=colors), head
    )
    made.try_out()
    return made


def _as_it_is(images: torch.Tensor) -> torch.Tensor:
    return images
