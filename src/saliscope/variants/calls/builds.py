"""On which genome build the positions of a VCF are: by its contigs, its header, the user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.variants.coding.builds import accession_build, build_name, chromosome

__all__ = ["LENGTHS", "agreed_build", "declared_build"]

_NAMES = (*(str(number) for number in range(1, 23)), "X", "Y")

# Lengths of the assembled chromosomes: Genome Reference Consortium, GCF_000001405.13 and .26.
LENGTHS: Mapping[str, Mapping[str, int]] = {
    "GRCh37": dict(zip(_NAMES, (
        249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022,
        141213431, 135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753,
        81195210, 78077248, 59128983, 63025520, 48129895, 51304566, 155270560, 59373566,
    ), strict=True)),
    "GRCh38": dict(zip(_NAMES, (
        248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636,
        138394717, 133797422, 135086622, 133275309, 114364328, 107043718, 101991189, 90338345,
        83257441, 80373285, 58617616, 64444167, 46709983, 50818468, 156040895, 57227415,
    ), strict=True)),
}  # fmt: skip


def declared_build(
    contigs: Mapping[str, int | None], lines: Iterable[str] = ()
) -> tuple[str, str] | None:
    """Return the build that a header declares, and where it says so.

    Parameters
    ----------
    contigs : mapping of str to int
        Lengths by name, as far as given.
    lines : iterable of str
        Further header lines: "##reference=...", "##contig=<...,assembly=...>".

    Examples
    --------
    >>> declared_build({"chr6": 170805979})
    ('GRCh38', 'contig lengths')
    >>> declared_build({}, ["##reference=file:///human_g1k_v37.fasta"])
    ('GRCh37', '##reference')
    """
    votes = {
        build
        for build, lengths in LENGTHS.items()
        if any(length == lengths.get(chromosome(name), 0) for name, length in contigs.items())
    }
    if len(votes) == 1:
        return votes.pop(), "contig lengths"
    named = {build for name in contigs if (build := accession_build(name))}
    if len(named) == 1:
        return named.pop(), "contig names"
    for line in lines:
        kind, _, text = line.partition("=")
        if kind == "##contig":
            text = "".join(re.findall(r"assembly=([^,>]*)", text))
        elif kind not in {"##reference", "##assembly"}:
            continue
        build = build_name(text)
        if build:
            return build, kind
    return None


def agreed_build(
    file: str, placed: str | None, given: str | None, declared: tuple[str, str] | None, name: str
) -> tuple[str | None, str]:
    """Return the build that all sources agree on, and which of them says so.

    Parameters
    ----------
    file : str
        For messages.
    placed : str, optional
        Build of the transcript's positions.
    given : str, optional
        What the user says.
    declared : tuple of (str, str), optional
        What the header says; see `declared_build`.
    name : str
        Of the transcript.

    Returns
    -------
    build : str or None
        None where neither user nor header says.
    source : str

    Raises
    ------
    InputError
        They disagree.
    OptionError
        The given build is not known.
    """
    if given is not None:
        known = build_name(given) or given
        if known not in {*LENGTHS, placed}:
            msg = f"build {given!r} is not known; {nearest(given, [*LENGTHS])}"
            raise OptionError(msg)
        given = known
    if declared and given and declared[0] != given:
        msg = f"{file}: is on {declared[0]} by its {declared[1]}, but the build given is {given}"
        raise InputError(msg)
    build, source = declared or (given, "given" if given else "")
    if build and placed and build != placed:
        how = "as given" if source == "given" else f"by its {source}"
        msg = (
            f"{file}: is on {build} {how}, and {name} is placed on {placed}; "
            f"give the transcript's positions on {build}"
        )
        raise InputError(msg)
    return build, source
