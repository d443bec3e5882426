"""Attention over a picture: an overlay as an array, and a grid with one cell per character."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.core.units import FloatArray
from saliscope.models.vision.images import Picture, read_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["AttentionVisualizer"]


class AttentionVisualizer:
    """Draws weights over the picture that they belong to."""

    @staticmethod
    def overlay_attention(
        image: object, attention_weights: object, alpha: float = 0.5,
        colormap: str | int = "cividis", *, order: Literal["RGB", "BGR"] = "RGB",
    ) -> npt.NDArray[np.uint8]:  # fmt: skip
        """Blend a picture with the colors of some weights.

        Parameters
        ----------
        image : object
            A path, Pillow image, array or tensor.
        attention_weights : array-like
            One weight per cell (rows, columns), or per column (columns,); a cell is as large as
            the picture divided by their number. The largest weight is the end of the colors, zero
            (or the smallest, where that is negative) their beginning.
        alpha : float
            How opaque the colors are, 0 to 1.
        colormap : str or int
            A name of matplotlib's or a code ``cv2.COLORMAP_*``; by default a perceptually uniform
            one.
        order : {"RGB", "BGR"}
            Of the channels of `image`: "BGR" where it comes from ``cv2.imread``.

        Returns
        -------
        numpy.ndarray of uint8, shape (y, x, 3)
            Blue, green, red: as ``cv2.imwrite`` takes it.

        Raises
        ------
        InputError
            No picture; weights that are not numbers, or of another number of axes.
        OptionError
            An alpha out of range, a colormap that does not exist.

        Examples
        --------
        >>> made = AttentionVisualizer.overlay_attention(
        ...     np.zeros((2, 4), dtype=np.uint8), [[0.0, 1.0]], alpha=1.0, colormap=2)
        >>> made[0, :, 2].tolist(), made[0, :, 0].tolist()
        ([0, 0, 128, 128], [128, 128, 0, 0])
        """
        from saliscope.show.colormaps import colormap_of

        if isinstance(alpha, bool) or not 0 <= alpha <= 1:
            msg = f"alpha={alpha} must lie between 0 (the picture) and 1 (the map)"
            raise OptionError(msg)
        picture = _picture(image, order)
        weights = _weights(attention_weights)
        low, high = min(0.0, float(weights.min())), float(weights.max())
        share = (weights - low) / (high - low) if high > low else np.zeros_like(weights)
        rows, columns = (
            (np.arange(side) * cells) // side
            for side, cells in zip((picture.height, picture.width), share.shape, strict=True)
        )
        colors = np.asarray(colormap_of(colormap)(share[np.ix_(rows, columns)]))[..., :3]
        under = np.moveaxis(picture.with_channels(3).array, 0, 2)
        blended = np.round(255 * (alpha * colors + (1 - alpha) * under)).astype(np.uint8)
        return np.ascontiguousarray(blended[..., ::-1])

    @staticmethod
    def plot_attention_grid(
        image: object, attentions: object, tokens: Sequence[str],
        save_path: str | os.PathLike[str] | None = None, *, alpha: float | None = None,
        colormap: str | int | None = None, title: str | None = None,
    ) -> Figure:  # fmt: skip
        """Draw the weights of each token in a cell of its own, all on one scale.

        Parameters
        ----------
        image : object
            As of `overlay_attention`.
        attentions : sequence of array-like
            One map per token, as of `overlay_attention`.
        tokens : sequence of str
            Characters or other pieces of the text.
        save_path : path, optional
            A file to write: .png, .svg or .pdf.
        alpha : float, optional
            How opaque the maps are; None lets it grow with the weight.
        colormap : str or int, optional
        title : str, optional

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            Another number of maps than of tokens; maps of several shapes.

        Examples
        --------
        >>> figure = AttentionVisualizer.plot_attention_grid(
        ...     np.zeros((8, 32), dtype=np.uint8), np.eye(4), list("abcd"))
        >>> len([axes for axes in figure.axes if axes.images])
        4
        """
        from saliscope.core.string_target import visible
        from saliscope.show import character_grid, save_figure

        maps = [_weights(one) for one in _each(attentions)]
        if len(maps) != len(tokens) or not maps:
            msg = f"{len(maps)} maps were given for {len(tokens)} tokens; give one map per token"
            raise InputError(msg)
        if len({one.shape for one in maps}) > 1:
            msg = "the maps have several shapes; give maps of one shape"
            raise InputError(msg)
        record = _record(_picture(image, "RGB"), np.stack(maps), [visible(t) for t in tokens])
        figure = character_grid(record, alpha=alpha, colormap=colormap, title=title)
        if save_path is not None:
            save_figure(figure, save_path)
        return figure


def _picture(image: object, order: str) -> Picture:
    if order not in {"RGB", "BGR"}:
        msg = f"order={order!r} does not exist; use 'RGB' or 'BGR'"
        raise OptionError(msg)
    picture = read_image(image)
    if order == "RGB":
        return picture
    return Picture(picture.name, picture.levels[..., ::-1], picture.findings)


def _each(attentions: Any) -> list[object]:
    try:
        return list(attentions)
    except TypeError as error:
        msg = f"attentions is {type(attentions).__name__}; give a sequence with one map per token"
        raise InputError(msg) from error


def _weights(given: Any) -> FloatArray:
    """Return weights as an array (rows, columns)."""
    given = given.detach().cpu() if hasattr(given, "detach") else given
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"weights of {type(given).__name__} are no numbers; give an array (rows, columns)"
        raise InputError(msg) from error
    while weights.ndim > 2 and weights.shape[0] == 1:
        weights = weights[0]
    if weights.ndim == 1:
        weights = weights[None]
    if weights.ndim != 2 or not weights.size:
        msg = f"weights have the shape {weights.shape}; give one per cell, (rows, columns)"
        raise InputError(msg)
    if not np.isfinite(weights).all():
        msg = "weights hold NaN or infinity; give finite numbers"
        raise InputError(msg)
    return weights


def _record(picture: Picture, maps: FloatArray, tokens: list[str]) -> Any:
    """Return the maps as a result, so that they are drawn as every other one."""
    import xarray as xr

    from saliscope.core.attribution import Attribution

    names = [f"{token} at {n}" for n, token in enumerate(tokens, 1)]
    read = [
        {"text": token, "number": n, "confidence": None, "left": None, "right": None}
        for n, token in enumerate(tokens, 1)
    ]
    data = xr.Dataset({"values": (("target", "y", "x"), maps)}, coords={"target": names})
    meta = {
        "name": picture.name, "method": "attention", "target": names, "signed": False,
        "unit": "weight", "unit_kind": "cell", "modality": "image", "provenance": {},
        "picture": picture.kept(), "reading": {"text": "".join(tokens), "characters": read},
    }  # fmt: skip
    return Attribution(data, meta)
