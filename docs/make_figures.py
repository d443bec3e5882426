"""Draw the pictures of the README and the documentation with the models of the package.

``python docs/make_figures.py`` writes the pictures of ``docs/_static``.
The same models give the same files.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import saliscope
from saliscope.show import save_figure

HERE = Path(__file__).resolve().parent / "_static"
SENTENCE = "The plot is dull, but the acting is superb."


def protein() -> Path:
    """Draw the map of a substitution in human beta-globin."""
    samples = resources.files("saliscope") / "samples" / "proteins.fasta"
    with resources.as_file(samples) as path:
        globin = next(r for r in saliscope.read_fasta(path) if r.name == "HBB")
    found = saliscope.explain("zoo:protein", globin, target="E7V")
    figure = found.plot(title="HBB, log P(V7) − log P(E7), by zoo:protein")
    return save_figure(figure, HERE / "protein.svg")


def text() -> Path:
    """Draw what a sentence loses without each word."""
    found = saliscope.explain(
        "zoo:sentiment", SENTENCE, method="masking", target=("positive", "negative")
    )
    figure = found.plot(title="Why positive and not negative, by zoo:sentiment")
    return save_figure(figure, HERE / "text.svg")


def reading() -> Path:
    """Draw the map that the page on reading maps goes through, word by word."""
    found = saliscope.explain("zoo:sentiment", SENTENCE, target=("positive", "negative"))
    figure = found.group("word").plot(
        kind="word_bars", title="Why positive and not negative, by zoo:sentiment"
    )
    return save_figure(figure, HERE / "reading.svg")


def handwriting() -> list[Path]:
    """Draw the mistakes in a line of handwriting, and the map of each of its characters."""
    from saliscope.reading import explain_characters, explain_mistakes, read_truth

    lines = Path(str(resources.files("saliscope"))) / "samples" / "lines"
    line, model = lines / "roman.jpg", saliscope.load("zoo:handwriting")
    (truth,) = read_truth(lines / "lines.tsv").of([line])
    _, maps = explain_mistakes(model, line, truth)
    assert maps is not None
    title = "\u201cTomau\u201d for \u201croman\u201d: why, by zoo:handwriting"
    each = explain_characters(model, line, truth)
    return [
        save_figure(maps.plot(title=title), HERE / "line.svg"),
        save_figure(each.plot(title="Each character, by zoo:handwriting"), HERE / "characters.svg"),
    ]


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for made in (protein(), text(), reading(), *handwriting()):
        print(made.relative_to(HERE.parent.parent))
