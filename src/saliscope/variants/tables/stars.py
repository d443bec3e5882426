"""Star alleles: what a catalog calls the haplotypes of a gene, and what function it gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from saliscope.core.errors import InputError, nearest
from saliscope.core.textfile import Path_
from saliscope.variants.coding.edit import Allele, Edit
from saliscope.variants.coding.haplotype import haplotype
from saliscope.variants.coding.hgvs import coding_name
from saliscope.variants.coding.naming import parse_coding
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.tables.rows import Rows, blank, read_rows

__all__ = ["StarAllele", "StarTable", "read_stars"]


@dataclass(frozen=True)
class StarAllele:
    """A haplotype of a catalog.

    Parameters
    ----------
    name, function : str
        As the catalog has them; "not given" for no function.
    variants : frozenset of str
        HGVS names on the coding sequence of the variants that define it.
    """

    name: str
    function: str
    variants: frozenset[str]


@dataclass(frozen=True, eq=False)
class StarTable:
    """The star alleles of one gene; made by `read_stars`.

    Parameters
    ----------
    file : str
    transcript : Transcript
    alleles : tuple of StarAllele
        Those that the coding sequence tells.
    untold : tuple of str
        Those that are also, or only, defined by something else: splicing, promoter, copy number.
    """

    file: str
    transcript: Transcript
    alleles: tuple[StarAllele, ...]
    untold: tuple[str, ...]

    def name(self, edits: Iterable[Edit]) -> tuple[str, str]:
        """Return the name of a haplotype and its catalogued function.

        A haplotype has a name if an allele of the catalog makes the same protein out of variants
        that the haplotype has; of several it is the one with the most variants. Else those that it
        has in it are named, and their functions are said to be of each alone.

        Examples
        --------
        >>> t = Transcript("T.1", "T", "ATGAAACGTTAA")
        >>> one = StarAllele("*2", "No Function", frozenset({"c.5A>G"}))
        >>> table = StarTable("a.csv", t, (StarAllele("*1", "Normal", frozenset()), one), ())
        >>> table.name([Edit(4, 5, "G")]), table.name([])
        (('*2', 'No Function'), ('*1', 'Normal'))
        >>> table.name([Edit(4, 5, "G"), Edit(7, 8, "A")])
        ('*2 with more, not catalogued as a whole', 'No Function for *2 alone')
        >>> table.name([Edit(7, 8, "A")])
        ('not in the catalog', 'not given')
        """
        changes = haplotype(self.transcript, edits).changes
        names = [{coding_name(self.transcript, e) for e in c.edits} for c in changes]
        carried = set().union(*names)
        acting = set().union(
            *(n for n, c in zip(names, changes, strict=True) if c.kind != "synonymous")
        )
        inside = [allele for allele in self.alleles if allele.variants <= carried]
        whole = [allele for allele in inside if acting <= allele.variants]
        if whole:
            most = max(len(allele.variants) for allele in whole)
            best = [allele for allele in whole if len(allele.variants) == most]
            functions = dict.fromkeys(allele.function for allele in best)
            return " or ".join(allele.name for allele in best), " or ".join(functions)
        parts = [
            one for one in inside
            if one.variants & acting
            and not any(one.variants & acting < other.variants & acting for other in inside)
        ]  # fmt: skip
        if not parts:
            return "not in the catalog", "not given"
        together = " and ".join(allele.name for allele in parts)
        more = "together" if len(parts) > 1 else "with more"
        each = ", ".join(f"{allele.function} for {allele.name} alone" for allele in parts)
        return f"{together} {more}, not catalogued as a whole", each

    @property
    def note(self) -> str:
        """What a reader must know of the names."""
        text = f"star alleles from {self.file}, told by the coding sequence alone"
        if self.untold:
            text += f"; not told, as they are defined outside of it: {', '.join(self.untold)}"
        return text


def read_stars(path: Path_, transcript: Transcript) -> StarTable:
    r"""Read the star alleles of a transcript's gene.

    Two kinds of table are known, by their columns (in any order and case):

    ``Gene``, ``StarAllele``, ``Function``, ``GRCh37Core`` or ``GRCh38Core``
        An allele table of PyPGx: variants as ``6-18130918-T-C``, with commas; also read are
        ``ActivityScore`` and ``SV`` (an allele that is a structural variant is not told).
    ``allele``, ``function``, ``coding``
        A plain table: variants as HGVS, ``c.[460G>A;719A>G]``; ``c.=`` for the reference. A column
        ``gene`` selects rows.

    Parameters
    ----------
    path : path
        CSV or TSV.
    transcript : Transcript

    Raises
    ------
    InputError
        One line: a column is missing; the gene is not in the table; with its row, a variant that
        cannot be read, or whose reference base is not the transcript's.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.csv"
    ...     _ = file.write_text("allele,function,coding\n*1,Normal,c.=\n*2,Low,c.5A>G\n")
    ...     table = read_stars(file, Transcript("T.1", "T", "ATGAAACGTTAA"))
    >>> table.name([Edit(4, 5, "G")])
    ('*2', 'Low')
    """
    table = read_rows(path)
    plain = table.find("coding") is not None
    gene = table.find("Gene")
    if not plain and gene is None:
        table.need("Gene", "coding")
    name = table.need("StarAllele", "allele", "name")
    function = table.need("Function")
    if plain:
        core = table.need("coding")
    elif transcript.build is None or transcript.chrom is None:
        msg = (
            f"{path}: names variants by position, and {transcript.name} has no place on a genome; "
            "give the gene as GFF3 or GTF"
        )
        raise InputError(msg)
    else:
        core = table.need(f"{transcript.build}Core")
    places = name, function, core, gene, table.find("ActivityScore"), table.find("SV")
    alleles: list[StarAllele] = []
    untold: list[str] = []
    genes = set()
    for line, (star, does, variants, of, score, structural) in table.cells(*places):
        genes.add(of)
        if gene is not None and of.casefold() != transcript.gene.casefold():
            continue
        found = _variants(table, line, variants, transcript, plain=plain)
        if found is None or structural.casefold() == "true":
            untold.append(star)
            continue
        told = "not given" if blank(does) else does
        if not blank(score):
            told = f"{told}, activity score {score}"
        alleles.append(StarAllele(star, told, found))
    if not alleles and not untold:
        msg = (
            f"{path}: has no row of the gene {transcript.gene!r}; {nearest(transcript.gene, genes)}"
        )
        raise InputError(msg)
    return StarTable(table.name, transcript, tuple(alleles), tuple(untold))


def _variants(
    table: Rows, line: int, text: str, transcript: Transcript, *, plain: bool
) -> frozenset[str] | None:
    """Return the variants that define an allele; None where one is not in the coding sequence."""
    if blank(text):
        return frozenset()
    try:
        if plain:
            edits: list[Edit | None] = [*_one_haplotype(text, transcript)]
        else:
            edits = [_edit(part.strip(), transcript) for part in text.split(",")]
        if None in edits:
            return None
        normal = haplotype(transcript, [e for e in edits if e is not None]).edits
    except InputError as error:
        msg = f"{table.path}, row {line}: {error}"
        raise InputError(msg) from error
    return frozenset(coding_name(transcript, edit) for edit in normal)


def _one_haplotype(text: str, transcript: Transcript) -> tuple[Edit, ...]:
    haplotypes = parse_coding(text, transcript).haplotypes
    if len(haplotypes) != 1:
        msg = f"{text}: is not one haplotype; write it as c.[...;...]"
        raise InputError(msg)
    return haplotypes[0]


def _edit(text: str, transcript: Transcript) -> Edit | None:
    """Return what a variant such as "6-18130918-T-C" does to the coding sequence."""
    parts = re.fullmatch(r"(?:chr)?(\w+)-(\d+)-([ACGT]+)-([ACGT]+)", text, re.IGNORECASE)
    if parts is None:
        msg = f"variant {text!r} is not written as chromosome-position-REF-ALT"
        raise InputError(msg)
    allele = Allele.of(parts[1], int(parts[2]), parts[3], parts[4])
    inside = [transcript.to_cds(allele.position + i) for i in range(len(allele.ref))]
    if None in inside:  # splicing has a part in what it does
        return None
    return transcript.edit(allele)
