"""Missense variants from ClinVar's tables, also from those that name no protein change."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from saliscope.core.errors import InputError, nearest
from saliscope.core.textfile import Path_
from saliscope.variants.coding.codons import ONE_LETTER, code
from saliscope.variants.tables.rows import Rows, blank, read_rows

__all__ = [
    "STARS", "ClinVarTable", "Missense", "read_clinvar", "rebuild_codons", "stars_of",
]  # fmt: skip

STARS: Mapping[str, int] = {
    "practice guideline": 4,
    "reviewed by expert panel": 3,
    "criteria provided, multiple submitters, no conflicts": 2,
    "criteria provided, conflicting classifications": 1,
    "criteria provided, conflicting interpretations": 1,
    "criteria provided, single submitter": 1,
    "no assertion criteria provided": 0,
    "no classification provided": 0,
    "no assertion provided": 0,
    "no classification for the single variant": 0,
    "no classifications from unflagged records": 0,
    "no assertion for the individual variant": 0,
    "no interpretation for the single variant": 0,
}
"""Review status, and the stars that ClinVar shows for it."""

_CODING = re.compile(r"(?:([\w.]+)(?:\((\w+)\))?:)?c\.(\d+)([ACGT])>([ACGT])(?![\w])")
_PROTEIN = re.compile(r"p\.\(?([A-Z][a-z]{2})(\d+)([A-Z][a-z]{2})\b")
_PAIR = {"A": "T", "C": "G", "G": "C", "T": "A"}


@dataclass(frozen=True)
class Missense:
    """One change of a residue.

    Parameters
    ----------
    position : int
        Residue, from 1.
    ref, alt : str
        One letter each.
    coding : str
        "c.524G>A".
    significance : str
        As the file has it.
    stars : int, optional
        None where the file has no review status.
    row : int
        Of the file.
    """

    position: int
    ref: str
    alt: str
    coding: str
    significance: str
    stars: int | None
    row: int

    @property
    def name(self) -> str:
        """The change in one letter: "R175H"."""
        return f"{self.ref}{self.position}{self.alt}"


@dataclass(frozen=True, eq=False)
class ClinVarTable:
    """Missense variants of one gene; made by `read_clinvar`.

    Parameters
    ----------
    path : str
    variants : tuple of Missense
    with_stars : bool
        Whether the file has the review status.
    notes : tuple of str
        How changes were read, and what was left out, with numbers.
    """

    path: str
    variants: tuple[Missense, ...] = field(repr=False)
    with_stars: bool
    notes: tuple[str, ...]


def read_clinvar(path: Path_, protein: str, *, gene: str = "") -> ClinVarTable:
    r"""Read the missense variants of a protein from a table of ClinVar.

    Known are ClinVar's own exports (``Name`` or ``title`` with "c." and "p.") and tables that have
    only ``hgvs_c``. In these the codons are rebuilt from the letters that the names of all rows
    give, and the protein decides where letters are missing. The columns of significance and
    review status have the names of the web export, of ``variant_summary.txt``, or
    ``clinical_significance`` and ``review_status``. A variant that stands there for several
    assemblies counts once. For ClinVar's VCF see `saliscope.study.read_clinvar_vcf`.

    Parameters
    ----------
    path : path
        CSV or TSV, plain or gzip.
    protein : str
        Residue letters of the transcript's protein.
    gene : str
        Of a table with a column of genes only the rows of this one are read; all where it is empty.

    Raises
    ------
    InputError
        One line: a column is missing, or most variants do not fit the protein.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> rows = "hgvs_c,clinical_significance\nc.4A>G,Benign\nc.5A>C,Benign\nc.6A>G,Benign\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.csv"
    ...     _ = file.write_text(rows)
    ...     [v.name for v in read_clinvar(file, "MK").variants]
    ['K2E', 'K2T']
    """
    table = _of_gene(read_rows(path), gene)
    significance = table.need(
        "clinical_significance", "Germline classification", "ClinicalSignificance",
        "Clinical significance (Last reviewed)", "CLNSIG",
    )  # fmt: skip
    review = table.find(
        "review_status", "Germline review status", "ReviewStatus", "Review status", "CLNREVSTAT"
    )
    name = table.find("title", "Name", "hgvs", "variation_name")
    letters = protein.upper()
    if name is not None and any(_PROTEIN.search(cells[0]) for _, cells in table.cells(name)):
        found, notes = _named(table, name, significance, review, letters)
    else:
        coding = table.need("hgvs_c", "coding", "hgvs_nt", "title", "Name")
        found, notes = _rebuilt(table, coding, significance, review, letters)
    if not found:
        msg = f"{path}: holds no missense variant of this protein of {len(letters):,} residues"
        raise InputError(msg)
    once = {(v.name, v.coding, v.significance, v.stars): v for v in reversed(found)}
    if len(once) < len(found):
        notes.append(f"{len(found) - len(once):,} rows repeat another, as for a second assembly")
        found = list(reversed(once.values()))
    if review is None:
        notes.append("stars: not in this export")
    return ClinVarTable(str(path), tuple(found), review is not None, tuple(notes))


def _of_gene(table: Rows, gene: str) -> Rows:
    """Return the rows of a gene, where the table says of which gene they are."""
    column = table.find("GeneSymbol", "Gene(s)", "gene_symbol", "gene")
    if column is None or not gene:
        return table
    wanted = gene.casefold()
    rows = [r for r in table.rows if wanted in re.split(r"[|;,]", r[1][column].casefold())]
    if not rows:
        known = {r[1][column] for r in table.rows[:10_000]}
        msg = f"{table.path}: has no row of the gene {gene!r}; {nearest(gene, known)}"
        raise InputError(msg)
    return replace(table, rows=rows)


def stars_of(where: str, status: str) -> int | None:
    """Return the stars of a review status, None where there is none.

    Parameters
    ----------
    where : str
        File and row, for messages.
    status : str

    Raises
    ------
    InputError
        It is none of ClinVar's.

    Examples
    --------
    >>> stars_of("a.vcf, row 3", "criteria_provided,_multiple_submitters,_no_conflicts")
    2
    """
    plain = status.replace("_", " ").casefold().strip()
    if blank(plain) or plain == "-":
        return None
    if plain not in STARS:
        msg = f"{where}: review status {status!r} is none of ClinVar's; correct it"
        raise InputError(msg)
    return STARS[plain]


def _named(
    table: Rows, name: int, significance: int, review: int | None, protein: str
) -> tuple[list[Missense], list[str]]:
    found, wrong, first = [], 0, ""
    for line, (title, told, status) in table.cells(name, significance, review):
        change, coding = _PROTEIN.search(title), _CODING.search(title)
        if change is None or change[1] not in ONE_LETTER or change[3] not in ONE_LETTER:
            continue
        ref, at, alt = ONE_LETTER[change[1]], int(change[2]), ONE_LETTER[change[3]]
        if "*" in {ref, alt} or ref == alt:
            continue
        if not (1 <= at <= len(protein) and protein[at - 1] == ref):
            wrong += 1
            first = first or f"row {line}: {ref}{at}{alt}"
            continue
        stars = stars_of(f"{table.path}, row {line}", status)
        letter = f"c.{coding[3]}{coding[4]}>{coding[5]}" if coding else ""
        found.append(Missense(at, ref, alt, letter, told, stars, line))
    if wrong > len(found):
        msg = (
            f"{table.path}, {first} is not in this protein, and so in {wrong:,} of "
            f"{wrong + len(found):,} rows; give the table of this gene"
        )
        raise InputError(msg)
    notes = [f"{len(found):,} missense variants, by their p. names"]
    if wrong:
        notes.append(f"{wrong:,} rows name a residue that the protein does not have; left out")
    return found, notes


_Substitution = tuple[int, int, str, str, str, str, str]
"""Row, c. position, its letter, the new letter, significance, status, genome's letter."""


def _substitutions(
    table: Rows, coding: int, significance: int, review: int | None, length: int
) -> Iterator[_Substitution]:
    places = coding, significance, review, table.find("ref", "reference")
    for line, (title, told, status, genome) in table.cells(*places):
        found = _CODING.search(title)
        if found and 1 <= int(found[3]) <= 3 * (length + 1):
            yield line, int(found[3]), found[4], found[5], told, status, genome.upper()


def _rebuilt(
    table: Rows, coding: int, significance: int, review: int | None, protein: str
) -> tuple[list[Missense], list[str]]:
    rows = list(_substitutions(table, coding, significance, review, len(protein)))
    # A row of another gene may stand on the other strand: its c. letter is not the genome's pair.
    strands = Counter(
        "+" if letter == genome else "-" if _PAIR.get(letter) == genome else ""
        for _, _, letter, *_, genome in rows
    )
    strand = "+" if strands["+"] > strands["-"] else "-"
    other = [r for r in rows if r[6] in _PAIR and (r[2] == r[6]) != (strand == "+")]
    kept = [r for r in rows if r not in other]
    codons, clash = rebuild_codons({(r[1], r[2]): 1 for r in kept}, protein)
    found, unsure, wrong = [], 0, 0
    for line, at, _, new, told, status, _ in kept:
        number = (at - 1) // 3
        if number >= len(protein):
            continue
        residues = {
            code(1)[c[: (at - 1) % 3] + new + c[(at - 1) % 3 + 1 :]] for c in codons[number]
        }
        if number in clash:
            wrong += 1
        elif len(residues) > 1:
            unsure += 1
        elif residues and not residues & {protein[number], "*"}:
            stars = stars_of(f"{table.path}, row {line}", status)
            old = next(letter for _, p, letter, *_ in kept if p == at)
            found.append(
                Missense(number + 1, protein[number], residues.pop(), f"c.{at}{old}>{new}", told,
                         stars, line)
            )  # fmt: skip
    if wrong > len(kept) / 2:
        msg = (
            f"{table.path}: the c. letters of {wrong:,} of {len(kept):,} rows do not code for this "
            "protein; give the protein of the transcript that the names count on"
        )
        raise InputError(msg)
    notes = [
        f"{len(found):,} missense variants; the table has no protein changes, so codons were "
        f"rebuilt from the letters of {len({r[1] for r in kept}):,} c. positions and the protein"
    ]
    if other:
        notes.append(f"{len(other):,} rows on the other strand, of another gene; left out")
    if wrong:
        notes.append(f"{wrong:,} rows whose letters contradict the protein; left out")
    if unsure:
        notes.append(f"{unsure:,} rows whose codon cannot be told from the table; left out")
    return found, notes


def rebuild_codons(
    letters: Mapping[tuple[int, str], int], protein: str
) -> tuple[list[frozenset[str]], frozenset[int]]:
    """Return the codons that each residue can have, given letters at positions of the coding DNA.

    Parameters
    ----------
    letters : mapping of (int, str) to int
        Position, from 1, and its letter; the keys count.
    protein : str

    Returns
    -------
    tuple of (list of frozenset of str, frozenset of int)
        Codons per residue, and the residues, from 0, whose letters contradict each other or the
        protein (these have none).

    Examples
    --------
    >>> codons, clash = rebuild_codons({(1, "A"): 1, (6, "G"): 1}, "MK")
    >>> sorted(codons[0]), sorted(codons[1]), clash
    (['ATG'], ['AAG'], frozenset())
    >>> rebuild_codons({(1, "C"): 1}, "M")[1]
    frozenset({0})
    """
    at: dict[int, set[str]] = defaultdict(set)
    for position, letter in letters:
        at[position].add(letter)
    codons, clash = [], set()
    for number, residue in enumerate(protein):
        known = [at.get(3 * number + k, set()) for k in (1, 2, 3)]
        fit = frozenset(
            "".join(c)
            for c in itertools.product("ACGT", repeat=3)
            if code(1)["".join(c)] == residue
            and all(not k or k == {letter} for k, letter in zip(known, c, strict=True))
        )
        codons.append(fit)
        if not fit:
            clash.add(number)
    return codons, frozenset(clash)
