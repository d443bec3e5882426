"""Targets of models that read a line of text: whole strings, and each of their characters.

A recognizer has an output for every string there is. A target names the few that it reads, and the
sample brings them to the model (`Target.on`), which gives the log-probability of each: so a string
is one term, and a contrast of two strings two. Characters are terms among the steps at which the
model says something (frames of a CTC model, steps of a decoder).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saliscope.core.errors import OptionError
from saliscope.core.target import BoundTarget, Target, bound, needs

if TYPE_CHECKING:
    from saliscope.core.model import Model, Sample

__all__ = ["Characters", "String", "visible"]


@dataclass(frozen=True)
class String(Target):
    """The log-probability that a recognizer reads a whole string.

    Exact: of a CTC model the sum over all alignments (forward algorithm, Graves et al. 2006), of a
    decoder the sum over its steps with the end of the line.

    Parameters
    ----------
    text : str, optional
        None: what the model itself reads.
    instead_of : str or String, optional
        Why the one and not this: log P(text) - log P(instead_of).
    scale : {"log_prob", "prob"}, optional
        Default "log_prob"; a contrast is one of log-probabilities.

    Examples
    --------
    >>> String("an") - String("au") == String("an", instead_of=String("au"))
    True
    >>> String("an", instead_of="au", scale="prob")
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: a contrast of strings is read on the scale log_prob, not prob
    """

    text: str | None = None
    instead_of: str | String | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale not in {None, "log_prob", "prob"}:
            msg = f"a string has a log_prob and a prob, but no {self.scale}"
            raise OptionError(msg)
        if self.instead_of is not None and self.scale == "prob":
            msg = "a contrast of strings is read on the scale log_prob, not prob"
            raise OptionError(msg)

    def __sub__(self, other: String) -> String:
        """Return the contrast: why this string and not the other."""
        if not isinstance(other, String):
            return NotImplemented
        if self.instead_of is not None or other.instead_of is not None:
            msg = "a contrast is of two strings; one of these is a contrast itself"
            raise OptionError(msg)
        return String(self.text, instead_of=other, scale=self.scale)

    @property
    def texts(self) -> list[str | None]:
        """The one string, or the two of a contrast."""
        if self.instead_of is None:
            return [self.text]
        other = self.instead_of
        return [self.text, other.text if isinstance(other, String) else other]

    def on(self, model: Model, sample: Sample) -> Sample:
        """Return the line with these strings to be read off it."""
        needs(model, "strings", "a string")
        return model.continued(sample, self.texts, 0)

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term, two where there is a contrast."""
        needs(model, "strings", "a string")
        read = sample.context["texts"]  # what each name stands for, None included
        texts = [read[text] for text in self.texts]
        if len(set(texts)) < len(texts):
            msg = f"a contrast needs two different strings, and both are {texts[0]!r}"
            raise OptionError(msg)
        every: tuple[str, ...] = sample.context["strings"]
        terms = [
            (0, 0, every.index(text), sign)
            for text, sign in zip(texts, (1.0, -1.0), strict=False)
        ]  # fmt: skip
        name = " vs ".join(repr(text) for text in texts)
        if len(texts) == 1:
            name = f"{'P' if self.scale == 'prob' else 'log P'}({name})"
        return bound([name], self.scale or "log_prob", "strings", terms)


@dataclass(frozen=True)
class Characters(Target):
    """Each character of a string, explained by itself, all from one forward pass.

    Of a decoder: the log-probability of each of its steps, given what was written before. Of a CTC
    model: the log-probabilities of the character at all frames, weighted with the posterior
    probability that the frame says this character of the string. The weights are those at the
    line as it is (the expectation step of the EM algorithm), so the gradients of all characters
    and of the blanks between sum to the exact gradient of the string's log-probability.

    Parameters
    ----------
    text : str, optional
        The string; None is what the model itself reads.
    at : int, optional
        Only the character of this number, counted from 1 in the order of the text.
    scale : str, optional
        Default "log_prob".

    Examples
    --------
    >>> Characters("an", at=2).at
    2
    """

    text: str | None = None
    at: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale == "log_odds":
            msg = "characters are read as logit, log_prob or prob"
            raise OptionError(msg)

    def on(self, model: Model, sample: Sample) -> Sample:
        """Return the line with the string whose characters are read off it."""
        needs(model, "steps", "a target of characters")
        return model.continued(sample, [self.text], 0)

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return the terms of each character: its steps, weighted."""
        needs(model, "steps", "a target of characters")
        text: str = sample.context["texts"][self.text]
        said = model.said(sample, text)
        if not said:
            why = "nothing is read in it" if self.text is None else "the text is empty"
            msg = (
                f"{sample.name}: {why}, so there is no character to explain; check the picture, "
                "or give the text that shall be explained"
            )
            raise OptionError(msg)
        numbers = range(1, len(said) + 1)
        if self.at is not None:
            if isinstance(self.at, bool) or self.at not in numbers:
                msg = f"character {self.at} does not exist; {text!r} has 1 to {len(said)}"
                raise OptionError(msg)
            numbers = range(self.at, self.at + 1)
        terms = [
            (owner, step, output, weight)
            for owner, number in enumerate(numbers)
            for step, output, weight in said[number - 1].terms
        ]
        names = [f"{visible(said[n - 1].text)} at {n}" for n in numbers]
        return bound(names, self.scale or "log_prob", "steps", terms)


def visible(text: str) -> str:
    r"""Return a character as names show it: a space as an open box, a lone accent on a circle.

    Examples
    --------
    >>> visible(" "), visible("a"), visible("\u0301")
    ('\u2423', 'a', '\u25cc\u0301')
    """
    if text and unicodedata.combining(text[0]):
        return f"\u25cc{text}"
    return text.replace(" ", "\u2423") or "\u2205"
