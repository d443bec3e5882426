"""Make the samples of the package that are derived from larger files.

    python scripts/samples.py --data DATA

DATA is a folder with `text/uci_sentiment`, `text/bias`, `tabular` and `images/fashion_mnist`. Files
are written into `src/saliscope/samples`; equal data gives equal bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from saliscope.datasets.credit import german_credit
from saliscope.datasets.pictures import fashion_mnist

SAMPLES = Path(__file__).parents[1] / "src" / "saliscope" / "samples"
UNSEEN, COLUMNS = 8000, 20  # `zoo/train_marked.py` learns from the pictures before
SOURCES = {"amazon": "amazon_cells", "imdb": "imdb", "yelp": "yelp"}


def table(header: list[str], rows: list[list[str]]) -> bytes:
    """Return rows as CSV."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue().encode()


def sentences(folder: Path) -> bytes:
    """Return the UCI sentences, those equal in letters and digits once, in their order."""
    seen: set[str] = set()
    rows = []
    for source, name in SOURCES.items():
        text = (folder / f"{name}_labelled.txt").read_text("utf-8")
        for line in text.split("\n"):  # some sentences hold other marks of a line's end
            sentence, _, label = line.rpartition("\t")
            sentence = " ".join(sentence.split())
            key = re.sub(r"[^a-z0-9]", "", sentence.lower())
            if key and key not in seen:
                seen.add(key)
                rows.append([source, label.strip(), sentence])
    return table(["source", "positive", "text"], rows)


def words(path: Path) -> bytes:
    """Return Jigsaw's list of words without slurs, for which no template asks."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return table(header, [row for row in rows if (row[0], row[2]) != ("identity", "toxic")])


def clothes(folder: Path) -> bytes:
    """Return a sheet: a row of twenty pictures per class, of those that no zoo model has seen."""
    given = fashion_mnist(folder)
    rows = []
    for which in range(len(given.names)):
        own = UNSEEN + np.flatnonzero(given.labels[UNSEEN:] == which)[:COLUMNS]
        rows.append(np.concatenate(list(given.images[own]), axis=1))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Write the files and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    loans = german_credit(data / "tabular" / "german_credit_named_columns.csv", codes=True)
    bias = data / "text" / "bias"
    made = {
        "sentences.csv.gz": gzip.compress(sentences(data / "text" / "uci_sentiment"), mtime=0),
        "german_credit.csv.gz": gzip.compress(loans.to_csv(index=False).encode(), mtime=0),
        "jigsaw_templates.csv": (bias / "jigsaw_sentence_templates.csv").read_bytes(),
        "jigsaw_words.csv": words(bias / "jigsaw_identity_words.csv"),
        "clothes.png": clothes(data / "images" / "fashion_mnist"),
    }
    for name, content in made.items():
        (SAMPLES / name).write_bytes(content)
        print(f"{name:<22} {len(content):>7,} bytes")


if __name__ == "__main__":
    main()
