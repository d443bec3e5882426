"""Cases and controls of a gene: which variants are enriched, within strata of ancestry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.variants.calls.genotypes import ABSENT
from saliscope.variants.calls.record import Calls
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
    notes : tuple of str
    """

    changes: tuple[Change, ...]
    associations: tuple[Association, ...]
    control: SynonymousControl
    notes: tuple[str, ...]

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
    changes: list[Change] = []
    tested: list[Association] = []
    present = (calls.genotypes[:, 0] != ABSENT).sum(1) if calls.rows else np.zeros(0)
    edits = sorted({a.edit for row in calls.rows for a in row.alternatives if a.edit is not None})
    for edit in edits:
        # The genome's own base is an edit too where the transcript differs; nobody is a case of it.
        found = haplotype(calls.transcript, [edit]).changes
        if len(found) != 1:
            continue
        carried, called = calls.copies([edit])
        called = np.where(called == present, called, 0)  # a half call says nothing of a person
        changes.append(found[0])
        tested.append(
            associate(found[0].coding, {
                str(name): _two(carried[places], called[places], is_case, strata == name)
                for name in np.unique(strata)
            }, model)
        )  # fmt: skip
    corrected = correct(tested)
    silent = [
        a for c, a in zip(changes, corrected, strict=True) if c.kind == "synonymous"
    ]  # fmt: skip
    notes = [f"{int(is_case.sum()):,} cases and {int((~is_case).sum()):,} controls in "
             f"{len(np.unique(strata))} strata"]  # fmt: skip
    left = len(status.cases) - len(names)
    if left:
        notes.append(f"{left:,} samples of {status.file} are not in {calls.file}")
    return CohortResult(
        tuple(changes), corrected, synonymous_control(silent), (*notes, *calls.notes)
    )


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
