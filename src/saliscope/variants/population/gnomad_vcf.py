"""gnomAD's sites VCF, 2.0 to 4.1, exomes, genomes and joint: the same counts under many keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saliscope.core.errors import InputError
from saliscope.variants.calls.opening import opened
from saliscope.variants.coding.builds import chromosome
from saliscope.variants.coding.edit import Allele
from saliscope.variants.population.checks import check_counts, check_sums
from saliscope.variants.population.groups import CODES
from saliscope.variants.population.reading import whole
from saliscope.variants.population.record import Counts, Population, PopulationVariant
from saliscope.variants.population.sites import Region, records_of, settled_build

if TYPE_CHECKING:
    import pysam

__all__ = ["is_gnomad_vcf", "read_gnomad_vcf"]

_SEXES = {"XX": ("XX", "female", "Female"), "XY": ("XY", "male", "Male")}


@dataclass(frozen=True)
class _Keys:
    """How one generation spells its INFO keys.

    The total stands under "AC", or "AC_joint" in a joint file; a group under "AC_afr", "AC_AFR" or
    "AC_joint_afr"; homozygotes under "nhomalt..." or "Hom...".
    """

    joint: str
    homozygotes: str
    groups: dict[str, str]
    sexes: dict[str, str]
    version: str
    kind: str

    def counts(self, record: pysam.VariantRecord, suffix: str, index: int) -> Counts:
        """Return the counts of a group (or of all) for one alternative allele."""
        tail = f"{self.joint}_{suffix}" if suffix else self.joint
        return Counts(
            _value(record, f"AC{tail}", index),
            _value(record, f"AN{tail}", index),
            _value(record, f"{self.homozygotes}{tail}", index),
            _value(record, f"Hemi{tail}", index),
        )


def _value(record: pysam.VariantRecord, key: str, index: int) -> int | None:
    """Return a number of a record; that of one allele where there is one per allele."""
    if key not in record.info:
        return None
    found = record.info[key]
    # a key that the header does not declare comes as text
    parts = found.split(",") if isinstance(found, str) else found
    if isinstance(parts, (tuple, list)):
        if len(parts) > 1 or not key.startswith("AN"):
            if len(parts) != len(record.alts or ()):
                raise ValueError(key)
            found = parts[index]
        else:
            found = parts[0]
    return None if found is None else whole(str(found))


def is_gnomad_vcf(keys: Iterable[str]) -> bool:
    """Whether INFO keys are those of a sites VCF of gnomAD.

    Examples
    --------
    >>> is_gnomad_vcf(["AC", "AN", "AC_nfe", "AN_nfe", "nhomalt"])
    True
    """
    known = set(keys)
    joints = {f"AC_joint_{code}" for code in CODES}
    groups = {f"AC_{code}" for code in CODES} | {f"AC_{code.upper()}" for code in CODES}
    return bool(known & joints) or (
        bool(known & groups) and bool(known & {"nhomalt", "Hom", "Hom_NFE", "nhomalt_nfe"})
    )


def _keys(path: str | os.PathLike[str], info: Sequence[str]) -> _Keys:
    """Recognize the generation by its keys, more exactly by the file's name where it agrees."""
    known = set(info)
    joint = "_joint" if "AC" not in known and "AC_joint" in known else ""
    groups = {
        code: spelled
        for code in CODES
        for spelled in (code, code.upper())
        if f"AC{joint}_{spelled}" in known and f"AN{joint}_{spelled}" in known
    }
    sexes = {
        sex: spelled
        for sex, names in _SEXES.items()
        for spelled in names
        if f"AC{joint}_{spelled}" in known
    }
    if joint or known & {"grpmax", "AC_grpmax", "AC_remaining"}:
        version = "4"
    elif "ami" in groups:
        version = "3"
    else:
        version = "2.0" if "AC_NFE" in known else "2.1"
    name = Path(path).name.lower()
    named = re.search(r"(?:^|[._])[rv]([234](?:\.\d+)*)(?=[._])", name)
    if named is not None and named[1].startswith(version):
        version = named[1]
    if joint:
        kind = "joint"
    elif "ami" in groups or "genomes" in name:
        kind = "genomes"
    elif "exomes" in name or "sas" in groups:
        kind = "exomes"
    else:
        kind = "genomes" if version.startswith("2") else ""
    homozygotes = "Hom" if "Hom" in known or "Hom_NFE" in known else "nhomalt"
    return _Keys(joint, homozygotes, groups, sexes, version, kind)


def read_gnomad_vcf(
    path: str | os.PathLike[str], *, build: str | None = None, region: Region | None = None
) -> Population:
    """Return the alleles of a sites VCF of gnomAD.

    Rows with several alternative alleles are taken apart; symbolic ones are left out. An allele
    with AN = 0 keeps its zeros: nobody was called, which is not absence. In a joint file an allele
    that passed in the exomes or in the genomes counts as passed, and what it failed in the other
    is a flag. Where gnomAD marks X or Y as haploid in XY people (``nonpar``, ``non_par``), their
    copies are hemizygotes and only XX people are homozygotes.

    Parameters
    ----------
    path : path
        Plain, gzip, bgzip, or BCF; ``##contig`` lines are not needed.
    build : str, optional
        "GRCh37" or "GRCh38", where the header does not tell.
    region : (str, int, int), optional
        Chromosome, first and last position (from 1): all that is kept. With an index beside the
        file nothing else is read. Give one for the file of a whole chromosome.

    Raises
    ------
    InputError
        One line: file, row, reason, remedy.
    """
    with opened(path) as source:
        info = list(source.file.header.info)
        if not is_gnomad_vcf(info):
            msg = (
                f"{path}: is not a sites VCF of gnomAD (no AC_nfe, AC_joint_nfe or AC_NFE in its "
                "header); a VCF of people is given as a panel"
            )
            raise InputError(msg)
        keys = _keys(path, info)
        found = settled_build(path, source.file, build)
        if found is None and keys.version[0] in "34":
            found = "GRCh38"  # never released on another build
        if found is None:
            msg = f"{path}: its header names no genome build; give build='GRCh37' or 'GRCh38'"
            raise InputError(msg)
        variants: dict[Allele, PopulationVariant] = {}
        skipped = 0
        for row, record in records_of(source, region):
            for index, alt in enumerate(record.alts or ()):
                if not re.fullmatch("[ACGTNacgtn]+", alt):
                    skipped += 1
                    continue
                variant = _variant(path, row, record, index, alt, keys)
                if variant.allele in variants:
                    msg = f"{path}, row {row}: {variant.allele.label} stands there twice"
                    raise InputError(msg)
                variants[variant.allele] = variant
    notes = ["AF is not read: frequencies are AC / AN"]
    if skipped:
        notes.append(f"{skipped} alleles without a sequence (such as <DEL> or *) are left out")
    failed = sum(bool(variant.filters) for variant in variants.values())
    if failed:
        notes.append(f"{failed} of {len(variants)} alleles did not pass gnomAD's filters")
    kind = f" {keys.kind}" if keys.kind else ""
    return Population(
        f"gnomAD v{keys.version}{kind} sites VCF", str(path), found, tuple(keys.groups), variants,
        tuple(notes), name="gnomAD",
    )  # fmt: skip


def _variant(
    path: str | os.PathLike[str],
    row: int,
    record: pysam.VariantRecord,
    index: int,
    alt: str,
    keys: _Keys,
) -> PopulationVariant:
    allele = Allele.of(chromosome(record.chrom), record.pos, record.ref or "", alt)
    where = f"{path}, row {row}" if row else f"{path}, {allele.label}"
    try:
        total = keys.counts(record, "", index)
        groups = {code: keys.counts(record, s, index) for code, s in keys.groups.items()}
        sexes = {sex: keys.counts(record, s, index) for sex, s in keys.sexes.items()}
    except (ValueError, IndexError) as error:
        msg = f"{where}: a count of {allele.label} is not a whole number for each allele; mend it"
        raise InputError(msg) from error
    if total.ac is None or total.an is None:
        msg = (
            f"{where}: AC{keys.joint} or AN{keys.joint} is missing; take the file from gnomAD again"
        )
        raise InputError(msg)
    if allele.chrom in {"X", "Y"} and ("nonpar" in record.info or "non_par" in record.info):
        total, groups, sexes = _haploid(record, index, keys, total, groups, sexes)
    for label, counts in (("total", total), *groups.items(), *sexes.items()):
        check_counts(where, label, counts)
    if keys.groups:
        check_sums(where, total, groups)
    failed, flags = _filters(record, keys, index)
    return PopulationVariant(
        allele,
        row,
        total,
        groups,
        ids=tuple(name for name in (record.id or "").split(";") if name),
        filters=failed,
        sexes=sexes,
        flags=(*flags, *(flag for flag in ("segdup", "lcr", "decoy") if flag in record.info)),
    )


def _haploid(
    record: pysam.VariantRecord,
    index: int,
    keys: _Keys,
    total: Counts,
    groups: dict[str, Counts],
    sexes: dict[str, Counts],
) -> tuple[Counts, dict[str, Counts], dict[str, Counts]]:
    """Count the copies of XY people as hemizygotes, and homozygotes among XX people only."""

    def told(counts: Counts, spelled: str) -> Counts:
        parts = {
            sex: keys.counts(record, f"{spelled}_{name}" if spelled else name, index)
            for sex, name in keys.sexes.items()
        }
        women, men = parts.get("XX"), parts.get("XY")
        return Counts(
            counts.ac,
            counts.an,
            women.homozygotes if women else counts.homozygotes,
            men.ac if men and men.ac is not None else counts.hemizygotes,
        )

    apart = dict(sexes)
    if "XY" in apart:
        apart["XY"] = Counts(apart["XY"].ac, apart["XY"].an, 0, apart["XY"].ac)
    return told(total, ""), {c: told(groups[c], s) for c, s in keys.groups.items()}, apart


def _texts(value: object) -> list[str]:
    """Return the filters that an INFO value lists."""
    parts = value if isinstance(value, tuple) else (value,)
    words = [word for part in parts if part for word in re.split(r"[|,]", str(part))]
    return [word for word in words if word not in {"", ".", "PASS"}]


def _filters(
    record: pysam.VariantRecord, keys: _Keys, index: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the filters of a call that passed nowhere, and those of one that passed in part."""
    own = tuple(str(name) for name in record.filter if name not in {"PASS", "."})
    if not keys.joint or not own:
        return own, ()
    # FILTER says only in which data type a joint call failed, INFO says what
    failed: list[str] = []
    passed = False
    for kind in ("exomes", "genomes"):
        bad = bool({f"{kind.upper()}_FILTERED", "BOTH_FILTERED"} & set(own))
        key = f"{kind}_filters"
        named = _texts(record.info[key]) if key in record.info else []
        if bad or named:
            failed += [f"{kind}: {name}" for name in named or ["not passed"]]
        elif f"not_called_in_{kind}" not in record.info:
            number = _value(record, f"AC_{kind}", index)
            passed = passed or bool(number)
    return ((), tuple(failed)) if passed else (tuple(failed), ())
