"""Genotype counts of a group of people, and what a genetic model counts of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError

__all__ = ["MODELS", "Genotypes"]

MODELS = {
    "carrier": "with the allele",
    "recessive": "with the allele on every copy",
    "allelic": "with the allele, by copies",
}
"""Genetic models, and what each counts."""


@dataclass(frozen=True)
class Genotypes:
    """Genotype counts of one group of people; missing ones are never taken as reference.

    Parameters
    ----------
    reference, heterozygous, homozygous : int
        People with two copies of the position, by copies of the allele.
    missing : int
        People without a call.
    hemizygous_reference, hemizygous : int
        People with one copy (X in males), without and with the allele.

    Examples
    --------
    >>> g = Genotypes(90, 8, 2, missing=5)
    >>> g.counts("carrier"), g.counts("recessive"), g.counts("allelic")
    ((10, 90), (2, 98), (12, 188))
    """

    reference: int
    heterozygous: int
    homozygous: int
    missing: int = 0
    hemizygous_reference: int = 0
    hemizygous: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0 or value != int(value):
                msg = f"genotype counts: {name}={value} is not a count; give a whole number"
                raise InputError(msg)

    @classmethod
    def count(cls, copies: npt.ArrayLike, ploidy: npt.ArrayLike = 2) -> Genotypes:
        """Count people by their copies of the allele.

        Parameters
        ----------
        copies : array of float, shape (people,)
            0, 1 or 2; NaN or -1 where there is no call.
        ploidy : int or array of int, shape (people,)
            1 or 2 copies of the position.

        Examples
        --------
        >>> g = Genotypes.count([0, 0, 1, 2, -1, 1], [2, 2, 2, 2, 2, 1])
        >>> g.reference, g.heterozygous, g.homozygous, g.missing, g.hemizygous
        (2, 1, 1, 1, 1)
        """
        number = np.asarray(copies, dtype=np.float64)
        sets = np.broadcast_to(np.asarray(ploidy), number.shape)
        missing = np.isnan(number) | (number == -1)
        wrong = ~missing & ~(np.isin(sets, [1, 2]) & np.isin(number, [0, 1, 2]) & (number <= sets))
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            msg = (
                f"person {first + 1}: {number[first]:g} copies of {sets[first]}; "
                "give 0 to the number of copies of the position, or -1 without a call"
            )
            raise InputError(msg)

        def people(allele: int, of: int) -> int:
            return int(np.count_nonzero(~missing & (number == allele) & (sets == of)))

        return cls(
            people(0, 2), people(1, 2), people(2, 2), int(missing.sum()), people(0, 1), people(1, 1)
        )

    def counts(self, model: str) -> tuple[int, int]:
        """Return how many have what the model counts, and how many have not."""
        if model not in MODELS:
            msg = f"model {model!r}: does not exist; take one of {', '.join(MODELS)}"
            raise OptionError(msg)
        called = (
            self.reference
            + self.heterozygous
            + self.homozygous
            + self.hemizygous_reference
            + self.hemizygous
        )
        if model == "carrier":
            having = self.heterozygous + self.homozygous + self.hemizygous
            return having, called - having
        if model == "recessive":
            having = self.homozygous + self.hemizygous
            return having, called - having
        having = self.heterozygous + 2 * self.homozygous + self.hemizygous
        diploid = self.reference + self.heterozygous + self.homozygous
        return having, called + diploid - having
