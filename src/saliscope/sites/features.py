"""Annotated residues of proteins: from UniProt's files or one's own table to a mask of sites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError, nearest

__all__ = ["SITES", "Annotation", "Feature", "Sites", "same_kind"]

Bools = npt.NDArray[np.bool_]

SITES = (
    "active site", "binding site", "site", "metal binding", "nucleotide binding",
    "calcium binding",
)  # fmt: skip
"""Kinds of UniProt features that name single functional residues: what is tested by default."""

_ENDS_ONLY = frozenset({"disulfide bond", "disulfide", "cross-link"})
"""Kinds of which the first and the last residue are meant, not what lies between."""


def same_kind(text: str) -> str:
    """Return a kind of feature as it is compared.

    Examples
    --------
    >>> same_kind("DNA_binding "), same_kind("Binding site")
    ('dna binding', 'binding site')
    """
    return " ".join(text.replace("_", " ").casefold().split())


@dataclass(frozen=True)
class Feature:
    """What a file says of some residues.

    Parameters
    ----------
    first, last : int
        Residues, from 1, both within.
    kind : str
        "Binding site", "Domain", ...; "site" in tables that name none.
    name : str
        What stands there: a ligand, a note.
    where : str
        File and row, for messages.
    isoform : str
        The isoform whose residues are counted; "" for the sequence that the file is about.
    residue : str
        The letter that the file has at `first`; "" where it says none.
    """

    first: int
    last: int
    kind: str
    name: str = ""
    where: str = ""
    isoform: str = ""
    residue: str = ""

    @property
    def positions(self) -> range | tuple[int, int]:
        """The residues that are meant: of a bond its two ends."""
        if same_kind(self.kind) in _ENDS_ONLY:
            return (self.first, self.last)
        return range(self.first, self.last + 1)


@dataclass(frozen=True, eq=False)
class Annotation:
    """The features of one protein, as a file has them; made by `read_features`.

    Parameters
    ----------
    accession : str
        The name of the protein in the file; "" where it has none.
    features : tuple of Feature
    path : str
    length : int, optional
        Of the protein that the file is about, where it says so.
    sequence : str
        Its residues, where the file has them.
    unplaced : int
        Features without a known first or last residue, which are left out.
    """

    accession: str
    features: tuple[Feature, ...]
    path: str = ""
    length: int | None = None
    sequence: str = ""
    unplaced: int = 0

    def called(self, name: str) -> bool:
        """Whether a protein of this name, such as "sp|P04637|P53_HUMAN", is meant.

        Examples
        --------
        >>> Annotation("P04637", ()).called("sp|P04637|P53_HUMAN")
        True
        """
        return self.accession != "" and self.accession in {name, *name.split("|")}

    @property
    def kinds(self) -> Counter[str]:
        """How many features there are of each kind."""
        return Counter(same_kind(feature.kind) for feature in self.features)

    def on(self, sequence: str, *, name: str = "", kinds: Sequence[str] | None = None) -> Sites:
        """Return the sites of these kinds on a sequence.

        Parameters
        ----------
        sequence : str
            Residue letters of the protein that the model is given.
        name : str
            What the protein is called; by default the accession.
        kinds : sequence of str, optional
            By default `SITES`, or every kind of a table that has no types.

        Raises
        ------
        InputError
            One line: the file is about a sequence of another length or with other residues (an
            isoform, another protein), a feature is counted on an isoform, lies beyond the
            sequence, or names a residue that is not there.
        OptionError
            None of the kinds occurs.

        Examples
        --------
        >>> zinc = Annotation("P1", (Feature(2, 3, "Binding site", "Zn"),))
        >>> zinc.on("MCHK").mask.tolist()
        [False, True, True, False]
        """
        letters = sequence.upper()
        self._same_protein(letters, name or "the given sequence")
        wanted = None if kinds is None else {same_kind(kind) for kind in kinds}
        if wanted is None:
            untyped = set(self.kinds) == {"site"}
            wanted = {"site"} if untyped else set(SITES)
        missing = [] if kinds is None else [k for k in kinds if same_kind(k) not in self.kinds]
        if missing:
            msg = f"{self.path}: has no feature of kind {missing[0]!r}; {self._hint(missing[0])}"
            raise OptionError(msg)
        chosen = [f for f in self.features if same_kind(f.kind) in wanted]
        if not chosen:
            msg = (
                f"{self.path}: has no feature of kind {', '.join(SITES[:3])}, ...; "
                f"it has {self._shown()}: name the kinds that are meant"
            )
            raise OptionError(msg)
        for feature in chosen:
            _check(feature, letters, name or self.accession or "the sequence")
        return Sites(name or self.accession, letters, tuple(chosen), self.unplaced)

    def _shown(self) -> str:
        return ", ".join(f"{kind} ({n:,})" for kind, n in self.kinds.most_common(8)) or "none"

    def _hint(self, kind: str) -> str:
        return nearest(same_kind(kind), self.kinds) if self.kinds else "it has no features"

    def _same_protein(self, letters: str, name: str) -> None:
        about = f"{self.path}: is about {self.accession or 'a protein'}"
        if self.sequence and self.sequence != letters:
            if len(self.sequence) != len(letters):
                what = f"of {len(self.sequence):,} residues, {name} has {len(letters):,}"
            else:
                at = next(i for i, (a, b) in enumerate(zip(self.sequence, letters, strict=True))
                          if a != b)  # fmt: skip
                what = f"with {self.sequence[at]} at {at + 1}, {name} has {letters[at]}"
            msg = f"{about} {what}; give the features of this isoform, or the sequence of the file"
            raise InputError(msg)
        if not self.sequence and self.length is not None and self.length != len(letters):
            msg = (
                f"{about} of {self.length:,} residues, {name} has {len(letters):,}; "
                "give the features of this isoform, or the sequence of the file"
            )
            raise InputError(msg)


def _check(feature: Feature, letters: str, name: str) -> None:
    span = f"{feature.first}" if feature.first == feature.last else (
        f"{feature.first} to {feature.last}"
    )  # fmt: skip
    about = f"{feature.where}: {feature.kind} at {span}"
    if feature.isoform:
        msg = (
            f"{about} is counted on isoform {feature.isoform}; give that isoform's sequence and "
            "features, or leave the row out"
        )
        raise InputError(msg)
    if not 1 <= feature.first <= feature.last <= len(letters):
        msg = (
            f"{about} is not within the {len(letters):,} residues of {name}; "
            "give the features of this protein"
        )
        raise InputError(msg)
    there = letters[feature.first - 1]
    if feature.residue and feature.residue.upper() != there:
        msg = (
            f"{about} names residue {feature.residue.upper()}, {name} has {there}; "
            "give the features of this protein, numbered as the sequence"
        )
        raise InputError(msg)


@dataclass(frozen=True, eq=False)
class Sites:
    """Annotated residues of one protein: the unit of evidence.

    Parameters
    ----------
    name : str
    sequence : str
    features : tuple of Feature
        All within the sequence.
    unplaced : int
        Features of the file that have no place.
    within : (int, int), optional
        First and last residue of the part that is looked at, such as a domain with a structure;
        what lies outside takes no part.
    """

    name: str
    sequence: str
    features: tuple[Feature, ...]
    unplaced: int = 0
    within: tuple[int, int] | None = None
    mask: Bools = field(init=False, repr=False)

    def __post_init__(self) -> None:
        mask = np.zeros(len(self.sequence), dtype=bool)
        for feature in self.features:
            mask[[p - 1 for p in feature.positions]] = True
        object.__setattr__(self, "mask", mask)
        seen = mask[self.part]
        if not 0 < int(seen.sum()) < len(seen):
            msg = (
                f"{self.name or 'the protein'}: {int(seen.sum()):,} of {len(seen):,} residues are "
                "sites; a comparison needs some that are and some that are not"
            )
            raise InputError(msg)

    @property
    def part(self) -> slice:
        """The residues that take part."""
        first, last = self.within or (1, len(self.sequence))
        if not 1 <= first <= last <= len(self.sequence):
            msg = f"within={first}-{last} is not within the {len(self.sequence):,} residues"
            raise OptionError(msg)
        return slice(first - 1, last)

    @classmethod
    def at(
        cls, sequence: str, positions: Iterable[int], *, name: str = "",
        within: tuple[int, int] | None = None, kind: str = "site",
    ) -> Sites:  # fmt: skip
        """Return the sites at some positions, counted from 1.

        Raises
        ------
        InputError
            A position lies beyond the sequence, or none or all residues are sites.

        Examples
        --------
        >>> Sites.at("MCHK", [2, 3]).positions
        (2, 3)
        """
        letters = sequence.upper()
        features = tuple(Feature(p, p, kind, where="positions") for p in positions)
        for feature in features:
            _check(feature, letters, name or "the sequence")
        return cls(name, letters, features, within=within)

    @property
    def positions(self) -> tuple[int, ...]:
        """The residues, from 1."""
        return tuple(int(i) + 1 for i in np.flatnonzero(self.mask))
