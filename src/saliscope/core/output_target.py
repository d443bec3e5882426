"""Targets among what a model writes or labels, position by position: continuations and tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from saliscope.core.class_target import class_index
from saliscope.core.errors import OptionError, RefusedError, nearest
from saliscope.core.sequence_target import place_of
from saliscope.core.target import BoundTarget, Target, bound, needs
from saliscope.core.units import FloatArray

if TYPE_CHECKING:
    from saliscope.core.model import Model, Sample

__all__ = ["Continuation", "Tag"]


@dataclass(frozen=True)
class Continuation(Target):
    """What a model writes next: each token of it, explained by all that stands before it.

    The whole output is given to the model at once (teacher forcing), and the probability of its
    token t is read one position before it. So one forward pass serves all tokens, and a token is
    a target with a backward pass of its own. Values have the dims (target, position); positions
    are those of the input and of the output, which the coordinate `stream` tells apart. What
    stands at the token itself or later is zero.

    Parameters
    ----------
    text : str or sequence of int, optional
        The output: a text that is joined to the input as it stands, white space included, or token
        ids. None: what the model itself writes, always taking the most probable token, until it
        ends.
    instead_of : str or sequence of int, optional
        Why the one and not this: log P(text) - log P(instead_of), each after its own beginning.
        With `each`, token by token, which needs outputs of one length.
    tokens : int
        How many tokens the model writes, where it writes them itself.
    each : bool
        Every token is a target; with False the whole output is one, the sum over its tokens.
    scale : str, optional
        Default "log_prob".

    Examples
    --------
    >>> Continuation(" a good film", instead_of=" a bad film", each=False).each
    False
    >>> Continuation(tokens=0)
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: tokens=0 must be a whole number of at least 1
    """

    text: str | Sequence[int] | None = None
    instead_of: str | Sequence[int] | None = None
    tokens: int = 1
    each: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.tokens, bool) or not isinstance(self.tokens, int) or self.tokens < 1:
            msg = f"tokens={self.tokens!r} must be a whole number of at least 1"
            raise OptionError(msg)

    def on(self, model: Model, sample: Sample) -> Sample:
        """Return the input with the output behind it."""
        needs(model, "next", "a continuation")
        given = [self.text] if self.instead_of is None else [self.text, self.instead_of]
        return model.continued(sample, given, self.tokens)

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term per token of the output, two where there is a contrast."""
        needs(model, "next", "a continuation")
        outputs = sample.context.get("outputs")
        if outputs is None:
            msg = "a continuation cannot be read together with targets of the input alone"
            raise OptionError(msg)
        ids, reads = sample.context["ids"], sample.context["reads"]
        labels = sample.units.coords["token"][1]
        numbers = sample.units.coords["position"][1]
        if self.each and len({len(places) for places in outputs}) > 1:
            counts = " and ".join(str(len(places)) for places in outputs)
            msg = (
                f"the outputs have {counts} tokens, so they cannot be compared token by token; "
                "use each=False (on the command line: 'whole: A vs B')"
            )
            raise OptionError(msg)
        terms = [
            (t if self.each else 0, int(reads[place]), int(ids[place]), sign)
            for places, sign in zip(outputs, (1.0, -1.0), strict=False)
            for t, place in enumerate(places)
        ]
        if self.each:
            names = [
                f"{' vs '.join(str(labels[p]) for p in column)} at {numbers[column[0]]}"
                for column in zip(*outputs, strict=True)
            ]
        else:
            names = [" vs ".join(" ".join(str(labels[p]) for p in places) for places in outputs)]
        made = bound(names, self.scale or "log_prob", "next", terms)
        return replace(made, reach=_reach(sample, made))


@dataclass(frozen=True)
class Tag(Target):
    """The label of a token, of a model that labels each (default scale: logit).

    Parameters
    ----------
    where : int or str, optional
        Number of the token, or a word, which is read at its first token. None: every token.
    label : int or str, optional
        Index or name; None is the predicted one.
    instead_of : int or str, optional
        Why not this label: the difference of the two.

    Examples
    --------
    >>> Tag("Paris", "B-LOC", instead_of="O").where
    'Paris'
    """

    where: int | str | None = None
    label: int | str | None = None
    instead_of: int | str | None = None
    predicted: tuple[int, ...] = ()

    def asks(self, model: Model, sample: Sample) -> BoundTarget | None:
        """Return every label of every token, where the predicted one is wanted."""
        if self.label is not None or "tags" not in model.heads:
            return None
        count = len(model.labels or ())
        places = [int(p) for p in sample.units.kept]
        terms = [(i * count + k, p, k, 1.0) for i, p in enumerate(places) for k in range(count)]
        return bound([str(i) for i in range(len(terms))], "logit", "tags", terms)

    def known(self, scores: FloatArray, model: Model) -> Target:
        """Return the same with the labels that are predicted."""
        best = scores.reshape(-1, len(model.labels or ())).argmax(1)
        return replace(self, predicted=tuple(int(k) for k in best))

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term per token, two where there is a contrast."""
        needs(model, "tags", "a tag")
        assert model.labels is not None
        kept = [int(p) for p in sample.units.kept]
        places = kept if self.where is None else [_place(sample, self.where)]
        if self.label is None and len(self.predicted) != len(kept):
            msg = "the predicted labels are not known here; give a label"
            raise OptionError(msg)
        numbers = sample.units.coords["position"][1]
        names, terms = [], list[tuple[int, int, int, float]]()
        for owner, place in enumerate(places):
            if self.label is None:
                index = self.predicted[kept.index(place)]
            else:
                index = class_index(self.label, model)
            name = model.labels[index]
            terms.append((owner, place, index, 1.0))
            if self.instead_of is not None:
                other = class_index(self.instead_of, model)
                terms.append((owner, place, other, -1.0))
                name = f"{name} vs {model.labels[other]}"
            names.append(f"{name} at {numbers[place]}")
        return bound(names, self.scale or model.class_scale, "tags", terms)


def _reach(sample: Sample, target: BoundTarget) -> npt.NDArray[np.bool_]:
    """Return which units stand before the tokens of each target."""
    outputs = sample.context["outputs"]
    begin = int(outputs[0][0])
    found = np.zeros((target.count, sample.units.size), dtype=bool)
    found[:, :begin] = True
    for owner, at in zip(target.owner, target.position, strict=True):
        own = next((places for places in outputs if places[0] <= at <= places[-1]), None)
        if own is not None:
            found[owner, int(own[0]) : int(at) + 1] = True
    return found


def _place(sample: Sample, where: int | str) -> int:
    """Return the place of a token by its number, or of the first token of a word."""
    if not isinstance(where, str):
        return place_of(sample, where)
    words = sample.units.groupings.get("word")
    names: Sequence[Any] = words.names if words is not None else ()
    numbers = sample.units.coords["position"][1]
    found = [i for i, name in enumerate(names) if name == where]
    if not found or words is None:
        msg = f"there is no word {where!r} in {sample.name}: {nearest(where, list(names))}"
        raise OptionError(msg)
    first = [int(np.flatnonzero(words.members(group))[0]) for group in found]
    if len(first) > 1:
        places = ", ".join(str(numbers[p]) for p in first)
        msg = f"the word {where!r} stands at several positions ({places}); give its number"
        raise RefusedError(msg)
    return first[0]
