"""Protein language models: one residue, one unit."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from saliscope.core.errors import InputError, ModelError, OptionError, nearest
from saliscope.core.health import Finding, finding
from saliscope.core.model import Sample
from saliscope.core.units import Units
from saliscope.models.gelu import whole_gelu
from saliscope.models.tokens import TokenModel

__all__ = ["ProteinModel", "checked_letters", "is_protein_vocabulary"]

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
_NUCLEOTIDES = set("ACGTUN")
_LARGEST_ALPHABET = 256


def is_protein_vocabulary(vocabulary: dict[str, int]) -> bool:
    """Return whether a vocabulary is an amino-acid alphabet.

    Examples
    --------
    >>> is_protein_vocabulary({letter: i for i, letter in enumerate("ACDEFGHIKLMNPQRSTVWY")})
    True
    """
    return len(vocabulary) <= _LARGEST_ALPHABET and all(a in vocabulary for a in AMINO_ACIDS)


class ProteinModel(TokenModel):
    """ESM-2 and BERT-type models over an amino-acid alphabet.

    Residues are mapped to ids here, letter by letter; the tokenizer is asked for its vocabulary
    and its special tokens only, because tokenizers merge or drop letters that they do not know.
    """

    modality = "protein"

    def __init__(self, module: nn.Module, tokenizer: Any, name: str) -> None:
        super().__init__(module, tokenizer, name)
        self.vocabulary: dict[str, int] = tokenizer.get_vocab()
        if not is_protein_vocabulary(self.vocabulary):
            msg = f"{name}: its vocabulary is not an amino-acid alphabet"
            raise ModelError(msg)
        example = [int(i) for i in tokenizer("A")["input_ids"]]
        at = example.index(self.vocabulary["A"])
        self.prefix, self.suffix = example[:at], example[at + 1 :]
        unknown: int | None = self.vocabulary.get("X", tokenizer.unk_token_id)
        self.unknown_id = -1 if unknown is None else unknown
        self.ids = np.full(128, self.unknown_id, dtype=np.int64)  # of each letter, by its code
        for letter in string.ascii_uppercase:
            self.ids[ord(letter)] = self.vocabulary.get(letter, self.unknown_id)

    @contextmanager
    def quiet(self, seed: int) -> Iterator[None]:
        """Run without side effects, and an ESM with its GELU in one operation."""
        with super().quiet(seed), whole_gelu(self.module):
            yield

    def token_id(self, text: str) -> int:
        """Return the id of a residue letter."""
        if len(text) != 1 or text not in self.vocabulary:
            msg = f"{text!r} is not a residue of {self.name}: {nearest(text, AMINO_ACIDS)}"
            raise OptionError(msg)
        return self.vocabulary[text]

    def coded(self, letters: str, label: str) -> tuple[npt.NDArray[np.int64], list[int]]:
        """Return the ids of checked letters, and the places of those that are read as X.

        Raises
        ------
        InputError
            The model does not know a letter, and has no sign for such.
        """
        ids = self.ids[np.frombuffer(letters.encode("ascii"), np.uint8)]
        unknown = np.flatnonzero(ids == self.unknown_id).tolist()
        if unknown and self.unknown_id < 0:
            names = _named(letters, unknown)
            msg = f"{label}: {names}: {self.name} does not know it, nor an X; replace it"
            raise InputError(msg)
        return ids, unknown

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Turn a sequence of residue letters into one sample.

        Lower case is read as upper case, one stop sign at the end is left out, and letters that
        the model does not know are read as X; each is a finding. Gaps, inner stop signs, digits
        and other characters are refused with their position.
        """
        if not isinstance(raw, str):
            msg = f"a protein is a string of residue letters, not {type(raw).__name__}"
            raise InputError(msg)
        label = name or ("".join(raw[:12].split()) + ("..." if len(raw) > 12 else ""))
        letters = checked_letters(raw, label)
        length = len(letters) + len(self.prefix) + len(self.suffix)
        if self.limit is not None and length > self.limit:
            most = self.limit - len(self.prefix) - len(self.suffix)
            msg = (
                f"{label}: has {len(letters):,} residues; {self.name} takes at most {most:,}; "
                "cut the sequence to the part in question"
            )
            raise InputError(msg)
        inner, unknown = self.coded(letters, label)
        found: list[Finding] = []
        if unknown:
            names = _named(letters, unknown)
            found.append(finding("unknown_units", count=len(unknown), names=names))
        ends = (np.array(given, dtype=np.int64) for given in (self.prefix, self.suffix))
        ids = np.concatenate([next(ends), inner, next(ends)])
        first = len(self.prefix)
        keep = np.zeros(len(ids), dtype=bool)
        keep[first : first + len(letters)] = True
        pad = [""] * len(self.prefix), [""] * len(self.suffix)
        numbers = np.arange(len(ids)) - first + 1
        units = Units(
            ("position",), (len(ids),), "residue",
            {"position": ("position", np.where(keep, numbers, 0).tolist()),
             "residue": ("position", [*pad[0], *letters, *pad[1]])},
            keep,
        )  # fmt: skip
        context = {
            "ids": ids,
            "unknown": frozenset(first + i for i in unknown),
            "width": self.width,
        }
        return [Sample(label, letters, units, None, context, ids.tobytes(), tuple(found))]


def _named(letters: str, places: Sequence[int]) -> str:
    """Return the first of some letters, with their positions from 1."""
    return ", ".join(f"{letters[i]}{i + 1}" for i in places[:5])


def checked_letters(raw: str, label: str) -> str:
    """Return the residue letters of a sequence in upper case, one stop sign at the end left out.

    Raises
    ------
    InputError
        Nothing but gaps, gaps, inner stop signs, other characters, or nucleotides.

    Examples
    --------
    >>> checked_letters("mvhl*", "a protein")
    'MVHL'
    """
    letters = "".join(raw.split())
    if letters.isascii():  # "\u00df".upper() is "SS": two residues where there was one sign
        letters = letters.upper()
    letters = letters.removesuffix("*")
    if not letters:
        msg = f"{label or 'input'}: the sequence is empty; give at least one residue"
        raise InputError(msg)
    if not letters.strip("-."):
        msg = f"{label}: the sequence is only gaps; give the residues without the alignment"
        raise InputError(msg)
    bad = re.search(r"[^A-Z]", letters)
    if bad:
        sign, at = bad[0], bad.start() + 1
        reason = {
            "-": "a gap; remove the alignment's gaps",
            ".": "a gap; remove the alignment's gaps",
            "*": "a stop sign inside the sequence; give the protein up to the stop",
        }.get(sign, "not a residue letter; remove it")
        msg = f"{label}: position {at} is {sign!r}, {reason}"
        raise InputError(msg)
    if len(letters) >= 20 and set(letters) <= _NUCLEOTIDES and len(set(letters)) >= 3:
        msg = (
            f"{label}: only the letters {', '.join(sorted(set(letters)))} occur in {len(letters)} "
            "positions, which is a nucleotide sequence; translate it to protein first"
        )
        raise InputError(msg)
    return letters
