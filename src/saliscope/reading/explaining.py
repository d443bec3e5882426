"""Maps of a line beside its truth: of each character, and of each mistake."""

from __future__ import annotations

import dataclasses
from typing import Any

from saliscope.api.explaining import explain
from saliscope.api.inputs import Input
from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError, SaliscopeError
from saliscope.core.string_target import Characters
from saliscope.models.loading import load
from saliscope.models.vision.recognizer import Recognizer
from saliscope.reading.comparing import Comparison, Mistake, compare

__all__ = ["METHOD", "explain_characters", "explain_mistakes", "reader"]

METHOD = "occlusion"
"""By columns: what the text would lose without them. One set of passes serves all targets."""


def reader(model: object) -> Recognizer:
    """Return a model that reads lines of text.

    Parameters
    ----------
    model : object
        Anything that `saliscope.load` takes.

    Raises
    ------
    OptionError
        It does not read lines.

    Examples
    --------
    >>> reader("zoo:sentiment")
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: zoo:sentiment does not read lines of text; give a \
recognizer such as zoo:handwriting
    """
    found = load(model)
    if not isinstance(found, Recognizer):
        msg = f"{found.name} does not read lines of text; give a recognizer such as zoo:handwriting"
        raise OptionError(msg)
    return found


def explain_characters(
    model: object, image: object, truth: str | None = None, method: str = METHOD, **options: Any
) -> Attribution:
    """Return a map for each character that is read, with its mistakes noted for the pictures.

    Parameters
    ----------
    model : object
        A recognizer, or what `saliscope.load` makes one of.
    image : object
        A picture of a line, or an `Input`.
    truth : str, optional
        What is written there.
    method : str
    **options
        As of `saliscope.explain`.

    Returns
    -------
    Attribution
    """
    recognizer = reader(model)
    made = explain(recognizer, image, method, Characters(), **options)
    if truth is None:
        return made
    return _noted(made, _compared(recognizer, image, truth))


def explain_mistakes(
    model: object, image: object, truth: str, method: str = METHOD, *, most: int | None = None,
    **options: Any,
) -> tuple[Comparison, Attribution | None]:  # fmt: skip
    """Return what is wrong in a line, and why: a map for each mistake.

    The map of a mistake explains log P(text as read) - log P(the same text with this one mistake
    put right): the exact contrast of two whole strings. What is positive speaks for what was read,
    what is negative for the truth. All mistakes of a line share their passes forward.

    Parameters
    ----------
    model : object
        A recognizer, or what `saliscope.load` makes one of.
    image : object
        A picture of a line, or an `Input`.
    truth : str
        What is written there.
    method : str
    most : int, optional
        Explain only so many, the surest ones first: of those the model should have known better.
    **options
        As of `saliscope.explain`.

    Returns
    -------
    comparison : Comparison
    maps : Attribution or None
        One target per mistake, in the order of the text, named "u read for n at 5"; None where
        there is none, or none can be explained, as the model's alphabet does not have the
        character that is written.
    """
    recognizer = reader(model)
    found = _compared(recognizer, image, truth)
    chosen = list(found.mistakes)
    if most is not None and len(chosen) > most:
        surest = sorted(chosen, key=lambda m: -(m.confidence or 0.0))[:most]
        chosen = [mistake for mistake in chosen if mistake in surest]
    if not chosen:
        return found, None
    targets = [found.contrast(mistake) for mistake in chosen]
    try:
        made = explain(recognizer, image, method, targets, **options)
    except SaliscopeError:
        kept = [m for m in chosen if _sayable(recognizer, image, found, m)]
        if not kept or len(kept) == len(chosen):
            if kept:
                raise
            return found, None
        chosen = kept
        targets = [found.contrast(mistake) for mistake in chosen]
        made = explain(recognizer, image, method, targets, **options)
    return found, _noted(made, found, chosen)


def _sayable(model: Recognizer, image: object, found: Comparison, mistake: Mistake) -> bool:
    """Return whether a model can read the text with a mistake put right."""
    raw, name = (image.raw, image.name) if isinstance(image, Input) else (image, None)
    (sample,) = model.prepare(raw, name=name)
    try:
        model.continued(sample, [found.reading.text, mistake.repaired])
    except SaliscopeError:
        return False
    return True


def _compared(model: Recognizer, image: object, truth: str) -> Comparison:
    raw, name = (image.raw, image.name) if isinstance(image, Input) else (image, None)
    return compare(model.read(raw, name=name), truth)


def _noted(
    made: Attribution, found: Comparison, explained: list[Mistake] | None = None
) -> Attribution:
    """Return a map that says what is wrong in its line, and which mistake each target is of."""
    noted: dict[str, Any] = {
        "truth": found.truth,
        "mistakes": [dataclasses.asdict(m) for m in found.mistakes],
    }
    data, meta = made.data, {**made.meta, "compared": noted}
    if explained is not None:
        noted["explained"] = [found.mistakes.index(m) for m in explained]
        # Two whole texts that differ in a letter are no name for a reader.
        meta["target"] = [f"{mistake} at {mistake.number}" for mistake in explained]
        if "target" in data.dims:
            data = data.assign_coords(target=meta["target"])
    return Attribution(data, meta)
