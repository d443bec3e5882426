"""How a picture becomes a model's input: size, crop, colors and normalization, declared once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from saliscope.core.errors import ModelError, OptionError
from saliscope.models.vision.images import Picture, read_image

__all__ = ["IMAGENET", "Box", "Preparation", "declared", "prepared_as"]

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""The mean and standard deviation that most models trained on ImageNet are normalized with."""

Box = tuple[float, float, float, float]
_COLORS = {"RGB": 3, "BGR": 3, "L": 1}
_PROBES = ((61, 47), (40, 90))  # pictures (height, width) on which a processor is compared


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture before a model sees it.

    Parameters
    ----------
    size : (height, width), optional
        What the model takes; None for the size that a picture has after `resize`.
    resize : int or (height, width), optional
        Before `size` is cut out of the middle: the shorter edge of the picture, or both edges.
        None stretches the picture to `size`.
    resample : str
        A filter of Pillow.
    mean, std : tuple of float
        The model is given (pixel - mean) / std, with pixels from 0 to 1; per channel.
    colors : {"RGB", "BGR", "L"}
        Order of the channels; "L" is gray.

    Examples
    --------
    >>> usual = Preparation((224, 224), resize=256)
    >>> picture, box = usual.fit(read_image(np.zeros((300, 400, 3))))
    >>> picture.array.shape, [round(edge) for edge in box]
    ((3, 224, 224), [68, 19, 331, 281])
    """

    size: tuple[int, int] | None = None
    resize: int | tuple[int, int] | None = None
    resample: str = "bilinear"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    colors: str = "RGB"

    @property
    def channels(self) -> int:
        """One or three."""
        return _COLORS[self.colors]

    @property
    def normalizes(self) -> bool:
        """Whether the model is given anything but the pixels themselves."""
        return any(self.mean) or any(value != 1 for value in self.std)

    def fit(self, picture: Picture) -> tuple[Picture, Box]:
        """Return the picture as the model sees it, in [0, 1], and which part of it that is.

        The part is (left, top, right, bottom) in pixels of `picture`.
        """
        whole = picture.height, picture.width
        picture = picture.with_channels(self.channels)
        target = self._resized(whole)
        picture = picture.resized(*target, self.resample)
        high, wide = self.size or target
        top, left = (target[0] - high) // 2, (target[1] - wide) // 2
        if (high, wide) != target:
            picture = picture.cut(left, top, left + wide, top + high)
        down, across = whole[0] / target[0], whole[1] / target[1]
        box = (left * across, top * down, (left + wide) * across, (top + high) * down)
        return picture, box

    def _resized(self, whole: tuple[int, int]) -> tuple[int, int]:
        """Return the size that a picture is brought to, before `size` is cut out of it."""
        if self.resize is None:
            return self.size or whole
        if not isinstance(self.resize, int):
            return self.resize
        short, long = min(whole), max(whole)
        longer = max(1, int(self.resize * long / short))
        return (self.resize, longer) if whole[0] <= whole[1] else (longer, self.resize)

    def describe(self) -> dict[str, Any]:
        """Return what provenance says of it."""
        return {
            "size": self.size, "resize": self.resize, "resample": self.resample,
            "mean": self.mean, "std": self.std, "colors": self.colors,
        }  # fmt: skip


def declared(
    size: object, resize: object, resample: str, mean: object, std: object, channels: object
) -> Preparation:
    """Check what a user declares.

    Raises
    ------
    OptionError
    """
    colors = {"3": "RGB", "1": "L"}.get(str(channels), str(channels))
    if colors not in _COLORS:
        msg = f"channels={channels!r} does not exist; give 3 or 'RGB', 'BGR', or 1 (gray)"
        raise OptionError(msg)
    both = None if size is None else _edges(size, "size")
    again: int | tuple[int, int] | None = None
    if resize is not None:
        edges = _edges(resize, "resize")
        again = edges if isinstance(resize, (tuple, list)) else edges[0]
    count = _COLORS[colors]
    means = _per_channel(0.0 if mean is None else mean, "mean", count)
    stds = _per_channel(1.0 if std is None else std, "std", count)
    if min(stds) <= 0:
        msg = f"std={std!r}: a standard deviation is above 0"
        raise OptionError(msg)
    made = Preparation(both, again, resample, means, stds, colors)
    made.fit(read_image(np.zeros((2, 2), np.uint8)))  # refuses a filter that does not exist
    return made


def _is_count(value: object) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and int(str(value)) > 0


def _edges(value: Any, name: str) -> tuple[int, int]:
    edges = list(value) if isinstance(value, (tuple, list)) else [value, value]
    if len(edges) != 2 or not all(map(_is_count, edges)):
        msg = f"{name}={value!r}: give a number of pixels, or (height, width)"
        raise OptionError(msg)
    return int(edges[0]), int(edges[1])


def _per_channel(value: object, name: str, channels: int) -> tuple[float, ...]:
    try:
        numbers = np.asarray(value, dtype=np.float64).ravel().tolist()
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 1:
        numbers *= channels
    if len(numbers) != channels or not all(map(math.isfinite, numbers)):
        msg = f"{name}={value!r}: give a number, or one for each of {channels} channels"
        raise OptionError(msg)
    return tuple(numbers)


def prepared_as(processor: Any, label: str) -> Preparation:
    """Return what an image processor of transformers does, and see that it is the same.

    Sizes, crop, filter and normalization are read off the processor's settings. Two pictures of
    noise are then prepared by both.

    Parameters
    ----------
    processor : transformers.BaseImageProcessor
    label : str
        The model's name, for messages.

    Raises
    ------
    ModelError
        The processor does something else, such as padding or cutting in tiles.
    """
    get = _Settings(processor)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channels = 3
    if get.on("do_normalize"):
        mean, std = _numbers(get("image_mean")), _numbers(get("image_std"))
        channels = max(len(mean), len(std))
    # A model is given (pixel * 255 * factor - mean) / std.
    factor = 255.0 * float(get("rescale_factor") or 1 / 255) if get.on("do_rescale") else 255.0
    size, resize = _sizes(get)
    kind = int(get("resample") if get("resample") is not None else 2)
    made = declared(
        size, resize, ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")[kind],
        [m / factor for m in mean], [s / factor for s in std], 1 if channels == 1 else 3,
    )  # fmt: skip
    if not _same(processor, made):
        msg = (
            f"{label}: its image processor ({type(processor).__name__}) prepares pictures in a way "
            "that is not known here; declare it: saliscope.image_model(model, size=..., mean=..., "
            "std=...)"
        )
        raise ModelError(msg)
    return made


class _Settings:
    """The settings of a processor, by name; None where it has none of a name."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, name: str) -> Any:
        return getattr(self.processor, name, None)

    def on(self, name: str) -> bool:
        return bool(self(name))

    def edge(self, name: str, edge: str) -> int | None:
        """Return one edge of a size, which may be a mapping or an object."""
        size = self(name)
        if isinstance(size, int):
            return size if edge != "shortest_edge" else None
        found = size.get(edge) if hasattr(size, "get") else getattr(size, edge, None)
        return None if found is None else int(found)

    def edges(self, name: str) -> tuple[int, int] | None:
        """Return height and width."""
        high, wide = self.edge(name, "height"), self.edge(name, "width")
        return None if high is None or wide is None else (high, wide)


def _sizes(get: _Settings) -> tuple[tuple[int, int] | None, int | tuple[int, int] | None]:
    """Return the size that a model takes, and that to which a picture is brought before."""
    cut = get.edges("crop_size") if get.on("do_center_crop") else None
    if not get.on("do_resize"):
        return cut, None
    short, share = get.edge("size", "shortest_edge"), get("crop_pct")
    if short is not None and share is not None:  # ConvNeXt: a share is cut out, or none of it
        wide = short >= 384
        return (short, short), (None if wide else int(short / share))
    if short is not None:
        return cut, short
    both = get.edges("size")
    return (cut, both) if cut is not None else (both, None)


def _numbers(value: object) -> tuple[float, ...]:
    return tuple(np.asarray(value, dtype=np.float64).ravel().tolist())


def _same(processor: Any, made: Preparation) -> bool:
    """Whether a processor prepares pictures of noise in the way that was read off it."""
    draw = np.random.default_rng(0)
    for shape in _PROBES:
        noise = draw.integers(0, 256, (*shape, 3), dtype=np.uint8)
        picture = read_image(noise, channels=3 if made.channels == 3 else 1)
        ours, _ = made.fit(picture)
        try:
            given = processor(images=picture.image, return_tensors="np")["pixel_values"][0]
        except Exception:  # noqa: BLE001 - whatever it raises, it does not do what was read off it
            return False
        theirs = np.asarray(given, dtype=np.float64)
        mean, std = (np.reshape(v, (-1, 1, 1)) for v in (made.mean, made.std))
        mine = (ours.array - mean) / std
        if theirs.shape != mine.shape or not np.allclose(theirs, mine, atol=1e-4):
            return False
    return True
