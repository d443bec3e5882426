"""Targets of sequence models: likelihoods, substitutions, tokens, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saliscope.core.errors import OptionError
from saliscope.core.target import BoundTarget, IntArray, Target, bound, needs

if TYPE_CHECKING:
    from saliscope.core.model import Model, Sample

__all__ = ["Embedding", "Likelihood", "Projection", "Substitution", "Token", "place_of"]


def place_of(sample: Sample, position: int) -> int:
    """Return the place on the model's axis of the unit numbered `position`."""
    numbers = list(sample.units.coords["position"][1])
    kept = sample.units.kept
    try:
        return int(kept[[numbers[i] for i in kept].index(position)])
    except ValueError:
        msg = f"position {position} does not exist; the input has positions 1 to {len(kept)}"
        raise OptionError(msg) from None


def _reading(
    model: Model, places: Sequence[int] | IntArray, what: str, *, context: bool
) -> tuple[str, IntArray]:
    """Return the output that says what stands at some places, and where it says so.

    A causal model says it one place before, from the tokens on the left alone.
    """
    places = np.asarray(places)
    if "next" not in model.heads:
        needs(model, "tokens", what)
        return "tokens", places
    if context:
        msg = (
            f"{model.name} reads from left to right and never sees what it is asked about; "
            "leave out the context"
        )
        raise OptionError(msg)
    if "embedding" not in model.heads:  # an encoder-decoder
        msg = f"{model.name} gives probabilities of its output only; use a Continuation as target"
        raise OptionError(msg)
    if 0 in places:
        msg = "nothing stands before the first token, so the model does not say what it should be"
        raise OptionError(msg)
    return "next", places - 1


def _letter(sample: Sample, where: int) -> str:
    return str(sample.units.coords[sample.units.kind][1][where])


@dataclass(frozen=True)
class Token(Target):
    """Log-probability of a token or residue at a position (default: the one that is there).

    With `context=True` the position is masked first, so the model sees its context only.
    """

    position: int
    token: str | None = None
    context: bool = False

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term."""
        where = place_of(sample, self.position)
        head, (at,) = _reading(model, [where], "a token target", context=self.context)
        token = self.token or _letter(sample, where)
        name = f"log P({token} at {self.position}{' | context' if self.context else ''})"
        views = ((where,),) if self.context else ((),)
        term = (0, at, model.token_id(token), 1.0)
        return bound([name], self.scale or "log_prob", head, [term], views=views)


@dataclass(frozen=True)
class Substitution(Target):
    """Log-probability ratio of a substitution, log P(to) - log P(wild type), at a position.

    The wild-type marginal of Meier et al. 2021 (eq. 2); with `context=True` the masked marginal.
    """

    position: int
    to: str
    wild_type: str | None = None
    context: bool = False

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return two terms."""
        where = place_of(sample, self.position)
        head, (at,) = _reading(model, [where], "a substitution", context=self.context)
        here = _letter(sample, where)
        if self.wild_type is not None and self.wild_type != here:
            msg = (
                f"{self.wild_type}{self.position}{self.to}: the input has {here} at position "
                f"{self.position}, not {self.wild_type}; check numbering and isoform"
            )
            raise OptionError(msg)
        suffix = " | context" if self.context else ""
        name = f"{here}{self.position}{self.to}{suffix}"
        terms = [(0, at, model.token_id(self.to), 1.0), (0, at, model.token_id(here), -1.0)]
        views = ((where,),) if self.context else ((),)
        return bound([name], self.scale or "log_prob", head, terms, views=views)


@dataclass(frozen=True)
class Likelihood(Target):
    """Log-likelihood of the whole sequence, summed over positions.

    By default in one unmasked pass (of a causal model: each token after those before it, the first
    one left out); with `context=True` every position is masked in turn (the
    pseudo-log-likelihood of Salazar et al. 2020, one pass per position). With `each=True` every
    position is a target of its own.
    """

    context: bool = False
    each: bool = False

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term per known unit."""
        unknown = list(sample.context.get("unknown", ()))
        first = 1 if "next" in model.heads else 0  # of which a causal model says nothing
        places = sample.units.kept
        places = places[(places >= first) & ~np.isin(places, unknown)]
        if not len(places):
            msg = "no unit of this input is known to the model, so it has no likelihood"
            raise OptionError(msg)
        head, reads = _reading(model, places, "a likelihood", context=self.context)
        terms = np.ones((len(places), 4))
        terms[:, 0] = np.arange(len(places)) if self.each else 0
        terms[:, 1], terms[:, 2] = reads, sample.context["ids"][places]
        numbers = sample.units.coords["position"][1]
        suffix = " in context" if self.context else ""
        names = [f"log-likelihood{suffix}"]
        if self.each:
            names = [f"log P({_letter(sample, p)} at {numbers[p]}){suffix}" for p in places]
        scale = self.scale or "log_prob"
        if not self.context:
            return bound(names, scale, head, terms)
        views = tuple((int(place),) for place in places)
        return bound(names, scale, head, terms, views=views, view=range(len(places)))


@dataclass(frozen=True, eq=False)
class Projection(Target):
    """Projection of the embedding, averaged over units, on a vector."""

    vector: Any

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term per dimension."""
        needs(model, "embedding", "a projection")
        vector = np.asarray(self.vector, dtype=np.float64)
        width = sample.context["width"]
        if vector.shape != (width,):
            msg = f"the projection vector has shape {vector.shape}; the embedding has ({width},)"
            raise OptionError(msg)
        if not np.isfinite(vector).all():
            msg = "the projection vector has numbers that are not finite"
            raise OptionError(msg)
        zeros = np.zeros(width)
        terms = np.stack([zeros, zeros, np.arange(width), vector], axis=1)
        return bound(["projection"], "raw", "embedding", terms)


@dataclass(frozen=True)
class Embedding(Target):
    """The embedding itself, one target per dimension, averaged over all units or over some.

    Parameters
    ----------
    positions : tuple of int, optional
        Numbers of the units to average over (residues from 1); None is all of them.
    """

    positions: tuple[int, ...] | None = None

    def bind(self, model: Model, sample: Sample) -> BoundTarget:
        """Return one term, or one per position: each reads all dimensions."""
        needs(model, "embedding", "an embedding")
        width: int = sample.context["width"]
        names = [f"dimension {i}" for i in range(width)]
        if self.positions is None:
            return bound(names, "raw", "embedding", [(0, 0, 0, 1.0)], width=width)
        places = [place_of(sample, position) for position in self.positions]
        terms = [(0, place, 0, 1.0 / len(places)) for place in places]
        return bound(names, "raw", "hidden", terms, width=width)
