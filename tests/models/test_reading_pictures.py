"""Pictures from files, arrays and tensors: what is read, what is noticed, what is refused."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from saliscope.core.errors import InputError, OptionError
from saliscope.models.vision.images import Picture, kept_picture, read_image

BANDS = np.arange(30, dtype=np.uint8).reshape(2, 5, 3) * 8


def codes(picture: Picture) -> list[str]:
    return [f.code for f in picture.findings]


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_layouts_agree() -> None:
    first = read_image(BANDS)
    floats = BANDS.astype(np.float32) / 255
    for raw in (
        np.moveaxis(BANDS, 2, 0), torch.from_numpy(BANDS), torch.from_numpy(BANDS)[None],
        torch.from_numpy(np.moveaxis(BANDS, 2, 0).copy()), Image.fromarray(BANDS), first,
    ):  # fmt: skip
        assert read_image(raw).key == first.key
    for raw in (floats, floats.astype(np.float64), torch.from_numpy(floats).double()):
        np.testing.assert_allclose(read_image(raw).array, first.array, atol=1e-7)
    assert first.array.shape == (3, 2, 5)
    assert first.array.dtype == np.float32
    assert first.array[2, 1, 4] == np.float32(232) / np.float32(255)
    assert (first.width, first.height, first.channels) == (5, 2, 3)


def test_an_array_that_changes_later_does_not_change_the_picture() -> None:
    mine = BANDS.copy()
    picture = read_image(mine)
    mine[:] = 0
    np.testing.assert_array_equal(picture.levels, BANDS)


def test_gray_and_color() -> None:
    assert read_image(BANDS[..., 0]).channels == 1
    assert read_image(BANDS[..., 0], channels=3).levels.tolist() == [
        [[v] * 3 for v in row] for row in BANDS[..., 0].tolist()
    ]
    expected = BANDS.astype(float) @ [0.299, 0.587, 0.114]
    gray = read_image(BANDS, channels=1)
    assert abs(gray.levels[..., 0] - expected).max() <= 0.5
    deep = read_image(BANDS / np.float64(255), channels=1)
    np.testing.assert_allclose(deep.array[0], expected / 255, atol=1e-6)
    assert read_image(np.eye(3, dtype=bool)).levels[..., 0].tolist() == [
        [255, 0, 0], [0, 255, 0], [0, 0, 255],
    ]  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    """What a viewer shows: for each orientation, the stored rows are turned back."""
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert read_image(path).levels[..., 0].tolist() == upright.tolist()


def test_alpha_is_put_on_white(tmp_path: Path) -> None:
    half = np.zeros((2, 2, 4), dtype=np.uint8)
    half[:, :, 3] = 0, 128
    path = saved(tmp_path / "a.png", Image.fromarray(half))
    for raw in (path, half, Image.fromarray(half)):
        picture = read_image(raw)
        assert picture.levels.tolist() == [[[255] * 3, [127] * 3]] * 2
        assert codes(picture) == ["transparent_parts"]
    floats = read_image(half / np.float32(255))
    np.testing.assert_allclose(floats.array[0, 0], [1, 127 / 255], atol=1e-6)
    half[..., 3] = 255
    half[0, 0, 0] = 9
    assert codes(read_image(half)) == []
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    plain = saved(tmp_path / "p.png", palette)
    assert read_image(plain).levels.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    seen_through = saved(tmp_path / "t.png", palette, transparency=1)
    assert read_image(seen_through).levels.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_sixteen_bits(tmp_path: Path) -> None:
    deep = np.array([[0, 65_535, 13_107]], dtype=np.uint16)
    for raw in (saved(tmp_path / "a.png", Image.fromarray(deep)), deep,
                saved(tmp_path / "a.tif", Image.fromarray(deep))):  # fmt: skip
        picture = read_image(raw)
        np.testing.assert_allclose(picture.array, [[[0, 1, 0.2]]], atol=1e-7)
        assert codes(picture) == ["sixteen_bits"]
    whole = Image.fromarray(np.array([[70_000]], dtype=np.int32))
    with pytest.raises(InputError, match="from 70000 to 70000; save it with 8 or 16 bits"):
        read_image(whole)


def test_other_modes(tmp_path: Path) -> None:
    cmyk = Image.new("CMYK", (2, 1), (0, 0, 0, 0))
    cmyk.putpixel((1, 0), (0, 255, 255, 0))
    picture = read_image(saved(tmp_path / "a.tif", cmyk))
    assert picture.levels.tolist() == [[[255] * 3, [255, 0, 0]]]
    assert codes(picture) == ["converted_colors"]
    floats = Image.fromarray(np.array([[0.0, 0.5]], dtype=np.float32))
    assert read_image(floats).array.tolist() == [[[0.0, 0.5]]]


def test_several_frames(tmp_path: Path) -> None:
    frames = [Image.new("L", (2, 1), v) for v in (10, 200)]
    for frame in frames:
        frame.putpixel((0, 0), 77)
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    picture = read_image(path, channels=1)
    assert picture.levels[..., 0].tolist() == [[77, 10]]
    assert codes(picture) == ["first_frame"]
    with Image.open(path) as chosen:
        chosen.seek(1)
        picture = read_image(chosen, channels=1)
    assert picture.levels[..., 0].tolist() == [[77, 200]]
    assert codes(picture) == []


def test_constant_pictures_are_noticed() -> None:
    assert codes(read_image(np.zeros((1, 1), dtype=np.uint8))) == ["constant_picture"]
    assert codes(read_image(np.ones((3, 8, 8)))) == ["constant_picture"]


def _broken(folder: Path) -> dict[str, tuple[object, str]]:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    whole = io.BytesIO()
    picture.save(whole, "JPEG")
    (folder / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("dear reader\n")
    (folder / "noise.jpg").write_bytes(bytes(range(128, 255)))
    # A header that claims 400,000 x 400,000 pixels, and holds none.
    bomb = io.BytesIO()
    Image.new("L", (1, 1)).save(bomb, "BMP")
    header = bytearray(bomb.getvalue())
    header[18:26] = (400_000).to_bytes(4, "little") * 2
    (folder / "bomb.bmp").write_bytes(bytes(header))
    lost = np.ones((3, 5, 5))
    lost[1, 2, 3] = np.nan
    return {
        "cut": (folder / "cut.jpg", "is damaged or cut off"),
        "empty": (folder / "empty.png", "is empty .0 bytes."),
        "text": (folder / "text.png", "is not a picture .text, whatever its name says."),
        "noise": (folder / "noise.jpg", "in no format that is known here"),
        "bomb": (folder / "bomb.bmp", "decompression bomb"),
        "missing": (folder / "none.png", "there is no such file"),
        "web": ("https://example.org/a.png", "must be downloaded first"),
        "folder": (folder, "is a folder"),
        "no pixels": (np.zeros((0, 4), dtype=np.uint8), "has 4 x 0 pixels"),
        "no pixels in Pillow": (Image.new("L", (0, 0)), "has 0 x 0 pixels"),
        "nan": (lost, "1 of 75 numbers are not finite, the first at y 2, x 3, channel 1"),
        "channels": (np.zeros((5, 9, 9)), "has shape .5, 9, 9.; give .y, x."),
        "two ways": (np.zeros((3, 9, 3)), "channels may stand first or last"),
        "batch": (np.zeros((2, 3, 9, 9)), "is 2 pictures; give them as a list"),
        "one axis": (np.zeros(9), "has shape .9,."),
        "normalized": (np.full((4, 4), -1.5), "from -1.5 to -1.5; .* before normalization"),
        "bytes as floats": (np.full((4, 4), 200.0), "divide by the largest possible level"),
        "long integers": (np.full((4, 4), 200), "holds int64; give uint8"),
        "words": (np.array(["a"]), "ndarray is not a picture"),
        "number": (7, "int is not a picture"),
        "none": (None, "NoneType is not a picture"),
    }  # fmt: skip


def test_broken_pictures_are_one_line(tmp_path: Path) -> None:
    for case, (raw, words) in _broken(tmp_path).items():
        with pytest.raises(InputError) as caught:
            read_image(raw)
        assert re.search(words, str(caught.value)), (case, str(caught.value))
        assert "\n" not in str(caught.value)


def test_limit_of_pixels(tmp_path: Path) -> None:
    """A long line is read, and refused before decoding where it is over the limit."""
    line = Image.new("1", (30_000, 40))
    line.putpixel((5, 5), 1)
    path = saved(tmp_path / "line.png", line)
    assert read_image(path).width == 30_000
    with pytest.raises(InputError, match="has 30,000 x 40 pixels, more than the 1,000,000"):
        read_image(path, most_pixels=1_000_000)
    huge = np.broadcast_to(np.uint8(0), (10_000, 10_000))
    with pytest.raises(InputError, match="more than the 50,000,000 that are read"):
        read_image(huge)


def test_resizing_is_that_of_pillow() -> None:
    picture = read_image(BANDS)
    expected = np.asarray(Image.fromarray(BANDS).resize((3, 5), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(picture.resized(5, 3, "bicubic").levels, expected)
    deep = read_image(BANDS / np.float32(255)).resized(5, 3, "bilinear").array
    rounded = picture.resized(5, 3, "bilinear").array
    assert abs(deep - rounded).max() < 1.6 / 255
    with pytest.raises(OptionError, match="did you mean 'bicubic'"):
        picture.resized(5, 3, "bicubik")
    with pytest.raises(OptionError, match="give 1 or more"):
        picture.resized(0, 3)


def test_cutting_reaches_beyond_the_edge() -> None:
    picture = read_image(np.array([[1, 2], [3, 4]], dtype=np.uint8))
    assert picture.cut(1, -1, 3, 1, fill=1.0).levels[..., 0].tolist() == [[255, 255], [2, 255]]
    assert picture.cut(5, 5, 6, 6).levels.tolist() == [[[0]]]
    with pytest.raises(OptionError, match="is empty"):
        picture.cut(1, 1, 1, 2)


def test_kept_pictures() -> None:
    small = read_image(BANDS)
    kept = small.kept((0, 0, 2, 2))
    np.testing.assert_array_equal(kept_picture(kept), BANDS)
    assert (kept["width"], kept["height"], kept["box"]) == (5, 2, [0, 0, 2, 2])
    noise = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), np.uint8)
    large = read_image(noise).kept()
    assert kept_picture(large).shape == (768, 1024, 3)
    assert (large["width"], large["height"]) == (2000, 1500)
    assert len(large["data"]) < 1_000_000


@given(arrays.arrays(
    st.sampled_from([np.uint8, np.uint16, np.float32, np.float64, np.int16, np.bool_]),
    arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
))  # fmt: skip
def test_any_array_is_a_picture_or_one_line(raw: np.ndarray[Any, Any]) -> None:
    try:
        picture = read_image(raw)
    except InputError as error:
        message = str(error)
    else:
        array, message = picture.array, ""
        assert array.dtype == np.float32
        assert array.shape == (picture.channels, picture.height, picture.width)
        assert 0 <= array.min() <= array.max() <= 1
    assert "\n" not in message
