"""The numbers of a picture, from arrays and tensors: shapes, types and ranges, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError
from saliscope.core.health import Finding, finding

__all__ = ["Levels", "check_size", "from_array"]

_CHANNELS = (1, 3, 4)
_ROUNDING = 1e-5  # by which floats may leave [0, 1]

Levels = npt.NDArray[np.uint8 | np.float32]


def check_size(width: int, height: int, name: str, most: int) -> None:
    """Refuse a picture that holds nothing, or more pixels than are read."""
    if width < 1 or height < 1:
        msg = f"{name}: has {width} x {height} pixels; give a picture that holds some"
        raise InputError(msg)
    if width * height > most:
        msg = (
            f"{name}: has {width:,} x {height:,} pixels, more than the {most:,} that are read; "
            "make it smaller or cut out the part that matters"
        )
        raise InputError(msg)


def from_array(raw: object, name: str, most: int) -> tuple[Levels, tuple[Finding, ...]]:
    """Return the levels of an array or a tensor, and what was noticed.

    Parameters
    ----------
    raw : object
        Anything; what is no array of numbers is refused.
    name : str
        For messages.
    most : int
        Pixels that are read.

    Returns
    -------
    levels : numpy.ndarray, shape (y, x, channels)
        uint8, or float32 in [0, 1]; one channel or three.
    findings : tuple of Finding

    Raises
    ------
    InputError
        Another shape, type or range of numbers, or numbers that are not finite.

    Examples
    --------
    >>> from_array(np.eye(2), "eye", 100)[0][..., 0].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if hasattr(raw, "detach"):  # a tensor, without importing torch
        tensor: Any = raw.detach().cpu()
        raw = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    if not isinstance(raw, np.ndarray) or raw.dtype.kind not in "biufc":
        msg = (
            f"{name}: {type(raw).__name__} is not a picture; give a file, a Pillow image, an "
            "array or a tensor"
        )
        raise InputError(msg)
    levels = _channels_last(raw, name)
    check_size(levels.shape[1], levels.shape[0], name, most)
    findings: list[Finding] = []
    if levels.dtype == np.bool_:
        levels = levels.astype(np.uint8) * np.uint8(255)
    elif levels.dtype == np.uint16:
        findings.append(finding("sixteen_bits", largest=int(levels.max())))
        levels = levels.astype(np.float32) / np.float32(65_535)
    elif levels.dtype.kind == "f":
        levels = _from_floats(levels, name)
    elif levels.dtype != np.uint8:
        msg = (
            f"{name}: holds {levels.dtype}; give uint8 (0 to 255), uint16 (0 to 65,535) or floats "
            "(0 to 1)"
        )
        raise InputError(msg)
    else:
        levels = levels.copy()  # the caller may go on to draw on the array
    if levels.shape[2] == 4:
        levels, seen_through = _on_white(levels)
        if seen_through:
            findings.append(finding("transparent_parts"))
    return levels, tuple(findings)


def _channels_last(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    shape = array.shape
    if array.ndim == 4 and shape[0] == 1:
        array = array[0]
    if array.ndim == 4:
        msg = f"{name}: has shape {shape}, which is {shape[0]} pictures; give them as a list"
        raise InputError(msg)
    if array.ndim == 2:
        return array[..., None]
    first = array.ndim == 3 and array.shape[0] in _CHANNELS
    last = array.ndim == 3 and array.shape[2] in _CHANNELS
    if first and last:
        msg = (
            f"{name}: has shape {shape}, in which channels may stand first or last; give a Pillow "
            "image, or an array in which they stand in one place only"
        )
        raise InputError(msg)
    if not first and not last:
        msg = (
            f"{name}: has shape {shape}; give (y, x), (y, x, channels) or (channels, y, x) with 1 "
            "(gray), 3 (color) or 4 (color and alpha) channels"
        )
        raise InputError(msg)
    return np.moveaxis(array, 0, 2) if first else array


def _from_floats(levels: npt.NDArray[Any], name: str) -> npt.NDArray[np.float32]:
    lost = ~np.isfinite(levels)
    if lost.any():
        y, x, channel = np.argwhere(lost)[0].tolist()
        msg = (
            f"{name}: {int(lost.sum()):,} of {levels.size:,} numbers are not finite, the first at "
            f"y {y}, x {x}, channel {channel}; repair or replace them"
        )
        raise InputError(msg)
    low, high = float(levels.min()), float(levels.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        remedy = (
            "so give the picture before normalization" if low < 0
            else "so divide by the largest possible level (255), or give uint8"
        )  # fmt: skip
        msg = f"{name}: holds floats from {low:.3g} to {high:.3g}; floats are read as 0 to 1, "
        raise InputError(msg + remedy)
    made: npt.NDArray[np.float32] = np.clip(levels, 0, 1).astype(np.float32)
    return made


def _on_white(levels: Levels) -> tuple[Levels, bool]:
    """Put four channels on white, and say whether anything of it is seen."""
    color, alpha = levels[..., :3], levels[..., 3:]
    whole = 255 if levels.dtype == np.uint8 else 1
    if bool((alpha == whole).all()):
        return color.copy(), False
    if levels.dtype == np.uint8:
        from PIL import Image

        white = Image.new("RGBA", (levels.shape[1], levels.shape[0]), "white")
        on = Image.alpha_composite(white, Image.fromarray(np.ascontiguousarray(levels)))
        return np.array(on.convert("RGB")), True
    return color * alpha + (1 - alpha), True
