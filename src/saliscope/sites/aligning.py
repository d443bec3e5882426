"""Global alignment of two proteins."""

from __future__ import annotations

from typing import Any

__all__ = ["align_globally"]


def align_globally(first: str, second: str) -> list[tuple[int, int]]:
    """Return which residues of two proteins stand in one column, as pairs of places from 0.

    BLOSUM62, gaps cost 11 to open and 1 to extend, and nothing at the ends.

    Parameters
    ----------
    first, second : str

    Examples
    --------
    >>> align_globally("MVHLTPEEK", "HLTPEEK")[:3]
    [(2, 0), (3, 1), (4, 2)]
    """
    from Bio.Align import PairwiseAligner, substitution_matrices

    make: Any = PairwiseAligner
    matrices: Any = substitution_matrices
    aligner = make(mode="global", open_gap_score=-11, extend_gap_score=-1, end_gap_score=0)
    aligner.substitution_matrix = matrices.load("BLOSUM62")
    best = next(iter(aligner.align(first, second)))
    return [
        (a, b)
        for (start, end), (other, _) in zip(*best.aligned, strict=True)
        for a, b in zip(range(start, end), range(other, other + end - start), strict=True)
    ]
