"""Every picture of a line of text on one page, to be looked at and judged.

``python scripts/contact_sheet.py`` writes pictures, pages and ``index.html`` into
``build/contact-sheet``. Each picture stands under what a reader should be able to see in it.
"""

from __future__ import annotations

import argparse
import html
from importlib import resources
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import saliscope
from saliscope.reading import explain_characters, explain_mistakes, gallery, read_truth
from saliscope.show import (
    character_grid,
    image_map,
    line_characters,
    line_matrix,
    mistakes,
    overlay,
    save_figure,
)
from saliscope.xai import AttentionVisualizer

LINES = Path(str(resources.files("saliscope"))) / "samples" / "lines"


class Sheet:
    """A folder of pictures, and what is to be seen in each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, shown: Figure | np.ndarray, seen: str) -> None:
        """Save a figure, or an array enlarged, and note what is to be seen."""
        path = self.folder / f"{name}.png"
        if isinstance(shown, Figure):
            save_figure(shown, path, dpi=130)
        else:
            image = Image.fromarray(shown)
            size = 3 * image.width, 3 * image.height
            image.resize(size, Image.Resampling.LANCZOS).save(path)
        self.rows.append(
            f"<figure><figcaption><b>{name}</b> {html.escape(seen)}</figcaption>"
            f'<img src="{path.name}" alt="{html.escape(seen)}"></figure>'
        )
        print(path)

    def link(self, name: str, page: str, seen: str) -> None:
        """Save a page, and link to it."""
        path = self.folder / f"{name}.html"
        path.write_text(page, encoding="utf-8")
        self.rows.append(f'<p><a href="{path.name}">{path.name}</a> {html.escape(seen)}</p>')
        print(path)

    def write(self) -> None:
        """Write the page."""
        style = "body{font:16px sans-serif;max-width:1250px;margin:2rem auto}img{max-width:100%}"
        (self.folder / "index.html").write_text(
            f"<!DOCTYPE html><meta charset='utf-8'><title>Contact sheet</title><style>{style}"
            f"</style><h1>Lines of text: every picture</h1>{''.join(self.rows)}",
            encoding="utf-8",
        )
        print(self.folder / "index.html")


def joined() -> np.ndarray:
    """Return the three lines as one long one."""
    parts = [np.asarray(Image.open(file).convert("L")) for file in sorted(LINES.glob("*.jpg"))]
    gap = np.full((parts[0].shape[0], 24), 252, dtype=np.uint8)
    return np.hstack([piece for part in parts for piece in (part, gap)])


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/contact-sheet"))
    sheet = Sheet(parser.parse_args().out)
    model = saliscope.load("zoo:handwriting")
    decoder = model.with_head("decoder")
    files = sorted(LINES.glob("*.jpg"))
    truth = dict(zip(files, read_truth(LINES / "lines.tsv").of(files), strict=True))
    line = LINES / "roman.jpg"

    whole = saliscope.explain(model, line, "integrated_gradients", steps=16)
    sheet.add("map", image_map(whole), "which strokes carry the whole string; the line above it")
    sheet.add("overlay", overlay(whole), "the same as an array, no frame")
    cam = saliscope.explain(model, line, "layer_cam")
    sheet.add("overlay-even", image_map(cam, view="overlay", alpha=0.55),
              "no sign: one perceptually uniform scale, the ink still readable")  # fmt: skip
    sheet.add("overlay-jet", image_map(cam, view="overlay", alpha=0.55, colormap="jet"),
              "the same in jet, as asked for")  # fmt: skip

    compared = []
    for file, text in truth.items():
        found, maps = explain_mistakes(model, file, text)
        compared.append((found, maps))
        if maps is not None:
            sheet.add(f"mistakes-{file.stem}", mistakes(maps),
                      "what was read for what, and which columns speak for which")  # fmt: skip
    sheet.link("gallery", gallery(compared), "the gallery of confusions")

    each = explain_characters(model, line, truth[line])
    sheet.add("characters", line_characters(each),
              "over each letter the curve of its map; mistakes boxed")  # fmt: skip
    sheet.add("grid", character_grid(each),
              "letter, confidence, map, one scale; mistakes in red, and the truth")  # fmt: skip
    cross = saliscope.attention(decoder, line, reduce="mean")
    sheet.add("matrix", line_matrix(each, beside=cross),
              "two diagonals: both heads go along the line")  # fmt: skip
    sheet.add("grid-attention", character_grid(cross), "where the decoder looked for each letter")
    jet = AttentionVisualizer.overlay_attention(line, model.get_attention(line), 0.6, 2)
    sheet.add("overlay-attention", jet[..., ::-1], "attention of the whole line in jet")
    sheet.link("report", saliscope.show.html([m for _, m in compared if m] + [each, cross]),
               "the report, its strips to be stepped through by keyboard")  # fmt: skip

    long = saliscope.Input("three lines in one", joined())
    text = " ".join(truth[file] for file in files)
    each = explain_characters(model, long, text, method="layer_cam")
    sheet.add("characters-long", line_characters(each), "a long line, cut between letters")
    sheet.add("grid-long", character_grid(each), "its grid: small, and still readable")
    sheet.add("matrix-long", line_matrix(each), "its matrix: rows can be told apart")
    sheet.write()


if __name__ == "__main__":
    main()
