"""Small samples that come with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saliscope.api.inputs import Input, read_fasta
from saliscope.core.textfile import lines as lines_of
from saliscope.datasets.cards import Sample, about, labeled, sample_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from saliscope.bottleneck.tasks import Labelled
    from saliscope.study.given import Given

__all__ = [
    "Line", "labeled_proteins", "lines", "proteins", "reviews", "sentences", "tp53", "tpmt",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Line:
    """A line of handwriting.

    Parameters
    ----------
    name : str
    image : PIL.Image.Image
        Gray, 48 pixels high.
    text : str
        What is written.
    writer : str
    """

    name: str
    image: Image = field(repr=False)
    text: str
    writer: str


def reviews() -> Sample[str]:
    """Return three reviews, a sentence each.

    Examples
    --------
    >>> reviews()[0]
    'This place is not worth your time, let alone Vegas.'
    """
    return Sample(
        (text for _, text in lines_of(sample_file("reviews.txt")) if text), about("reviews")
    )


def sentences() -> pd.DataFrame:
    """Return 2,969 sentences of reviews: enough to train a small classifier of sentiment.

    Sentences equal in letters and digits are there once, so that none can be in a training part
    and in a test part too.

    Returns
    -------
    pandas.DataFrame
        `text`, `positive` (1 or 0), and `source`: "amazon" (products), "imdb" (films) or "yelp"
        (restaurants).

    Examples
    --------
    >>> table = sentences()
    >>> table["source"].value_counts(sort=False).to_dict()
    {'amazon': 981, 'imdb': 994, 'yelp': 994}
    >>> table.loc[table["text"].str.startswith("Wow... Loved"), "positive"].tolist()
    [1]
    """
    frame = pd.read_csv(
        sample_file("sentences.csv.gz"), keep_default_na=False, dtype={"text": str}
    )  # fmt: skip
    return labeled(frame[["text", "positive", "source"]], "sentences")


def proteins() -> Sample[Input]:
    """Return two human proteins, TPMT and HBB, as `Input` (name and letters).

    Examples
    --------
    >>> [(p.name, len(p.raw)) for p in proteins()]
    [('TPMT', 245), ('HBB', 147)]
    """
    return Sample(read_fasta(sample_file("proteins.fasta")), about("proteins"))


def lines() -> Sample[Line]:
    """Return three lines of handwriting that `zoo:handwriting` was not trained on.

    Examples
    --------
    >>> [line.text for line in lines()][2], lines()[0].image.height
    ('roman historique.', 48)
    """
    from PIL import Image

    folder = sample_file("lines")
    table = pd.read_csv(folder / "lines.tsv", sep="\t")
    found = []
    for row in table.itertuples():
        with Image.open(folder / str(row.file)) as opened:
            image = opened.copy()
        found.append(Line(Path(str(row.file)).stem, image, str(row.text), str(row.writer)))
    return Sample(found, about("lines"))


def labeled_proteins(most: int | None = None) -> Labelled:
    """Return 96 proteins with labels; see `saliscope.bottleneck`.

    Examples
    --------
    >>> [task.name for task in labeled_proteins(8).tasks]
    ['secondary structure', 'conservation', 'binding']
    """
    from saliscope.bottleneck.tasks import sample

    return sample(most)


def tp53() -> Given:
    """Return everything about human p53 that the study of attention needs.

    Examples
    --------
    >>> tp53().name
    'TP53'
    """
    from saliscope.study.given import tp53 as given

    return given()


def tpmt() -> Mapping[str, Path]:
    """Return files of the gene TPMT: `gff`, `cds`, `panel` (1000 Genomes, GRCh37) and `samples`.

    Examples
    --------
    >>> sorted(tpmt())
    ['cds', 'gff', 'panel', 'samples']
    """
    folder = sample_file("tpmt")
    return {
        "gff": folder / "TPMT.GRCh37.gff3", "cds": folder / "TPMT.cds.fa",
        "panel": folder / "panel.vcf.gz", "samples": folder / "samples.tsv.gz",
    }  # fmt: skip
