"""A picture of one line: brought to the model's height, its paper, and what is no line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from saliscope.core.errors import InputError
from saliscope.models.vision.images import Picture
from saliscope.models.vision.preparing import Preparation

__all__ = ["LinePreparation", "check_line", "paper"]

_PAGE_PIXELS, _PAGE_SHAPE = 500_000, 2.0


@dataclass(frozen=True)
class LinePreparation(Preparation):
    """What is done to a line before a model sees it.

    Parameters
    ----------
    height : int, optional
        Pixels that it is brought to, its width in proportion. None: as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from saliscope.models.vision.images import read_image
    >>> picture, box = LinePreparation(height=4, colors="L").fit(read_image(np.eye(8)[:, :6]))
    >>> picture.array.shape, box
    ((1, 4, 3), (0.0, 0.0, 6.0, 8.0))
    """

    height: int | None = None

    def _resized(self, whole: tuple[int, int]) -> tuple[int, int]:
        """Return the height of the model, and the width in proportion."""
        if self.height is None:
            return super()._resized(whole)
        return self.height, max(1, round(whole[1] * self.height / whole[0]))

    def describe(self) -> dict[str, Any]:
        """Return what provenance says of it."""
        return {**super().describe(), "height": self.height}


def check_line(picture: Picture) -> None:
    """Refuse a page: a large picture that is not much wider than high."""
    wide, high = picture.width, picture.height
    if wide < _PAGE_SHAPE * high and wide * high >= _PAGE_PIXELS:
        msg = (
            f"{picture.name}: has {wide:,} x {high:,} pixels, which is a page, and the model reads "
            "lines; cut lines out of it (--alto page.xml, or --box x,y,w,h; in Python "
            "saliscope.read_lines)"
        )
        raise InputError(msg)


def paper(value: torch.Tensor) -> torch.Tensor:
    """Return the tone of the paper, per channel: the median of the side that most pixels are on.

    Ink covers less than half of a line, be it dark on light or light on dark.

    Parameters
    ----------
    value : torch.Tensor, shape (y, x, channels)

    Examples
    --------
    >>> line = torch.full((4, 8, 1), 0.9)
    >>> line[1:3, 2:4] = 0.1
    >>> paper(line)
    tensor([0.9000])
    """
    flat = value.reshape(-1, value.shape[-1])
    gray = flat.mean(1)
    light = gray >= (gray.min() + gray.max()) / 2
    own = light if int(light.sum()) * 2 >= len(gray) else ~light
    return flat[own].median(0).values
