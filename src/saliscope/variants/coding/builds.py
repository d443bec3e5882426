"""Genome builds and chromosomes by the many names that files give them."""

from __future__ import annotations

import re

from saliscope.core.errors import InputError

__all__ = ["accession_build", "agreed", "build_name", "chromosome"]

_NAMES = (*(str(number) for number in range(1, 23)), "X", "Y")

# Versions of NC_000001 to NC_000024 in GRCh37; GRCh38 has the next one of each (NCBI Assembly,
# GCF_000001405.25 and .26).
_GRCH37 = dict(
    zip(
        _NAMES,
        (10, 11, 11, 11, 9, 11, 13, 10, 11, 10, 9, 11, 10, 8, 9, 9, 10, 9, 9, 10, 8, 10, 10, 9),
        strict=True,
    )
)
_CHM13 = 60924  # NC_060925 is chromosome 1 of T2T-CHM13v2.0

_ALIASES = {
    "GRCh37": re.compile(
        r"grch37|hg19|b37|hs37|g1k_v37|gcf_000001405\.(?:1[3-9]|2[0-5])", re.IGNORECASE
    ),
    "GRCh38": re.compile(r"grch38|hg38|b38|hs38|gcf_000001405\.(?:2[6-9]|[34]\d)", re.IGNORECASE),
    "T2T-CHM13v2.0": re.compile(r"chm13v2|t2t-chm13|\bhs1\b|gcf_009914755", re.IGNORECASE),
}


def chromosome(contig: str) -> str:
    """Return a contig's plain name: without "chr", mitochondria as "MT", accessions resolved.

    Examples
    --------
    >>> [chromosome(name) for name in ("chr6", "6", "chrM", "NC_000023.11", "GL000192.1")]
    ['6', '6', 'MT', 'X', 'GL000192.1']
    """
    if re.fullmatch(r"NC_012920(\.\d+)?", contig):
        return "MT"
    accession = re.fullmatch(r"NC_0*(\d+)(\.\d+)?", contig)
    for first in (0, _CHM13):
        if accession and first < int(accession[1]) <= first + len(_NAMES):
            return _NAMES[int(accession[1]) - first - 1]
    name = contig[3:] if contig[:3].lower() == "chr" else contig
    return "MT" if name in {"M", "MT"} else name


def accession_build(contig: str) -> str | None:
    """Return the build of a human chromosome's accession; None where it does not say.

    Examples
    --------
    >>> accession_build("NC_000006.11"), accession_build("NC_000006.12"), accession_build("chr6")
    ('GRCh37', 'GRCh38', None)
    """
    accession = re.fullmatch(r"NC_0*(\d+)\.(\d+)", contig)
    if not accession:
        return None
    number, version = int(accession[1]), int(accession[2])
    if _CHM13 < number <= _CHM13 + len(_NAMES):
        return "T2T-CHM13v2.0"
    known = _GRCH37.get(chromosome(contig)) if 0 < number <= len(_NAMES) else None
    if known is None or version not in {known, known + 1}:
        return None
    return "GRCh37" if version == known else "GRCh38"


def build_name(text: str) -> str | None:
    """Return the build that a text names in one of its usual ways; None if it names none, or two.

    Examples
    --------
    >>> build_name("GRCh38.p14"), build_name("hg19"), build_name("my genome")
    ('GRCh38', 'GRCh37', None)
    """
    named = [build for build, pattern in _ALIASES.items() if pattern.search(text)]
    return named[0] if len(named) == 1 else None


def agreed(file: str, said: dict[str, str | None], given: str | None) -> str:
    """Return the build that all sources name.

    Parameters
    ----------
    file : str
        For messages.
    said : dict of str to str
        What the file says, by where it says so.
    given : str, optional
        What the user says.

    Raises
    ------
    InputError
        They disagree, or none says anything.
    """
    named = {where: build_name(text) or text for where, text in said.items() if text}
    if given:
        named["build="] = build_name(given) or given
    if not named:
        msg = f"{file}: does not name its genome build; give it, as in build='GRCh38'"
        raise InputError(msg)
    if len(set(named.values())) > 1:
        words = ", ".join(f"{build} by {where}" for where, build in named.items())
        msg = f"{file}: the genome build is {words}; give the file of one build"
        raise InputError(msg)
    return next(iter(named.values()))
