"""Pictures of lines: where maps land, what is boxed, what is refused, and the strip."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.patches import Rectangle
from PIL import Image

import saliscope
from helpers import lines
from saliscope.attention.map import AttentionMap
from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError
from saliscope.models.vision.images import read_image
from saliscope.reading import explain_mistakes
from saliscope.show import (
    character_grid,
    character_maps,
    html,
    line_characters,
    line_matrix,
    line_of,
    mistake_crops,
    mistakes,
    plot,
)
from saliscope.show.choose import default_kind
from saliscope.show.colormaps import colormap_of
from saliscope.show.lines import Glyph, window
from saliscope.show.strip import strip_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # fmt: skip
WIDE, HIGH = 120, 20


def record(
    maps: Any = None, *, truth: bool = True, unit: str = "score", signed: bool = True
) -> Attribution:
    """Return maps of "a", "b" and a space, each 1 in its own third, at half the size."""
    if maps is None:
        maps = np.zeros((3, HIGH // 2, WIDE // 2))
        for k in range(3):
            maps[k, :, 20 * k : 20 * k + 20] = 1 / 200
    read = [
        {"text": t, "number": n, "confidence": c, "left": 40.0 * n - 24, "right": 40.0 * n - 16}
        for n, (t, c) in enumerate([("a", 0.95), ("b", 0.5), (" ", 0.99)], 1)
    ]
    names = ["a at 1", "b at 2", "␣ at 3"]
    wrong = [
        {"kind": "substituted", "read": "b", "truth": "d", "number": 2, "confidence": 0.5,
         "left": 56.0, "right": 64.0, "repaired": "ad "},
        {"kind": "missed", "read": "", "truth": "<e>", "number": 3, "confidence": None,
         "left": 104.0, "right": 120.0, "repaired": "ab e"},
    ]  # fmt: skip
    data = xr.Dataset(
        {"values": (("target", "y", "x"), maps), "score": ("target", [-0.1, -0.7, 0.0])},
        coords={"target": names},
    )
    picture = np.full((HIGH, WIDE), 250, dtype=np.uint8)
    meta = {
        "name": "<line>", "method": "occlusion", "target": names, "signed": signed, "unit": unit,
        "unit_kind": "pixel", "modality": "image", "provenance": {"model": {"head": "ctc"}},
        "picture": read_image(picture).kept(), "reading": {"text": "ab ", "characters": read},
    }  # fmt: skip
    if truth:
        meta["compared"] = {"truth": "ad <e>", "mistakes": wrong}
    return Attribution(data, meta)


def cross(queries: str = "ab", cells: int = 12) -> AttentionMap:
    """Return attention of a decoder: each character looks at one cell."""
    values = np.zeros((2, len(queries), cells))
    for q in range(len(queries)):
        values[:, q, 3 * q + 1] = 1
    x = (np.arange(cells) + 0.5) * WIDE / cells
    data = xr.Dataset(
        {"values": (("layer", "query", "key"), values)},
        coords={"layer": [0, 1], "query": range(1, len(queries) + 1), "key": range(1, cells + 1),
                "query_character": ("query", list(queries)), "key_x": ("key", x),
                "key_y": ("key", np.full(cells, HIGH / 2))},
    )  # fmt: skip
    picture = read_image(np.full((HIGH, WIDE), 250, dtype=np.uint8)).kept()
    return AttentionMap(data, {"name": "line", "kind": "cross", "reduce": "mean", "signed": False,
                               "picture": picture, "provenance": {}})  # fmt: skip


def test_a_line_and_its_maps_as_arrays() -> None:
    line = line_of(record())
    assert [(g.text, g.number, g.confidence) for g in line.glyphs] == [
        ("a", 1, 0.95), ("b", 2, 0.5), ("␣", 3, 0.99),
    ]  # fmt: skip
    # From halfway to the neighbors, and at most a quarter of the height beyond the frames.
    assert [(g.left, g.right) for g in line.glyphs] == [(11, 29), (51, 69), (91, 109)]
    assert [g.mistake is None for g in line.glyphs] == [True, False, True]
    names, maps = character_maps(record())
    assert names == ["a", "b", "␣"]
    np.testing.assert_array_equal(maps, record().to_numpy())


def test_profiles_are_shares_of_what_speaks_for_a_character() -> None:
    thirds = line_of(record()).profiles(3)
    np.testing.assert_allclose(thirds, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(line_of(record()).profiles().sum(1), 1)
    maps = np.zeros((3, 2, 4))
    maps[0, :, 0], maps[0, :, 3] = 3, -1
    contributions = line_of(record(maps)).profiles(4)
    slopes = line_of(record(maps, unit="score per unit of input")).profiles(4)
    np.testing.assert_allclose(contributions[0], [1, 0, 0, 0])
    np.testing.assert_allclose(slopes[0], [0.75, 0, 0, 0.25])
    assert not contributions[1].any()  # nothing speaks for it: no shares, and no division by zero


def test_attention_is_a_map_per_character() -> None:
    line = line_of(cross())
    assert [g.text for g in line.glyphs] == ["a", "b"]
    assert line.profiles(12).argmax(1).tolist() == [1, 4]
    assert default_kind(cross()) == "line_matrix"


def test_the_window_of_a_character_lies_around_its_place_or_its_map() -> None:
    line = line_of(record())
    assert window(line, line.glyphs[1], 1.0) == (50, 70)
    assert window(line, line.glyphs[0], 3.0) == (0, 60)
    unplaced = Glyph("x", 1, line.glyphs[2].values)
    assert window(line, unplaced, 1.0) == (90, 110)
    assert window(line, unplaced, 99.0) == (0, WIDE)
    empty = Glyph("x", 1, np.zeros((2, 4)))
    assert window(line, empty, 1.0)[1] <= WIDE


def boxes(figure: Any) -> list[tuple[float, float]]:
    """Return left and right edge of the boxes in a figure."""
    found = [p for axes in figure.axes for p in axes.patches if isinstance(p, Rectangle)]
    found = [p for p in found if not p.get_fill()]
    return [(p.get_x(), p.get_x() + p.get_width()) for p in found]


def texts(figure: Any) -> list[str]:
    """Return what is written in a figure."""
    found = [t.get_text() for axes in figure.axes for t in axes.texts]
    return found + [axes.get_title(loc=loc) for axes in figure.axes for loc in ("left", "right")]


def test_the_line_in_gray_with_its_mistakes_boxed() -> None:
    figure = plot(record())  # what fits: "line_characters"
    assert default_kind(record()) == "line_characters"
    np.testing.assert_allclose(boxes(figure), [(49.5, 70.5), (110.5, 113.5)])
    written = texts(figure)
    assert {"a", "b", "␣", "d", "+<e>", ".5"} <= set(written)
    assert not boxes(line_characters(record(truth=False)))


def test_long_lines_are_cut_between_characters() -> None:
    many, step = 60, 16.0
    maps = np.full((many, 4, 600), 1e-3)
    read = [
        {"text": "a", "number": n + 1, "confidence": 1.0, "left": step * n, "right": step * n + 8}
        for n in range(many)
    ]
    names = [f"a at {n + 1}" for n in range(many)]
    data = xr.Dataset({"values": (("target", "y", "x"), maps)}, coords={"target": names})
    long = read_image(np.full((HIGH, int(step) * many), 250, dtype=np.uint8)).kept()
    meta = {**record().meta, "target": names, "picture": long, "compared": {},
            "reading": {"text": "a" * many, "characters": read}}  # fmt: skip
    figure = line_characters(Attribution(data, meta))
    edges = [axes.get_xlim() for axes in figure.axes]
    assert len(edges) == round(step * many / HIGH / 7.6)
    assert edges[0][0] == 0
    assert edges[-1][1] == step * many
    assert all(before[1] == after[0] for before, after in pairwise(edges))
    middles = {step * n + 4 for n in range(many)}
    assert not {edge for pair in edges for edge in pair} & middles
    letters = [t for axes in figure.axes for t in axes.texts if t.get_text() == "a"]
    assert len(letters) == many  # each once


def test_the_grid_has_a_cell_per_character_on_one_scale() -> None:
    figure = character_grid(record())
    titles = texts(figure)
    assert {"a  0.95", "b  0.50", "␣  0.99", "is d"} <= set(titles)
    assert sum(bool(axes.images) for axes in figure.axes) == 3
    with pytest.raises(OptionError, match="did you mean 'jet'"):
        character_grid(record(), colormap="jett")
    character_grid(cross(), colormap=2).canvas.draw()


def test_the_matrix_has_both_heads_beside_each_other() -> None:
    figure = line_matrix(record(), beside=cross())
    labels = [[t.get_text() for t in axes.get_yticklabels()] for axes in figure.axes[2:4]]
    assert labels == [["a", "b", "␣"], ["a", "b"]]
    assert figure.axes[2].get_xlim() == figure.axes[3].get_xlim() == (0, WIDE)
    shown = np.asarray(figure.axes[2].images[0].get_array())
    np.testing.assert_allclose(shown.sum(1), 1)
    line_matrix(cross(), title="").canvas.draw()


def test_mistakes_are_drawn_with_what_speaks_for_each() -> None:
    model, picture = lines.ctc(), lines.line(160, seed=3)
    text = model.read(picture).text
    other = next(c for c in "abcd" if c != text[1])
    _, maps = explain_mistakes(model, picture, text[0] + other + text[2:] + "a", "occlusion")
    assert maps is not None
    assert default_kind(maps) == "mistakes"
    titles = texts(mistakes(maps))
    sure = model.read(picture).characters[1].confidence
    assert {f"{text[1]} ({sure:.2f}) for {other}", "missed a"} <= set(titles)
    crops = mistake_crops(maps)
    assert len(crops) == 2
    assert crops[0].dtype == np.uint8
    assert ((crops[0] == [179, 38, 30]).all(2)).any()  # the box


def test_what_is_no_line_is_refused_in_one_line() -> None:
    plain = saliscope.explain(lines.ctc(), lines.line(120), "gradient")
    for draw in (character_grid, line_characters, line_matrix, mistakes):
        with pytest.raises(OptionError, match="no maps of single characters") as caught:
            draw(plain)
        assert "\n" not in str(caught.value)
    assert default_kind(plain) == "image_map"


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16, 17, 20])
def test_codes_of_opencv_give_its_colors(code: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV comes with the benchmark extra")
    levels = np.arange(256, dtype=np.uint8)[None]
    theirs = cv2.applyColorMap(levels, code)[0, :, ::-1].astype(float)
    own = np.asarray(colormap_of(code)(levels))[0, :, :3] * 255
    # Jet is made of other steps there: up to 13 % of one channel.
    np.testing.assert_allclose(own, theirs, atol=35 if code == 2 else 6)


@pytest.mark.parametrize("given", [12, 21, 22, -1, True, 2.0, "jett"])
def test_colors_that_do_not_exist_are_refused(given: Any) -> None:
    with pytest.raises(OptionError, match="colormap="):
        colormap_of(given)


# -- the strip -----------------------------------------------------------------------------------


def test_the_strip_holds_each_map_below_the_other() -> None:
    strip = strip_of(record())
    assert strip is not None
    assert [c["text"] for c in strip.cells] == ["a", "b", "␣"]
    assert strip.cells[1]["say"] == "character 2 of 3: b, confidence 0.50, written d"
    assert strip.cells[2]["say"] == "character 3 of 3: space, confidence 0.99"
    assert [c["wrong"] for c in strip.cells] == [False, True, False]
    data = base64.b64decode(strip.sprite.partition(",")[2])
    sprite = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert sprite.shape == (3 * HIGH, WIDE, 4)
    opaque = sprite[..., 3] > 0
    for k in range(3):
        columns = opaque[HIGH * k : HIGH * (k + 1)].all(0)
        np.testing.assert_array_equal(np.flatnonzero(columns), np.arange(40 * k, 40 * k + 40))
    small = strip_of(record(np.random.default_rng(0).random((3, HIGH, WIDE))), budget=1500)
    assert small is not None
    assert (
        len(small.sprite)
        < len(strip_of(record(np.random.default_rng(0).random((3, HIGH, WIDE)))).sprite) / 2
    )  # type: ignore[union-attr]
    assert strip_of(saliscope.explain(lines.ctc(), lines.line(120), "gradient")) is None


def test_the_page_has_a_strip_and_says_what_was_read() -> None:
    page = html([record(), cross()])
    assert page.count('<figure class="strip"') == 2
    assert page.count('role="slider"') == 2
    assert '<dt>Read</dt><dd dir="auto">ab </dd>' in page
    assert '<dd dir="auto">ad &lt;e&gt;</dd>' in page
    assert "<e>" not in page
    assert "strip-line" not in html([saliscope.explain(lines.ctc(), lines.line(120), "gradient")])


STEPS = """<script>
const line = document.querySelector(".strip-line"), figure = line.closest("figure");
const seen = [];
const note = () => seen.push([
  line.getAttribute("aria-valuenow"), line.getAttribute("aria-valuetext"),
  figure.querySelector("output").textContent, figure.querySelector(".strip-now").textContent,
  getComputedStyle(figure.querySelector(".strip-map")).backgroundPositionY,
  figure.querySelector(".strip-place").style.left].join("|"));
note();
line.focus();
const keys = "ArrowRight ArrowRight ArrowRight Home PageDown PageDown End ArrowLeft x".split(" ");
for (const key of keys) {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  document.activeElement.dispatchEvent(event);
  note();
}
figure.querySelector(".strip-on").click(); note();
figure.querySelectorAll(".strip-text span")[0].click(); note();
const out = document.createElement("pre"); out.id = "seen"; out.textContent = seen.join("\\n");
document.body.append(out);
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to step through the page")
def test_the_strip_is_stepped_through_by_keyboard(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(html([record()]).replace("</body>", STEPS), encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
         page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    seen = [row.split("|") for row in found[1].splitlines()]
    assert [int(row[0]) for row in seen] == [1, 2, 3, 3, 1, 2, 2, 3, 2, 2, 3, 1]
    for number, said, told, letter, position, left in seen:
        k = int(number) - 1
        assert said == told
        assert said.startswith(f"character {number} of 3: ")
        assert letter == "ab␣"[k]
        assert float(re.findall(r"[\d.]+", position)[-1]) == pytest.approx(50 * k)
        assert left == f"{[9.17, 42.5, 75.83][k]}%"


def test_places_are_told_in_pixels_of_the_picture_as_it_came() -> None:
    wide = record()
    meta = {**wide.meta, "picture": {**wide.meta["picture"], "width": 10 * WIDE,
            "height": 10 * HIGH, "box": [0.0, 0.0, 10.0 * WIDE, 10.0 * HIGH]}}  # fmt: skip
    figure = line_matrix(Attribution(wide.data, meta))
    assert figure.axes[1].get_xlim() == (0, 10 * WIDE)
