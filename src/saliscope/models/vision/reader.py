"""Reading a line: the most probable text, and character by character where and how surely."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from saliscope.core.errors import InputError, OptionError
from saliscope.core.model import Said, Sample
from saliscope.models.vision import ctc
from saliscope.models.vision.beam import Words, beam
from saliscope.models.vision.heads import FrameHead, Head
from saliscope.models.vision.images import Picture
from saliscope.models.vision.reading import Character, Reading

if TYPE_CHECKING:
    from saliscope.models.vision.recognizer import Recognizer

__all__ = ["searched", "told"]

Ids = tuple[int, ...]


def searched(
    head: Head, memory: Any, width: int, words: Iterable[str] | None, between: str | None,
    count: int, name: str,
) -> list[tuple[float, Ids]]:  # fmt: skip
    """Return the most probable strings of a line with their exact log-probabilities.

    Parameters
    ----------
    head, memory
        What reads, and what the network gives for the line.
    width, words, between, count
        As of `Recognizer.read`.
    name : str
        Of the line.

    Raises
    ------
    OptionError, InputError
        The head is a decoder, a width or count below one, or none of the words fits.
    """
    if not isinstance(head, FrameHead):
        msg = "a beam and a list of words are for CTC; a decoder reads step by step"
        raise OptionError(msg)
    if width < 1 or count < 1:
        msg = f"beam_width={width} and count={count} must be at least 1"
        raise OptionError(msg)
    tree = None
    if words is not None:
        mark = None if between is None else head.spelling.encode(between)
        if mark is not None and len(mark) != 1:
            msg = f"between={between!r} is not one symbol of the alphabet; give one, such as ' '"
            raise OptionError(msg)
        tree = Words(map(head.spelling.encode, words), None if mark is None else mark[0])
    frames = memory[0].double().log_softmax(-1).cpu().numpy()
    found = beam(frames, head.blank, width=width, words=tree, count=count)
    if not found:
        msg = f"{name}: none of the words can be read in this line; give others, or more"
        raise InputError(msg)
    with torch.no_grad():  # exactly: a beam drops alignments
        exact = head.scores(memory, [ids for _, ids in found])[0].tolist()
    return sorted(
        zip(exact, (ids for _, ids in found), strict=True), key=lambda item: -item[0]
    )  # fmt: skip


def told(
    model: Recognizer, sample: Sample, memory: Any, ids: Ids
) -> tuple[Reading, Sequence[Said]]:
    """Return where and how surely a line says outputs."""
    with torch.no_grad():
        steps = model.head.steps(memory, [ids])
        score = float(model.head.scores(steps, [ids])[0, 0])
        said = model.head.said(steps, [ids], 0)
        characters = _characters(model, steps, ids, said, sample)
    picture: Picture = sample.context["source"]
    spelling = model.head.spelling
    reading = Reading(
        sample.name, spelling.decode(ids), tuple(characters), score, model.head.kind,
        picture.width, picture.height, spelling.direction, int(steps.shape[1]),
    )  # fmt: skip
    return reading, said


def _characters(
    model: Recognizer, steps: torch.Tensor, ids: Ids, said: Sequence[Said], sample: Sample
) -> list[Character]:
    """Return characters with their confidence and place, in the order of the text."""
    head = model.head
    probabilities = steps[0].double().softmax(-1).cpu().numpy()
    if not isinstance(head, FrameHead):
        return [
            Character(
                c.text, n, float(probabilities[c.terms[0][:2]]), c.terms[0][0], c.terms[0][0]
            )
            for n, c in enumerate(said, 1)
        ]  # fmt: skip
    frames = steps[0].double().log_softmax(-1).cpu().numpy()
    runs = ctc.aligned(frames, ids, head.blank)
    picture: Picture = sample.context["source"]
    wide = sample.units.shape[1]
    scale = picture.width / wide
    found = []
    for n, place in enumerate(head.spelling.logical(len(ids)), 1):
        run = runs[place]
        own = probabilities[run.first : run.last + 1, run.symbol]
        left, right = model.sight.columns(run.first, run.last, wide, steps.shape[1])
        found.append(
            Character(
                said[n - 1].text, n, float(own.max()), run.first, run.last, left * scale,
                right * scale,
            )
        )  # fmt: skip
    return found
