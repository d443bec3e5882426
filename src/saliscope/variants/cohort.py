"""Cases and controls of a gene: which variants are enriched, within strata of ancestry."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from saliscope.api.results import versions
from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.variants.calls.genotypes import ABSENT
from saliscope.variants.calls.record import Calls
from saliscope.variants.coding.edit import Edit
from saliscope.variants.coding.haplotype import Change, haplotype
from saliscope.variants.statistics.cohort import (
    Association,
    SynonymousControl,
    associate,
    correct,
    synonymous_control,
)
from saliscope.variants.statistics.genotypes import Genotypes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CohortResult", "Status", "compare_cohort", "read_status"]

MODELS = ("carrier", "recessive", "allelic")
_CASES, _CONTROLS = {"case", "cases", "1", "affected"}, {"control", "controls", "0", "unaffected"}


@dataclass(frozen=True)
class Status:
    """Who is a case, and in which stratum.

    Parameters
    ----------
    file : str
    cases : mapping of str to bool
    strata : mapping of str to str
        "all" where the table has no strata.
    """

    file: str
    cases: dict[str, bool]
    strata: dict[str, str]


def read_status(path: str | os.PathLike[str]) -> Status:
    """Read a table with the columns sample, status (case or control) and, if wanted, stratum.

    Raises
    ------
    InputError
        With file and row: a column is missing, a sample stands twice, a status is neither.
    """
    import pandas as pd

    file = os.fspath(path)
    try:
        table = pd.read_csv(file, sep=None, engine="python", dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        msg = f"{file}: there is no such file"
        raise InputError(msg) from error
    except (OSError, ValueError, UnicodeError) as error:
        msg = f"{file}: is not a table ({str(error).splitlines()[0]}); give CSV or TSV as UTF-8"
        raise InputError(msg) from error
    table.columns = [str(name).strip().casefold() for name in table.columns]
    for name in ("sample", "status"):
        if name not in table:
            msg = f"{file}: has no column {name!r}; it has: {', '.join(table.columns)}"
            raise InputError(msg)
    cases: dict[str, bool] = {}
    strata: dict[str, str] = {}
    groups = table["stratum"] if "stratum" in table else ["all"] * len(table)
    rows = zip(table["sample"], table["status"], groups, strict=True)
    for number, (sample, status, stratum) in enumerate(rows, 2):
        word = status.strip().casefold()
        if sample in cases:
            msg = f"{file}, row {number}: the sample {sample!r} stands twice; keep one row"
            raise InputError(msg)
        if word not in _CASES | _CONTROLS:
            msg = f"{file}, row {number}: status {status!r} is neither 'case' nor 'control'"
            raise InputError(msg)
        cases[sample], strata[sample] = word in _CASES, stratum.strip() or "unnamed"
    return Status(file, cases, strata)


@dataclass(frozen=True, eq=False)
class CohortResult:
    """Every variant of a gene, tested.

    Parameters
    ----------
    changes : tuple of Change
    associations : tuple of Association
        In the same order, with their q.
    control : SynonymousControl
    gene, transcript, build : str
    model : {"carrier", "recessive", "allelic"}
    strata : mapping of str to (int, int)
        Cases and controls of each stratum.
    notes : tuple of str
        Who and what was left out, and what else a reader must know of the files.
    versions : mapping of str to str
    """

    changes: tuple[Change, ...]
    associations: tuple[Association, ...]
    control: SynonymousControl
    gene: str
    transcript: str
    build: str
    model: str
    strata: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def ranked(self) -> list[tuple[Change, Association]]:
        """Changes with what was found, the smallest p first; those without a test last."""
        both = zip(self.changes, self.associations, strict=True)
        return sorted(both, key=lambda pair: 2.0 if pair[1].p is None else pair[1].p)

    @property
    def people(self) -> str:
        """Whom it was tested on, in words."""
        cases, controls = (sum(n[i] for n in self.strata.values()) for i in (0, 1))
        strata = "1 stratum" if len(self.strata) == 1 else f"{len(self.strata)} strata"
        return f"{cases:,} cases and {controls:,} controls in {strata}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per variant."""
        import pandas as pd

        return pd.DataFrame(
            {"coding": c.coding, "protein": c.protein, "kind": c.kind, **a.row(), "text": a.text}
            for c, a in zip(self.changes, self.associations, strict=True)
        )


def compare_cohort(calls: Calls, status: Status, model: str = "carrier") -> CohortResult:
    """Test every variant of a gene for enrichment in cases, within strata.

    Missing genotypes leave the denominator; they are never counted as reference.

    Parameters
    ----------
    calls : Calls
    status : Status
    model : {"carrier", "recessive", "allelic"}

    Raises
    ------
    InputError
        The table and the VCF share no case, or no control.
    OptionError
        A model that does not exist.
    """
    if model not in MODELS:
        msg = f"model {model!r} does not exist: {nearest(model, MODELS)}"
        raise OptionError(msg)
    places = np.array([i for i, s in enumerate(calls.samples) if s in status.cases], dtype=np.intp)
    names = [calls.samples[i] for i in places]
    is_case = np.array([status.cases[name] for name in names], dtype=bool)
    if not is_case.any() or is_case.all():
        what = "control" if is_case.any() else "case"
        msg = f"{status.file}: no {what} is a sample of {calls.file}; check the sample names"
        raise InputError(msg)
    strata = np.array([status.strata[name] for name in names])
    groups = [str(name) for name in np.unique(strata)]
    changes, told = _changes(calls)
    tested: list[Association] = []
    present = (calls.genotypes[:, 0] != ABSENT).sum(1) if calls.rows else np.zeros(0)
    for change in changes:
        carried, called = calls.copies(change.edits)
        called = np.where(called == present, called, 0)  # a half call says nothing of a person
        tested.append(
            associate(change.coding, {
                name: _two(carried[places], called[places], is_case, strata == name)
                for name in groups
            }, model)
        )  # fmt: skip
    corrected = correct(tested)
    silent = [a for c, a in zip(changes, corrected, strict=True) if c.kind == "synonymous"]
    transcript = calls.transcript
    return CohortResult(
        tuple(changes), corrected, synonymous_control(silent), transcript.gene, transcript.name,
        calls.build or "", model,
        {
            name: (int(is_case[strata == name].sum()), int((~is_case)[strata == name].sum()))
            for name in groups
        },
        (*_absent(calls, status), *told, *calls.notes),
        versions(("saliscope", "numpy", "scipy", "pysam")),
    )  # fmt: skip


def _absent(calls: Calls, status: Status) -> Iterator[str]:
    """Say who is in one of the two files only."""
    both = len(set(status.cases) & set(calls.samples))
    for left, there, missing in (
        (len(status.cases) - both, status.file, calls.file),
        (len(calls.samples) - both, calls.file, status.file),
    ):
        if left:
            people = "1 sample" if left == 1 else f"{left:,} samples"
            yield f"left out: {people} of {there}, not in {missing}"


def _changes(calls: Calls) -> tuple[list[Change], list[str]]:
    """Return what the alleles of the file do, each alone, and what a reader must know of them."""
    genome = set(calls.edits([0] * len(calls.rows)))
    found: dict[tuple[Edit, ...], Change] = {}
    told: list[str] = []
    for i, row in enumerate(calls.rows):
        for code, alternative in enumerate(row.alternatives, 1):
            if alternative.reason:
                told.append(f"not tested: {row.label(code)}, {alternative.reason}")
            if alternative.edit is None:
                continue
            codes = [code if k == i else 0 for k in range(len(calls.rows))]
            own = set(calls.edits(codes)) - genome
            if not own:
                told.append(
                    f"not tested: {row.label(code)}, which is the transcript's own base where the "
                    "genome has another"
                )
            elif row.filters:
                names = ", ".join(row.filters)
                told.append(f"tested, though it did not pass filters ({names}): {row.label(code)}")
            found |= {c.edits: c for c in haplotype(calls.transcript, sorted(own)).changes}
    return [found[edits] for edits in sorted(found)], told


def _two(
    carried: npt.NDArray[np.int64], called: npt.NDArray[np.int64], is_case: npt.NDArray[np.bool_],
    here: npt.NDArray[np.bool_],
) -> tuple[Genotypes, Genotypes]:  # fmt: skip
    return (
        _count(carried[here & is_case], called[here & is_case]),
        _count(carried[here & ~is_case], called[here & ~is_case]),
    )


def _count(carried: npt.NDArray[np.int64], called: npt.NDArray[np.int64]) -> Genotypes:
    copies = np.where(called > 0, carried, -1)
    return Genotypes.count(copies, np.maximum(called, 1))
