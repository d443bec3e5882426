"""Maps over pictures: where colors land, what is drawn, what is refused, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError
from saliscope.models.vision.images import read_image
from saliscope.show import html, image_map, overlay, plot
from saliscope.show.choose import default_kind

GRAY = np.full((20, 30, 3), 128, dtype=np.uint8)


def record(
    values: Any, *, signed: bool = True, box: tuple[float, ...] | None = None,
    kind: str = "pixel", picture: Any = GRAY, size: tuple[int, int] | None = None,
) -> Attribution:  # fmt: skip
    """Return a map over a picture."""
    values = np.asarray(values, dtype=float)
    several = values.ndim == 3
    dims = (*(["target"] if several else []), "y", "x")
    names = [f"<b>{i}</b>" for i in range(len(values))] if several else ["<b>cat</b>"]
    high, wide = values.shape[-2:]
    size = size or (high, wide)
    steps = {
        d: list(range(0, n, -(-n // k))) for d, n, k in zip("yx", size, (high, wide), strict=True)
    }
    coords: dict[str, Any] = {d: (d, at) for d, at in steps.items()}
    if several:
        coords["target"] = names
    meta = {
        "name": "photo.jpg", "method": "gradient", "target": names, "signed": signed,
        "unit_kind": kind, "unit": "score", "modality": "image", "provenance": {},
        "picture": {**read_image(picture).kept(box), "size": list(size)},
    }  # fmt: skip
    return Attribution(xr.Dataset({"values": (dims, values)}, coords), meta)


def colorful(shown: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where an overlay of a gray picture has color."""
    return np.ptp(shown.astype(int), axis=2) > 8


def test_colors_land_where_the_values_are() -> None:
    values = np.zeros((2, 3))
    values[0, 0], values[1, 2] = 1, -1
    shown = overlay(record(values))
    assert shown.shape == (20, 30, 3)
    wanted = np.zeros((20, 30), dtype=bool)
    wanted[:10, :10] = wanted[10:, 20:] = True
    np.testing.assert_array_equal(colorful(shown), wanted)
    up, down = shown[0, 0].astype(int), shown[19, 29].astype(int)
    assert up[0] > up[2]  # orange
    assert down[2] > down[0]  # blue


def test_a_map_lies_over_the_part_that_the_model_saw() -> None:
    shown = overlay(record(np.ones((2, 2)), box=(10, 5, 20, 15)))
    wanted = np.zeros((20, 30), dtype=bool)
    wanted[5:15, 10:20] = True
    np.testing.assert_array_equal(colorful(shown), wanted)
    beyond = overlay(record(np.ones((2, 2)), box=(-10, -5, 15, 15)))
    wanted[:] = False
    wanted[:15, :15] = True
    np.testing.assert_array_equal(colorful(beyond), wanted)


def test_the_last_patch_may_be_smaller() -> None:
    values = np.zeros((2, 2))
    values[1, 1] = 1  # rows 16 to 20, columns 16 to 30 of 20 x 30 pixels
    shown = overlay(record(values, kind="patch", size=(20, 30)))
    found = np.argwhere(colorful(shown))
    assert (found.min(0).tolist(), found.max(0).tolist()) == ([10, 15], [19, 29])
    uneven = record(np.eye(2), kind="patch", size=(20, 30))
    uneven.data["y"], uneven.data["x"] = ("y", [0, 16]), ("x", [0, 16])
    mask = colorful(overlay(uneven))
    assert mask[:16, :16].all()
    assert mask[16:, 16:].all()
    assert not mask[:16, 16:].any()


def test_colors_do_not_depend_on_the_unit_and_alpha_is_what_it_says() -> None:
    values = np.random.default_rng(0).standard_normal((20, 30))
    np.testing.assert_array_equal(overlay(record(values)), overlay(record(values * 1e6)))
    bare = overlay(record(values), alpha=0.0)
    assert not colorful(bare).any()
    jet = overlay(record(np.ones((20, 30)), signed=False), alpha=1.0, colormap="jet")
    assert (jet == [128, 0, 0]).all()
    lost = overlay(record(np.full((20, 30), np.nan)))
    assert lost.shape == (20, 30, 3)


def test_what_is_drawn() -> None:
    a = record(np.random.default_rng(0).standard_normal((2, 8, 12)))
    assert default_kind(a) == "image_map"
    titles = [axes.get_title(loc="left") for axes in plot(a).axes if axes.get_title(loc="left")]
    assert titles == ["picture", "target: <b>0</b>", "target: <b>1</b>"]
    one = plot(a, target=1, view="overlay")
    assert len([axes for axes in one.axes if axes.images]) == 1
    for view in ("map", "picture", "both"):
        image_map(a, view=view).canvas.draw()
    assert len(plot(record(np.zeros((8, 12)))).axes) == 3
    image_map(record(np.ones((8, 12)), box=(-3, -3, 40, 20)), title="").canvas.draw()


@pytest.mark.parametrize(("options", "words"), [
    ({"view": "overlays"}, "did you mean 'overlay'"),
    ({"alpha": 2}, "alpha=2 must lie between 0"),
    ({"colormap": "jett"}, "did you mean 'jet'"),
    ({"target": 7}, "7"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        image_map(record(np.ones((2, 3, 4))), **options)
    assert "\n" not in str(caught.value)
    plain = record(np.ones((3, 4)))
    del plain._meta["picture"]
    with pytest.raises(OptionError, match="holds no picture"):
        image_map(plain)
    assert default_kind(plain) == "tensor_plot"


def test_a_page_shows_the_picture_and_escapes_names(tmp_path: Path) -> None:
    a = record(np.random.default_rng(0).standard_normal((8, 12)), box=(2, 2, 20, 18))
    page = html([Attribution.load(a.save(tmp_path / "a.nc"))])
    assert page.count("<image ") == 2 + 1  # the picture, the overlay, the color bar
    assert "a dashed frame is the part that the model saw" in page
    assert "<b>cat</b>" not in page
