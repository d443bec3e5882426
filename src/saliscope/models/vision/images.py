"""Pictures: whatever holds one (a file, a Pillow image, an array, a tensor), read in one place.

Pillow does the parsing. A picture keeps the levels that it came with (bytes, or floats from 0 to
1), so that resizing gives the numbers that Pillow gives, and turns into floats on demand.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.health import Finding, finding
from saliscope.models.vision.levels import Levels, check_size, from_array

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ENDINGS", "MOST_PIXELS", "Picture", "kept_picture", "read_image"]

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Of files that are taken for pictures."""
MOST_PIXELS = 50_000_000
"""Above so many pixels a picture is refused before it is decoded (150 MB as bytes of color)."""
KEPT_SIDE, KEPT_BYTES = 1024, 400_000
"""How large a picture is kept within a result, and from where on it is kept as JPEG."""

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's "L"
_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # Pillow's numbers


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, upright and opaque, in gray or color.

    Parameters
    ----------
    name : str
        The file's name, or what the caller said.
    levels : numpy.ndarray, shape (y, x, channels)
        uint8 from 0 to 255, or float32 from 0 to 1 where more than 8 bits came in; one channel
        (gray) or three (red, green, blue).
    findings : tuple of Finding
        What was noticed while reading it.

    Examples
    --------
    >>> picture = read_image(np.array([[0, 255]], dtype=np.uint8))
    >>> picture.width, picture.height, picture.array.tolist()
    (2, 1, [[[0.0, 1.0]]])
    """

    name: str
    levels: Levels
    findings: tuple[Finding, ...] = ()

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.levels.shape[0])

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.levels.shape[1])

    @property
    def channels(self) -> int:
        """One (gray) or three (red, green, blue)."""
        return int(self.levels.shape[2])

    @property
    def array(self) -> npt.NDArray[np.float32]:
        """The picture as float32 in [0, 1], shape (channels, y, x)."""
        whole = np.moveaxis(self.levels, 2, 0)
        if whole.dtype == np.uint8:
            return np.ascontiguousarray(whole, dtype=np.float32) / np.float32(255)
        return np.ascontiguousarray(whole, dtype=np.float32)

    @cached_property
    def key(self) -> tuple[str, tuple[int, ...], str]:
        """Equal for pictures of equal content, however they were stored."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.levels).tobytes(), digest_size=16)
        return str(self.levels.dtype), self.levels.shape, digest.hexdigest()

    def with_channels(self, channels: int) -> Picture:
        """Return the picture with one channel (luma, ITU-R BT.601) or three."""
        if channels == self.channels:
            return self
        if channels == 3:
            return replace(self, levels=np.repeat(self.levels, 3, axis=2))
        if channels != 1:
            msg = f"channels={channels} does not exist; a picture has 1 (gray) or 3 (color)"
            raise OptionError(msg)
        if self.levels.dtype == np.uint8:
            return replace(self, levels=np.asarray(self.image.convert("L"))[..., None])
        return replace(self, levels=(self.levels @ _LUMA)[..., None])

    @property
    def image(self) -> Image:
        """The picture as a Pillow image of bytes, "L" or "RGB"."""
        from PIL import Image

        levels = self.levels
        if levels.dtype != np.uint8:
            levels = np.round(levels * 255).astype(np.uint8)
        return Image.fromarray(levels[..., 0] if self.channels == 1 else levels)

    def resized(self, height: int, width: int, resample: str = "bilinear") -> Picture:
        """Return the picture at another size.

        Bytes are resized by Pillow as bytes (so rounded, as everywhere that Pillow prepares
        inputs); floats channel by channel, as floats.

        Parameters
        ----------
        height, width : int
        resample : {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}
            Pillow's, with antialiasing when the picture gets smaller.

        Examples
        --------
        >>> wide = read_image(np.array([[0, 100, 200, 100]], dtype=np.uint8))
        >>> wide.resized(1, 2, "box").levels[..., 0].tolist()
        [[50, 150]]
        """
        from PIL import Image

        if resample not in _FILTERS:
            msg = f"resample={resample!r} does not exist: {nearest(str(resample), _FILTERS)}"
            raise OptionError(msg)
        if height < 1 or width < 1:
            msg = f"{self.name}: cannot be resized to {width} x {height} pixels; give 1 or more"
            raise OptionError(msg)
        if (height, width) == (self.height, self.width):
            return self
        kind = Image.Resampling(_FILTERS.index(resample))
        if self.levels.dtype == np.uint8:
            made = np.asarray(self.image.resize((width, height), kind))
            return replace(self, levels=made.reshape(height, width, self.channels))
        bands = [
            np.asarray(Image.fromarray(band).resize((width, height), kind))
            for band in np.moveaxis(self.levels, 2, 0)
        ]
        return replace(self, levels=np.clip(np.stack(bands, axis=2), 0, 1, dtype=np.float32))

    def cut(self, left: int, top: int, right: int, bottom: int, fill: float = 0.0) -> Picture:
        """Return a rectangle of the picture; what lies outside of it is `fill` (0 to 1)."""
        if not (left < right and top < bottom):
            msg = (
                f"{self.name}: the box {left}, {top}, {right}, {bottom} is empty; give left < "
                "right and top < bottom"
            )
            raise OptionError(msg)
        is_bytes = self.levels.dtype == np.uint8
        made = np.full(
            (bottom - top, right - left, self.channels),
            round(fill * 255) if is_bytes else fill, dtype=self.levels.dtype,
        )  # fmt: skip
        rows = slice(max(0, top), max(0, min(self.height, bottom)))
        columns = slice(max(0, left), max(0, min(self.width, right)))
        part = self.levels[rows, columns]
        if part.size:
            y, x = rows.start - top, columns.start - left
            made[y : y + part.shape[0], x : x + part.shape[1]] = part
        return replace(self, levels=made)

    def kept(self, box: Sequence[float] | None = None) -> dict[str, Any]:
        """Return what a result keeps, as JSON data, so that its map can be drawn on the picture.

        Parameters
        ----------
        box : (left, top, right, bottom), optional
            The part of the picture, in its pixels, that the map lies over (default: all of it);
            it may reach beyond the picture where that was padded.

        Returns
        -------
        dict
            "data" (PNG or JPEG in base64; its longer side at most 1,024 pixels), "width",
            "height" (of the picture as it came) and "box".
        """
        scale = min(1.0, KEPT_SIDE / max(self.height, self.width))
        size = max(1, round(self.height * scale)), max(1, round(self.width * scale))
        small = self.resized(*size, "box").image
        out = io.BytesIO()
        small.save(out, "PNG")
        if out.tell() > KEPT_BYTES:
            out = io.BytesIO()
            small.save(out, "JPEG", quality=90)
        whole = (0.0, 0.0, float(self.width), float(self.height))
        return {
            "data": base64.b64encode(out.getvalue()).decode("ascii"),
            "width": self.width,
            "height": self.height,
            "box": [float(v) for v in (whole if box is None else box)],
        }


def kept_picture(kept: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    """Return the pixels of `Picture.kept`, shape (y, x, 3).

    Examples
    --------
    >>> kept_picture(read_image(np.array([[0, 255]], dtype=np.uint8)).kept()).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(kept["data"]))) as image:
        return np.array(image.convert("RGB"))


def read_image(
    raw: object, *, name: str | None = None, channels: Literal[1, 3] | None = None,
    most_pixels: int = MOST_PIXELS,
) -> Picture:  # fmt: skip
    """Read a picture from whatever holds one.

    EXIF orientation is applied; transparent parts are put on white; of several frames or pages
    the first is read; 16 bits are kept as floats. The last three are findings.

    Parameters
    ----------
    raw : str, path, PIL.Image.Image, numpy.ndarray or torch.Tensor
        Arrays and tensors: (y, x), (y, x, channels) or (channels, y, x) with 1, 3 or 4 (alpha)
        channels, or any of the last with a leading axis of one. Integers of 8 bits from 0 to 255,
        of 16 from 0 to 65,535, or floats from 0 to 1.
    name : str, optional
        What results call it (default: the file's name, else "picture").
    channels : {1, 3}, optional
        Gray or color; None leaves it as it is.
    most_pixels : int
        What has more is refused before it is decoded.

    Returns
    -------
    Picture

    Raises
    ------
    InputError
        One line: no such file, not a picture, damaged, empty, too large, another shape, type or
        range of numbers, numbers that are not finite.

    Examples
    --------
    >>> read_image(np.zeros((3, 4, 5), dtype=np.float32)).levels.shape
    (4, 5, 3)
    >>> read_image(np.full((2, 2), 7.0))
    Traceback (most recent call last):
        ...
    saliscope.core.errors.InputError: picture: holds floats from 7 to 7; floats are read as 0 to \
1, so divide by the largest possible level (255), or give uint8
    """
    from PIL import Image

    if isinstance(raw, Picture):
        picture = raw if name is None else replace(raw, name=name)
    elif isinstance(raw, (str, os.PathLike)):
        path = Path(raw)
        picture = _from_file(path, name or str(path), most_pixels)
        picture = replace(picture, name=name or path.name)
    elif isinstance(raw, Image.Image):
        title = name or Path(str(getattr(raw, "filename", ""))).name or "picture"
        picture = _from_image(raw, title, most_pixels)
    else:
        title = name or "picture"
        picture = Picture(title, *from_array(raw, title, most_pixels))
    if bool((picture.levels == picture.levels[0, 0]).all()):
        picture = replace(picture, findings=(*picture.findings, finding("constant_picture")))
    return picture if channels is None else picture.with_channels(channels)


def _from_file(path: Path, label: str, most: int) -> Picture:
    from PIL import Image, UnidentifiedImageError

    if path.is_dir():
        msg = f"{label}: is a folder; give the file of a picture"
        raise InputError(msg)
    try:
        with warnings.catch_warnings():
            # The limit here is lower than the one that Pillow warns of.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _from_image(image, label, most)
    except InputError:
        raise
    except FileNotFoundError as error:
        hint = "; a picture on the web must be downloaded first" if ":/" in str(path) else ""
        msg = f"{label}: there is no such file{hint}"
        raise InputError(msg) from error
    except UnidentifiedImageError as error:
        msg = f"{label}: {_not_a_picture(path)}"
        raise InputError(msg) from error
    except Image.DecompressionBombError as error:
        msg = (
            f"{label}: claims more than the {most:,} pixels that are read (a decompression bomb?); "
            "make it smaller or cut out the part that matters"
        )
        raise InputError(msg) from error
    except Exception as error:  # whatever Pillow's readers meet in a damaged file
        reason = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
        msg = f"{label}: is damaged or cut off ({reason}); save or download the picture again"
        raise InputError(msg) from error


def _not_a_picture(path: Path) -> str:
    size = path.stat().st_size
    if not size:
        return "is empty (0 bytes); save or download the picture again"
    head = path.open("rb").read(64)
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    kind = "text, whatever its name says" if printable else "in no format that is known here"
    return f"is not a picture ({kind}); give PNG, JPEG, TIFF, BMP, GIF or WebP"


def _from_image(image: Image, name: str, most: int) -> Picture:
    """Read an image that Pillow holds; the caller's own is not changed."""
    from PIL import Image, ImageOps

    check_size(image.width, image.height, name, most)
    findings = []
    # Phones write a depth map or a preview behind the picture (MPO), which is no second frame.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        findings.append(finding("first_frame"))
        if image.tell():
            image = image.copy()  # the frame that the caller chose
            findings.pop()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        levels, more = from_array(_deep(image, name), name, most)
        return Picture(name, levels, (*findings, *more))
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] != 255:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
            findings.append(finding("transparent_parts"))
    gray = image.mode in {"1", "L"}
    if image.mode not in {"1", "L", "P", "RGB", "RGBA", "RGBX"}:
        findings.append(finding("converted_colors", mode=image.mode))
    bytes_ = np.array(image.convert("L" if gray else "RGB"))
    return Picture(name, bytes_[..., None] if gray else bytes_, tuple(findings))


def _deep(image: Image, name: str) -> npt.NDArray[Any]:
    """Return the numbers of an image of more than 8 bits."""
    levels = np.array(image)
    if levels.dtype.kind == "f" or levels.dtype == np.uint16:
        return levels
    if levels.size and (levels.min() < 0 or levels.max() > 65_535):
        msg = (
            f"{name}: holds whole numbers from {levels.min()} to {levels.max()}; save it with 8 "
            "or 16 bits per channel"
        )
        raise InputError(msg)
    return levels.astype(np.uint16)
