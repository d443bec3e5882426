"""Does a recognizer lean on the background? Paper and ink replaced, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError
from saliscope.reading.measures import ink

if TYPE_CHECKING:
    import pandas as pd

    from saliscope.core.model import Sample
    from saliscope.models.vision.recognizer import Recognizer

__all__ = ["background_reliance", "without_ink"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_EDGE = 2  # pixels around ink that hold its blur
_STRIP = 4  # width of what is replaced at once where only a part is


def without_ink(line: npt.ArrayLike, seed: int = 0) -> FloatArray:
    """Return the paper of a line: what was under ink is filled from around it, with its grain.

    Parameters
    ----------
    line : array_like, shape (y, x)
        Gray values.
    seed : int
        The grain under ink is drawn from what the paper has elsewhere.

    Raises
    ------
    InputError
        There is no paper between the ink.

    Examples
    --------
    >>> line = np.full((20, 40), 0.9)
    >>> line[8:12, 10:30] = 0.1
    >>> bool(np.allclose(without_ink(line), 0.9))
    True
    """
    from scipy.ndimage import gaussian_filter

    gray = np.asarray(line, dtype=np.float64)
    covered = _around(ink(gray))
    if covered.all():
        msg = "the line has no paper between its ink, so its background is not known"
        raise InputError(msg)
    sigma = gray.shape[0] / 6
    seen = gaussian_filter((~covered).astype(np.float64), sigma, mode="nearest")
    smooth = gaussian_filter(np.where(covered, 0.0, gray), sigma, mode="nearest")
    # Where no paper is near, the paper's mean.
    flat = np.where(seen > 1e-6, smooth / np.maximum(seen, 1e-6), gray[~covered].mean())
    grain = (gray - flat)[~covered]
    draw = np.random.default_rng(seed)
    filled: FloatArray = np.where(covered, flat + draw.choice(grain, gray.shape), gray)
    return filled


def background_reliance(
    model: object, images: Sequence[object], truths: Sequence[str] | None = None, *,
    pages: Sequence[str] | None = None, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Replace the paper of lines by that of others, and some of their ink, and read them again.

    A recognizer that reads ink does not mind other paper. To say how much a change of reading
    means, an equal number of pixels of ink and of paper is replaced too.

    Parameters
    ----------
    model : object
        A recognizer, or what `saliscope.load` makes one of.
    images : sequence of object
        Lines: at least two.
    truths : sequence of str, optional
        What is written. None: errors are counted against what is read in the untouched line.
    pages : sequence of str, optional
        The page (or writer) of each line: the other paper is then that of another page.
    seed : int

    Returns
    -------
    pandas.DataFrame
        Per line four rows: ``replaced`` is "nothing"; "paper" (every pixel that is not within 2
        pixels of ink); "half of the ink" (with its 2 pixels, in strips 4 pixels wide drawn at
        random); "as much paper" (the same number of pixels, or all there are, in such strips).
        ``pixels`` is their share of the line; ``errors`` the edits between what is then read and
        the truth, of ``length`` characters; ``log_prob`` that of the text read in the untouched
        line, and ``fall`` by how much it fell.

    Raises
    ------
    OptionError
        Fewer than two lines, or of other pages; lists of different lengths.

    Examples
    --------
    >>> line = np.full((48, 40), 240, dtype=np.uint8)
    >>> line[10:38, 18:22] = 30
    >>> gray = np.full((48, 60), 200, dtype=np.uint8)
    >>> found = background_reliance("zoo:handwriting", [line, gray], ["l", ""])
    >>> found["replaced"].tolist()[:3]
    ['nothing', 'paper', 'half of the ink']
    """
    import pandas as pd

    from saliscope.reading.explaining import reader

    recognizer = reader(model)
    if len(images) < 2:
        msg = f"other paper comes from other lines, and {len(images)} is given; give at least two"
        raise OptionError(msg)
    for name, given in (("truths", truths), ("pages", pages)):
        if given is not None and len(given) != len(images):
            msg = f"{name} has {len(given)} entries for {len(images)} lines"
            raise OptionError(msg)
    draw = np.random.default_rng(seed)
    samples = [recognizer.prepare(image)[0] for image in images]
    others = [_other(number, len(images), pages, draw) for number in range(len(images))]
    rows = []
    for number, (sample, other) in enumerate(zip(samples, others, strict=True)):
        line = sample.value.cpu().numpy().astype(np.float64)
        paper = samples[other].value.cpu().numpy().astype(np.float64)
        masks = _masks(ink(line.mean(-1)), draw)
        behind = np.stack(
            [_wide(without_ink(band, seed), line.shape[:2]) for band in np.moveaxis(paper, -1, 0)],
            -1,
        )
        changed = [np.where(mask[..., None], behind, line) for mask in masks.values()]
        truth = None if truths is None else truths[number]
        rows += [
            {"line": number, "replaced": what, "pixels": float(masks[what].mean()), **found}
            for what, found in zip(masks, _read(recognizer, sample, changed, truth), strict=True)
        ]
    return pd.DataFrame(rows)


def _read(
    model: Recognizer, sample: Sample, changed: Sequence[FloatArray], truth: str | None
) -> list[dict[str, float]]:
    """Return errors and log-probabilities of a line's own text in changed lines."""
    import torch

    from saliscope.reading.alignment import align

    sample = model.continued(sample, [None])
    text: str = sample.context["texts"][None]
    ids = sample.context["ids"][text]
    own = text if truth is None else truth
    given = torch.from_numpy(np.stack(changed)).to(sample.value)
    found = []
    with model.quiet(0), torch.no_grad():
        memory = model.head.memory(model.given(given))
        scores = model.head.scores(model.head.steps(memory, [ids]), [ids])[:, 0].tolist()
        for row, score in enumerate(scores):
            read = model.head.spelling.decode(model.head.read(memory[row : row + 1]))
            wrong = sum(not pair.right for pair in align(read, own))
            found.append({
                "errors": wrong, "length": len(own), "log_prob": score, "fall": scores[0] - score
            })  # fmt: skip
    return found


def _other(number: int, count: int, pages: Sequence[str] | None, draw: np.random.Generator) -> int:
    """Draw another line, of another page where pages are known."""
    fit = [
        i for i in range(count)
        if i != number and (pages is None or pages[i] != pages[number])
    ]  # fmt: skip
    if not fit:
        msg = "all lines are of one page; give lines of two pages at least, or leave pages= out"
        raise OptionError(msg)
    return int(draw.choice(fit))


def _around(black: BoolArray) -> BoolArray:
    from scipy.ndimage import binary_dilation

    grown: BoolArray = binary_dilation(black, np.ones((2 * _EDGE + 1, 2 * _EDGE + 1), dtype=bool))
    return grown


def _masks(black: BoolArray, draw: np.random.Generator) -> dict[str, BoolArray]:
    """Return which pixels are replaced in each trial."""
    covered = _around(black) if black.any() else black
    half = _part(covered, int(covered.sum()) // 2, draw)
    return {
        "nothing": np.zeros_like(black), "paper": ~covered, "half of the ink": half,
        "as much paper": _part(~covered, int(half.sum()), draw),
    }  # fmt: skip


def _part(where: BoolArray, count: int, draw: np.random.Generator) -> BoolArray:
    """Return `count` of some pixels, strip by strip in random order; of the last strip the top."""
    strips = np.arange(where.shape[1]) // _STRIP
    order = draw.permutation(int(strips[-1]) + 1)
    rank = np.broadcast_to(np.argsort(order)[strips], where.shape)
    rows, across = np.nonzero(where)
    chosen = np.lexsort((across, rows, rank[rows, across]))[:count]
    part = np.zeros_like(where)
    part[rows[chosen], across[chosen]] = True
    return part


def _wide(paper: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return paper as wide as a line: cut, or mirrored at its end as often as needed."""
    missing = shape[1] - paper.shape[1]
    made: FloatArray = np.pad(paper, ((0, 0), (0, max(0, missing))), mode="symmetric")
    return made[:, : shape[1]]
