"""Sample tables: who belongs to which group, and who is related to whom."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.textfile import lines

__all__ = ["Match", "Sample", "SampleTable", "read_samples"]

# Column names of the 1000 Genomes panel file, the IGSR table, the 30x pedigree, the pedigree of
# phase 3, somalier and PLINK, without case, spaces, "_" and "#".
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sample": ("sample", "samplename", "sampleid", "individualid", "iid", "name", "id", "person"),
    "group": (
        "group", "superpop", "superpopulation", "superpopulationcode", "ancestry", "superpopcode",
    ),
    "population": ("pop", "population", "populationcode", "popcode"),
    "sex": ("sex", "gender"),
    "father": ("father", "fatherid", "paternalid", "pat", "pid"),
    "mother": ("mother", "motherid", "maternalid", "mat", "mid"),
}  # fmt: skip
_RELATIVES = ("siblings", "secondorder", "thirdorder", "children")
_SEXES = {"1": "male", "2": "female", "m": "male", "f": "female", "xy": "male", "xx": "female"}
_NOBODY = {"", "0", "-9", ".", "na", "none", "nan", "unknown"}


@dataclass(frozen=True)
class Sample:
    """One person of a table.

    Parameters
    ----------
    name : str
    group : str
        Empty where the table has none.
    population : str
    sex : {"male", "female", ""}
    parents : tuple of str
    relatives : frozenset of str
        Others that the table names as relatives.
    """

    name: str
    group: str = ""
    population: str = ""
    sex: str = ""
    parents: tuple[str, ...] = ()
    relatives: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Match:
    """Which samples a table and a VCF share.

    Parameters
    ----------
    both : tuple of str
        In the order of the VCF.
    only_table, only_vcf : tuple of str
    """

    both: tuple[str, ...]
    only_table: tuple[str, ...]
    only_vcf: tuple[str, ...]

    @property
    def note(self) -> str:
        """One line on what was left over; empty if nothing was."""
        parts = [
            f"{len(names):,} only in the {where} ({_few(names)})"
            for where, names in (("table", self.only_table), ("VCF", self.only_vcf))
            if names
        ]
        return f"{len(self.both):,} samples in table and VCF; {'; '.join(parts)}" if parts else ""


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


@dataclass(frozen=True, eq=False)
class SampleTable:
    """People and their groups; made by `read_samples`.

    Parameters
    ----------
    file : str
    samples : mapping of str to Sample
    kinship : bool
        Whether the table can tell relatives at all.
    """

    file: str
    samples: Mapping[str, Sample] = field(repr=False)
    kinship: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, sorted."""
        return tuple(sorted({s.group for s in self.samples.values() if s.group}))

    def match(self, names: Sequence[str]) -> Match:
        """Compare with the samples of a VCF.

        Raises
        ------
        InputError
            They share none.

        Examples
        --------
        >>> table = SampleTable("t.tsv", {"a": Sample("a", "X"), "b": Sample("b", "X")})
        >>> table.match(["b", "c"]).note
        '1 samples in table and VCF; 1 only in the table (a); 1 only in the VCF (c)'
        """
        both = tuple(name for name in names if name in self.samples)
        if not both:
            ours, theirs = ", ".join(list(self.samples)[:3]), ", ".join(names[:3])
            msg = (
                f"{self.file}: holds none of the samples of the VCF (table: {ours}; "
                f"VCF: {theirs}); give the table of the same people"
            )
            raise InputError(msg)
        known = set(names)
        return Match(
            both,
            tuple(name for name in self.samples if name not in known),
            tuple(name for name in names if name not in self.samples),
        )

    def children(self, names: Collection[str]) -> tuple[str, ...]:
        """Return those people who have a parent among them.

        Counted beside their parents they would count the same chromosomes twice.
        """
        known = set(names)
        return tuple(
            name
            for name in names
            if name in self.samples and known.intersection(self.samples[name].parents)
        )

    def relatives(self, name: str) -> frozenset[str]:
        """Return all who are linked to a person by parents or named relatives, in any steps."""
        found, left = {name}, [name]
        while left:
            fresh = self._links.get(left.pop(), frozenset()) - found
            found |= fresh
            left += fresh
        return frozenset(found - {name})

    @cached_property
    def _links(self) -> Mapping[str, frozenset[str]]:
        links: dict[str, set[str]] = {}
        for sample in self.samples.values():
            for other in (*sample.parents, *sample.relatives):
                links.setdefault(sample.name, set()).add(other)
                links.setdefault(other, set()).add(sample.name)
        return {name: frozenset(others) for name, others in links.items()}


def read_samples(
    path: str | os.PathLike[str],
    *,
    group: str | None = None,
    pedigree: str | os.PathLike[str] | None = None,
) -> SampleTable:
    r"""Read a sample table: columns are found by their names.

    The panel file of 1000 Genomes, the IGSR table, the 30x pedigree, and plain tables with columns
    "sample" and "group" are known; separated by tabs, commas, semicolons or spaces, packed with
    gzip or not.

    Parameters
    ----------
    path : path
    group : str, optional
        Name of the column that makes the groups; the super-population, or else the population, by
        default.
    pedigree : path, optional
        A second table that names the parents.

    Raises
    ------
    InputError
        With file and line: no such columns, a sample twice, a row that is too short.
    OptionError
        The table has no column `group`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "table.csv"
    ...     _ = file.write_text("sample,group,father\nann,EUR,ben\nben,EUR,0\n")
    ...     table = read_samples(file)
    >>> table.samples["ann"].parents, table.relatives("ben"), table.children(["ann", "ben"])
    (('ben',), frozenset({'ann'}), ('ann',))
    """
    file = os.fspath(path)
    samples, columns = _read(file, group)
    if not any(sample.group for sample in samples.values()) and pedigree is None:
        msg = (
            f"{file}: has no column that makes groups (columns: {', '.join(columns)}); "
            "add a column 'group'"
        )
        raise InputError(msg)
    kinship = any(sample.parents or sample.relatives for sample in samples.values())
    if pedigree is not None:
        others, _ = _read(os.fspath(pedigree), None)
        if not any(other.parents or other.relatives for other in others.values()):
            msg = f"{os.fspath(pedigree)}: names no parent of anybody; give a pedigree"
            raise InputError(msg)
        kinship = True
        for name, other in others.items():
            own = samples.get(name, replace(other, group=""))
            samples[name] = replace(
                own,
                parents=tuple(dict.fromkeys((*own.parents, *other.parents))),
                relatives=own.relatives | other.relatives,
            )
    return SampleTable(file, samples, kinship)


def _read(file: str, group: str | None) -> tuple[dict[str, Sample], list[str]]:
    rows = _rows(file)
    _, columns = next(rows)
    where = _places(file, columns, group)
    samples: dict[str, Sample] = {}
    for line, cells in rows:
        # Trailing tabs of the header are not columns of the rows.
        row = [cell.strip() for cell in cells] + [""] * (len(columns) - len(cells))
        name = row[where["sample"]]
        if not name:
            msg = f"{file}, line {line}: has no sample name; mend or remove the line"
            raise InputError(msg)
        if name in samples:
            msg = f"{file}, line {line}: sample {name!r} stands here a second time; remove one line"
            raise InputError(msg)
        needed = max(where.get("sample", 0), where.get("group", 0))
        if len(cells) <= needed:
            msg = f"{file}, line {line}: has {len(cells)} columns, too few to name its group"
            raise InputError(msg)
        samples[name] = _sample(name, row, where)
    if not samples:
        msg = f"{file}: has a header and no sample"
        raise InputError(msg)
    return samples, [column for column in columns if column]


def _sample(name: str, row: Sequence[str], where: Mapping[str, int]) -> Sample:
    def cell(kind: str) -> str:
        text = row[where[kind]] if kind in where else ""
        return "" if text.lower() in _NOBODY else text

    population = cell("population")
    group = cell("group") if "group" in where else population
    sex = cell("sex").lower()
    named = {
        other
        for kind in _RELATIVES
        for other in re.split(r"[,;\s]+", cell(kind))
        if other.lower() not in _NOBODY
    }
    parents = tuple(p for p in (cell("father"), cell("mother")) if p)
    known = _SEXES.get(sex, sex)
    return Sample(
        name, group, population, known if known in {"male", "female"} else "", parents,
        frozenset(named - {name}),
    )  # fmt: skip


def _places(file: str, columns: Sequence[str], group: str | None) -> dict[str, int]:
    """Return where each kind of column stands; `group` names the column of the groups."""
    plain = [re.sub(r"[\s_#\-]", "", column).lower() for column in columns]
    kinds = {**_COLUMNS, **{name: (name,) for name in _RELATIVES}}
    where = {
        kind: plain.index(next(name for name in names if name in plain))
        for kind, names in kinds.items()
        if any(name in plain for name in names)
    }
    if "sample" not in where:
        shown = ", ".join(column for column in columns if column)[:80]
        msg = f"{file}, line 1: has no column 'sample' (columns: {shown}); name the columns"
        raise InputError(msg)
    if group is not None:
        if group not in columns:
            msg = f"{file}: has no column {group!r}; {nearest(group, [c for c in columns if c])}"
            raise OptionError(msg)
        where["group"] = columns.index(group)
    return where


def _rows(file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield numbered rows, the header first; the header's separator holds for all."""
    separator: str | None = None
    header = True
    for number, line in lines(file):
        if not line.strip() or line.startswith("##"):
            continue
        if header:
            separator = next((mark for mark in "\t,;" if mark in line), None)
            header = False
        if separator is None:
            yield number, line.split()
        else:
            yield number, next(csv.reader([line], delimiter=separator), [])
