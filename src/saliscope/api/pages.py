"""Pages: the lines in the picture of a page, as inputs of a recognizer."""

from __future__ import annotations

import os
from collections.abc import Sequence

from saliscope.api.inputs import Input
from saliscope.core.errors import OptionError
from saliscope.models.vision.alto import boxed, cut_out, read_alto, scaled
from saliscope.models.vision.images import read_image

__all__ = ["read_lines"]


def read_lines(
    page: object, *, alto: str | os.PathLike[str] | None = None,
    boxes: Sequence[Sequence[float]] | None = None, name: str | None = None,
) -> list[Input]:  # fmt: skip
    """Cut the lines out of the picture of a page.

    What lies outside of a line's outline gets the tone of the paper around it, so that no part of
    its neighbors is read.

    Parameters
    ----------
    page : object
        A picture: a file, a Pillow image, an array or a tensor.
    alto : path, optional
        An ALTO file with lines; `read_alto` gives their texts, in the same order.
    boxes : sequence of (x, y, width, height), optional
        In place of it: boxes in pixels.
    name : str, optional
        Of the page.

    Returns
    -------
    list of Input
        One per line, for `saliscope.explain` with a recognizer.

    Raises
    ------
    InputError, OptionError
        A page or file that cannot be read, ALTO of another page, a box outside of the page.

    Examples
    --------
    >>> import numpy as np
    >>> page = np.full((90, 200), 255, dtype=np.uint8)
    >>> page[20:30, 40:60] = 0
    >>> (line,) = read_lines(page, boxes=[(30, 15, 60, 20)], name="page")
    >>> line.name, line.raw.width, line.raw.height
    ('page, line 1', 60, 20)
    """
    if (alto is None) == (boxes is None):
        msg = "give the lines of a page by alto= or by boxes=, one of them"
        raise OptionError(msg)
    picture = read_image(page, name=name)
    if alto is not None:
        lines = [scaled(line, picture, str(alto)) for line in read_alto(alto)]
    else:
        lines = list(boxed(boxes or ()))
    found = []
    for number, line in enumerate(lines, 1):
        label = line.name if alto is not None else str(number)
        title = f"{picture.name}, line {label}"
        found.append(Input(title, cut_out(picture, line, title)))
    return found
