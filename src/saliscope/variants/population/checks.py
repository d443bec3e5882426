"""What must hold of the counts of one row, whatever file they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from saliscope.core.errors import InputError
from saliscope.variants.population.record import Counts

__all__ = ["check_counts", "check_sums"]


def check_counts(where: str, label: str, counts: Counts) -> None:
    """Refuse counts that cannot be: negative, more copies than chromosomes.

    Raises
    ------
    InputError
        With `where` (file and row) and `label` (the group, or "total").
    """
    named = {
        "allele count": counts.ac,
        "allele number": counts.an,
        "homozygote count": counts.homozygotes,
        "hemizygote count": counts.hemizygotes,
    }
    for name, value in named.items():
        if value is not None and value < 0:
            msg = f"{where}: the {name} of {label} is negative ({value}); export the file again"
            raise InputError(msg)
    if counts.ac is not None and counts.an is not None and counts.ac > counts.an:
        msg = (
            f"{where}: {label} has {counts.ac} copies of the allele among only {counts.an} "
            "chromosomes; export the file again"
        )
        raise InputError(msg)
    if counts.ac is not None and 2 * (counts.homozygotes or 0) > counts.ac:
        msg = (
            f"{where}: {label} has {counts.homozygotes} homozygotes with only {counts.ac} copies "
            "of the allele; export the file again"
        )
        raise InputError(msg)


def check_sums(
    where: str, total: Counts, groups: Mapping[str, Counts], blank: Iterable[str] = ()
) -> None:
    """Refuse a row whose groups do not add up to its totals.

    Parameters
    ----------
    where : str
    total : Counts
    groups : mapping of str to Counts
        All groups of the source; those not measured have no people and add nothing.
    blank : iterable of str
        Groups that have people whom this file leaves out: the others may then stay below the total.

    Raises
    ------
    InputError
        With `where` and both numbers.

    Examples
    --------
    >>> check_sums("f.csv, row 2", Counts(3, 90), {"afr": Counts(1, 40), "nfe": Counts(1, 50)})
    Traceback (most recent call last):
    saliscope.core.errors.InputError: f.csv, row 2: the allele counts of the groups add up to 2, \
the total is 3; a column is missing or was changed: export the file again
    """
    open_ended = bool(list(blank))
    pairs = {
        "allele counts": (total.ac, [group.ac for group in groups.values()]),
        "allele numbers": (total.an, [group.an for group in groups.values()]),
        "homozygote counts": (total.homozygotes, [g.homozygotes for g in groups.values()]),
    }
    for name, (whole, parts) in pairs.items():
        known = [part for part in parts if part is not None]
        if whole is None or not known:
            continue
        found = sum(known)
        if found > whole or (found < whole and not open_ended):
            msg = (
                f"{where}: the {name} of the groups add up to {found}, the total is {whole}; "
                "a column is missing or was changed: export the file again"
            )
            raise InputError(msg)
