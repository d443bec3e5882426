"""What each data set is, where it comes from, and what may be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

import pandas as pd

from saliscope.core.errors import OptionError, nearest

__all__ = ["About", "Sample", "about", "available", "labeled", "sample_file"]

T = TypeVar("T")


@dataclass(frozen=True)
class About:
    """A data set in a few words.

    Parameters
    ----------
    name : str
        Of the function of `saliscope.datasets` that returns it.
    what : str
    license, source : str
    ships : bool
        Whether it comes with the package; else the user's own copy is read.
    """

    name: str
    what: str
    license: str
    source: str
    ships: bool


_OWN = "no license is stated; use your own copy, and do not pass it on"

_ALL = {
    each.name: each
    for each in (
        About(
            "reviews", "three reviews of restaurants and a film, one sentence each", "CC BY 4.0",
            "UCI Sentiment Labelled Sentences (Kotzias et al. 2015, KDD)", ships=True,
        ),
        About(
            "sentences", "2,969 sentences of reviews, positive or negative", "CC BY 4.0",
            "UCI Sentiment Labelled Sentences (Kotzias et al. 2015, KDD); repeats left out",
            ships=True,
        ),
        About(
            "identity_phrases", "short phrases in which identity terms are swapped", "Apache-2.0",
            "Jigsaw unintended-bias templates (Dixon et al. 2018, AIES), "
            "github.com/conversationai/unintended-ml-bias-analysis; slurs left out",
            ships=True,
        ),
        About(
            "german_credit", "1,000 loans of a bank in southern Germany, 1973 to 1975", "CC BY 4.0",
            "UCI Statlog German Credit (Hofmann 1994); meanings of codes from Groemping 2019, "
            "South German Credit",
            ships=True,
        ),
        About(
            "clothes", "200 gray pictures of clothes, twenty of each of ten classes", "MIT",
            "Xiao, Rasul and Vollgraf 2017, github.com/zalandoresearch/fashion-mnist", ships=True,
        ),
        About(
            "lines", "three lines of French handwriting with what is written", "CC BY 4.0",
            "Copiste d'un jour, Bibliothèque et Archives nationales du Québec, "
            "github.com/banq-dcn/Copiste-d-un-jour",
            ships=True,
        ),
        About(
            "proteins", "human TPMT and beta-globin", "public domain",
            "NCBI RefSeq NM_000367.5 (translated) and NP_000509.1", ships=True,
        ),
        About(
            "labeled_proteins",
            "96 proteins with secondary structure, conservation or binding residues", "AFL-3.0",
            "FLIP (Dallago et al. 2021, NeurIPS Datasets and Benchmarks)", ships=True,
        ),
        About(
            "tp53", "variants, structure, sites and measured scores of human p53",
            "public domain, CC0 and CC BY 4.0, by file",
            "ClinVar; PDB 1TSR; UniProt P04637; MaveDB (Giacomelli et al. 2018)", ships=True,
        ),
        About(
            "tpmt", "the gene TPMT and its coding variants in 2,504 people", "open",
            "NCBI RefSeq NM_000367.5; 1000 Genomes Project phase 3", ships=True,
        ),
        About(
            "adult", "32,561 (or 16,281) people of the US census of 1994, income above $50K or not",
            "CC BY 4.0", "UCI Adult (Becker and Kohavi 1996)", ships=False,
        ),
        About(
            "compas", "7,214 defendants in Broward County, Florida, with COMPAS scores", _OWN,
            "ProPublica, github.com/propublica/compas-analysis (Angwin et al. 2016)", ships=False,
        ),
        About(
            "ricci", "118 firefighters in the exam of Ricci v. DeStefano", _OWN,
            "557 U.S. 557 (2009); data in Miao 2010, Journal of Statistics Education 18(3)",
            ships=False,
        ),
        About(
            "fashion_mnist", "70,000 gray pictures of clothes, 28 x 28, ten classes", "MIT",
            "Xiao, Rasul and Vollgraf 2017, github.com/zalandoresearch/fashion-mnist", ships=False,
        ),
        About(
            "hatecheck", "3,728 test cases for detectors of hate speech", "CC BY 4.0",
            "HateCheck (Roettger et al. 2021, ACL), github.com/paul-rottger/hatecheck-data",
            ships=False,
        ),
        About(
            "winobias", "sentences about pairs of occupations, once per gender of a pronoun", "MIT",
            "WinoBias (Zhao et al. 2018, NAACL), github.com/uclanlp/corefBias", ships=False,
        ),
    )
}  # fmt: skip


class Sample(list[T]):
    """A list that knows what it holds: `about`.

    Examples
    --------
    >>> from saliscope import datasets
    >>> datasets.reviews().about.license
    'CC BY 4.0'
    """

    def __init__(self, items: Iterable[T], about: About) -> None:
        super().__init__(items)
        self.about = about


def about(name: str) -> About:
    """Return what a data set is, with license and source.

    Raises
    ------
    OptionError
        There is none of that name.

    Examples
    --------
    >>> about("german_credit").license
    'CC BY 4.0'
    """
    if name not in _ALL:
        msg = f"there is no data set {name!r}: {nearest(name, _ALL)}"
        raise OptionError(msg)
    return _ALL[name]


def available() -> pd.DataFrame:
    """Return a row per data set: name, what, license, source, and whether it ships.

    Examples
    --------
    >>> table = available()
    >>> table.loc[~table["ships"], "name"].tolist()
    ['adult', 'compas', 'ricci', 'fashion_mnist', 'hatecheck', 'winobias']
    """
    return pd.DataFrame([asdict(each) for each in _ALL.values()])


def labeled(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table with name, license and source in its `attrs`."""
    card = _ALL[name]
    frame.attrs = {"name": card.name, "license": card.license, "source": card.source}
    return frame


def sample_file(name: str) -> Path:
    """Return a file of the package's samples."""
    return Path(str(resources.files("saliscope"))) / "samples" / name
