"""From what a user writes to a target: numbers, labels, pairs, "V6E", vectors, functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from saliscope.core.class_target import Class, Contrast, Output, Predicted
from saliscope.core.errors import OptionError, nearest
from saliscope.core.output_target import Continuation, Tag
from saliscope.core.sequence_target import Likelihood, Projection, Substitution, Token
from saliscope.core.string_target import Characters, String
from saliscope.core.target import Call, Many, Target

if TYPE_CHECKING:
    from saliscope.core.model import Model

__all__ = ["as_target"]

_SUBSTITUTION = re.compile(r"([A-Z]?)(\d+)([A-Z])(:context)?")
_WRITTEN = re.compile(r"greedy(?::(\d+))?|(continuation|whole):(.+)", re.DOTALL)
_CHARACTERS = re.compile(r"characters(?: (\d+))?(?::\s*(.*))?", re.DOTALL)
_POSITION = re.compile(r"(\d+)(:context)?")


def as_target(spec: object, model: Model) -> Target:
    """Return the target that `spec` stands for.

    Parameters
    ----------
    spec : object
        None (the default of the model: the predicted class, a sequence's likelihood, the next
        token that the model writes, the label of every token, or the line of text that it reads),
        a class number or label,
        ``("a", "b")`` or ``"a vs b"`` for a contrast, ``"V6E"`` for a substitution,
        ``"likelihood"``, ``"likelihood:context"``, ``"greedy:5"``, ``"continuation: text"`` or
        ``"whole: a vs b"`` for what a model writes, ``"3:B-LOC"`` for the label of a token,
        ``"string: an vs au"``, ``"characters"``, ``"characters: an"`` or ``"characters 2"`` for
        what a model reads in a line, a
        tuple of numbers for one entry of a raw output, a list for several targets, a function of
        the output, or a `Target`.
    model : Model

    Raises
    ------
    OptionError
        If nothing fits; the nearest label is named.
    """
    if isinstance(spec, Target):
        return spec
    if spec is None:
        if "classes" in model.heads:
            return Predicted()
        if "tokens" in model.heads:
            return Likelihood()
        if "next" in model.heads:
            return Continuation()
        if "tags" in model.heads:
            return Tag()
        if "strings" in model.heads:
            return String()
        if "raw" in model.heads:
            msg = "the output has several axes; give target= as a tuple of numbers, e.g. (0, 1)"
            raise OptionError(msg)
        msg = "this model has no output to explain by default; give a projection vector as target"
        raise OptionError(msg)
    if isinstance(spec, list):
        if not spec:
            msg = "the list of targets is empty; give at least one"
            raise OptionError(msg)
        return Many(tuple(as_target(item, model) for item in spec))
    if callable(spec):
        return Call(spec)
    if isinstance(spec, np.ndarray) or hasattr(spec, "detach"):
        array = np.asarray(spec.detach().cpu() if hasattr(spec, "detach") else spec)
        return Projection(array)
    if isinstance(spec, tuple):
        return _from_tuple(spec, model)
    if isinstance(spec, str):
        return _from_text(spec, model)
    if isinstance(spec, (int, np.integer)) and not isinstance(spec, bool):
        if "tags" in model.heads:
            return Tag(int(spec))
        if "classes" in model.heads or "raw" not in model.heads:
            return Class(int(spec))
        return Output((int(spec),))
    msg = f"{spec!r} is not a target; give a class, a label, a contrast, a function or a Target"
    raise OptionError(msg)


def _from_tuple(spec: tuple[Any, ...], model: Model) -> Target:
    if "classes" in model.heads and len(spec) == 2:
        return Contrast(*spec)
    if "strings" in model.heads and len(spec) == 2:
        return String(spec[0], instead_of=spec[1])
    if all(isinstance(i, (int, np.integer)) for i in spec) and "raw" in model.heads:
        return Output(tuple(int(i) for i in spec))
    msg = f"{spec!r} is not a target of this model; a contrast is a pair of classes"
    raise OptionError(msg)


def _from_text(spec: str, model: Model) -> Target:
    text = spec.strip()
    if "strings" in model.heads:
        return _line(spec)
    if "classes" in model.heads:
        a, separator, b = text.partition(" vs ")
        if separator and text not in (model.labels or ()):
            return Contrast(a.strip(), b.strip())
        return Class(text)
    if "tags" in model.heads:
        return _tag(text)
    if "next" in model.heads and (found := _WRITTEN.fullmatch(spec)) is not None:
        return _continuation(found)
    if {"tokens", "next"} & model.heads:
        if text in {"likelihood", "likelihood:context"}:
            return Likelihood(context=text.endswith("context"))
        found = _SUBSTITUTION.fullmatch(text)
        if found:
            wild_type, position, to, context = found.groups()
            return Substitution(int(position), to, wild_type or None, context is not None)
        found = _POSITION.fullmatch(text)
        if found:
            return Token(int(found[1]), context=found[2] is not None)
        known = ["likelihood", "likelihood:context"]
        if "next" in model.heads:
            known = ["greedy", "greedy:5", "continuation: text", "whole: text", "likelihood"]
        msg = (
            f"target {spec!r} is not known: {nearest(text, known)} (or a substitution such as "
            "'V6E', or a position such as '6'; ':context' masks the position)"
        )
        raise OptionError(msg)
    if "raw" in model.heads and re.fullmatch(r"\d+", text):
        return Output((int(text),))
    msg = f"target {spec!r} is not known for this model"
    raise OptionError(msg)


def _line(spec: str) -> Target:
    """Return what "characters 2: an", "string: an vs au" or "an" stands for."""
    found = _CHARACTERS.fullmatch(spec)
    if found is not None:
        number, text = found.groups()
        return Characters(text or None, None if number is None else int(number))
    kind, colon, text = spec.partition(":")
    a, versus, b = (text.lstrip() if colon and kind == "string" else spec).partition(" vs ")
    return String(a or None, instead_of=String(b or None) if versus else None)


def _continuation(found: re.Match[str]) -> Continuation:
    """Return what "greedy", "greedy:5", "continuation: text" or "whole: a vs b" stands for."""
    count, kind, text = found.groups()
    if kind is None:
        return Continuation(tokens=int(count or 1))
    a, _, b = text.partition(" vs ")
    if b and a.startswith(" "):  # white space before the pair is before each of the two
        b = f" {b}"
    return Continuation(a, b or None, each=kind == "continuation")


def _tag(text: str) -> Tag:
    """Return what "tags", "3", "Paris", "3:B-LOC" or "3:B-LOC vs O" stands for."""
    if text == "tags":
        return Tag()
    where, _, label = text.partition(":")
    a, _, b = (part.strip() for part in label.partition(" vs "))
    return Tag(int(where) if where.isdecimal() else where, a or None, b or None)
