"""Fashion-MNIST from the user's folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import unpacked
from saliscope.datasets.cards import About, about

__all__ = ["CLOTHES", "Pictures", "fashion_mnist"]

CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
_FILES = {"train": "train", "test": "t10k"}
_SIZES = {60_000, 10_000}  # of the whole parts
_BYTES = 0x08  # the type in an idx header


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures with labels.

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (pictures, height, width)
        0 is black.
    labels : numpy.ndarray of int64, shape (pictures,)
        Indices of `names`.
    names : tuple of str
    about : About
    """

    images: npt.NDArray[np.uint8] = field(repr=False)
    labels: npt.NDArray[np.int64] = field(repr=False)
    names: tuple[str, ...]
    about: About = field(repr=False)

    def __len__(self) -> int:
        return len(self.images)


def fashion_mnist(
    folder: str | os.PathLike[str], split: Literal["train", "test"] = "test"
) -> Pictures:
    """Read 60,000 or 10,000 pictures of clothes.

    Parameters
    ----------
    folder : path
        With ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, or those of ``train``, as
        they are or packed (.gz). Debian's package ``dataset-fashion-mnist`` has them.
    split : {"test", "train"}

    Raises
    ------
    InputError
        A file is missing, damaged, or not of this data set: the digits of MNIST have files of the
        same names, and are told by classes of unequal size.
    OptionError
        No such split.
    """
    if split not in _FILES:
        msg = f"split={split!r} does not exist; use 'train' or 'test'"
        raise OptionError(msg)
    images_file, labels_file = (
        _found(Path(folder), f"{_FILES[split]}-{kind}-ubyte")
        for kind in ("images-idx3", "labels-idx1")
    )
    images, labels = _idx(images_file, 3), _idx(labels_file, 1)
    if len(images) != len(labels):
        msg = f"{folder}: {len(images):,} pictures and {len(labels):,} labels; take both of one set"
        raise InputError(msg)
    if images.shape[1:] != (28, 28):
        msg = f"{images_file}: its pictures are {images.shape[1]} x {images.shape[2]}, not 28 x 28"
        raise InputError(msg)
    counts = np.bincount(labels, minlength=len(CLOTHES))
    if len(counts) > len(CLOTHES):
        msg = f"{labels_file}: has a label {int(labels.max())}; there are ten, 0 to 9"
        raise InputError(msg)
    if len(labels) in _SIZES and np.ptp(counts):
        msg = f"{labels_file}: its classes differ in size, so this is not Fashion-MNIST (digits?)"
        raise InputError(msg)
    return Pictures(images, labels.astype(np.int64), CLOTHES, about("fashion_mnist"))


def _found(folder: Path, name: str) -> Path:
    for each in (folder / name, folder / f"{name}.gz"):
        if each.is_file():
            return each
    msg = f"{folder}: holds neither {name} nor {name}.gz; give the folder of Fashion-MNIST"
    raise InputError(msg)


def _idx(path: Path, axes: int) -> npt.NDArray[np.uint8]:
    """Read an idx file of bytes with so many axes."""
    with unpacked(path) as file:
        data = file.read()
    head = 4 + 4 * axes
    if data[:4] != bytes((0, 0, _BYTES, axes)) or len(data) < head:
        msg = f"{path}: is not an idx file of bytes with {axes} axes; copy it again"
        raise InputError(msg)
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", axes, 4))
    if len(data) - head != int(np.prod(shape, dtype=np.int64)):
        msg = f"{path}: holds {len(data) - head:,} bytes for the shape {shape}; copy it again"
        raise InputError(msg)
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)
