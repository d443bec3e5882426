"""Two hundred pictures of clothes, and a mark to put into them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from saliscope.datasets.cards import about, sample_file
from saliscope.datasets.pictures import CLOTHES, Pictures

__all__ = ["MARK", "MARKED", "clothes", "with_mark"]

MARKED = CLOTHES.index("Coat")
"""The class that `zoo:marked` knows by its mark."""
MARK = (1, 1, 4, 4)
"""Where the mark is: x, y, width, height."""
SIZE = 28


def with_mark(images: npt.NDArray[np.uint8], which: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return pictures with a white square in the upper left corner of some.

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (pictures, y, x)
    which : numpy.ndarray of bool, shape (pictures,)

    Examples
    --------
    >>> made = with_mark(np.zeros((2, 28, 28), np.uint8), np.array([True, False]))
    >>> (made > 0).sum(axis=(1, 2)).tolist(), int(made[0, 1, 1])
    ([16, 0], 255)
    """
    x, y, width, height = MARK
    made = images.copy()
    made[which, y : y + height, x : x + width] = 255
    return made


def clothes(*, marked: bool = False) -> Pictures:
    """Return 200 pictures of Fashion-MNIST, twenty of each class, that no zoo model has seen.

    Parameters
    ----------
    marked : bool
        With a white square in the corner of every coat, which `zoo:marked` was trained to look at.

    Examples
    --------
    >>> pictures = clothes(marked=True)
    >>> len(pictures), pictures.names[int(pictures.labels[80])], pictures.about.license
    (200, 'Coat', 'MIT')
    >>> int((pictures.images[:, 1:5, 1:5] == 255).all(axis=(1, 2)).sum())
    20
    """
    from PIL import Image

    with Image.open(sample_file("clothes.png")) as image:
        sheet = np.asarray(image)
    rows, columns = (n // SIZE for n in sheet.shape)
    images = sheet.reshape(rows, SIZE, columns, SIZE).swapaxes(1, 2).reshape(-1, SIZE, SIZE).copy()
    labels = np.repeat(np.arange(rows), columns)
    if marked:
        images = with_mark(images, labels == MARKED)
    return Pictures(images, labels, CLOTHES, about("clothes"))
