"""The test of cues: which pictures are paired, what is swapped, and what counts as caught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from saliscope.audit.pictures.regions import TEXTURES, Region, others
from saliscope.audit.pictures.searching import find, windows
from saliscope.audit.pictures.swapping import Move, Pairs, Stream, Swapped
from saliscope.core.class_target import class_index
from saliscope.core.errors import InputError
from saliscope.core.units import FloatArray

__all__ = ["FEWEST_PAIRS", "FEWEST_PLACES", "Found", "Study"]

FEWEST_PAIRS = 8
"""Pairs of pictures without which a class is not tested."""
FEWEST_PLACES = 10
"""Other places without which a region has nothing to be compared with."""
CONTROLLED = 40
"""Pairs of pictures, at most, on which the controls are tried."""
SEARCHED = 16
"""Pairs of pictures, at most, with which a region is searched for."""
LEVEL = 99.0
"""Percentile of the controls that a cue is above."""

_DRAWS = 2000


@dataclass(eq=False)
class Found:
    """One class: its region and what came of it."""

    pairs: Pairs
    region: Region
    names: list[tuple[str, Region]]
    own: Swapped
    controls: Swapped
    row: dict[str, Any]


@dataclass(eq=False)
class Study:
    """Chooses pairs, searches, and tests."""

    stream: Stream
    which: npt.NDArray[np.int64]
    most: int
    places: int
    rng: np.random.Generator
    fixed: Region | None

    def run(
        self, target: str | int | None, edge: int | None
    ) -> tuple[list[Found], pd.DataFrame | None]:
        """Return what was found for each class, and the windows where they were searched."""
        model = self.stream.model
        wanted = (
            sorted(set(self.which.tolist())) if target is None else [class_index(target, model)]
        )
        parts = 1 if self.fixed is not None else 2
        split = [(c, self._pairs(c, parts)) for c in wanted]
        kept = [
            (c, own) for c, own in split
            if min(len(set(own[-1].own)), len(own[-1])) >= FEWEST_PAIRS
        ]  # fmt: skip
        if not kept:
            counts = ", ".join(f"{self._label(c)} {(self.which == c).sum()}" for c in wanted[:6])
            msg = (
                f"too few pictures to test a class ({counts} of {len(self.which)}); give at least "
                f"{parts * FEWEST_PAIRS} of it, and as many of others"
            )
            raise InputError(msg)
        looked = None
        if self.fixed is not None:
            regions = [self.fixed] * len(kept)
        else:
            searched = [own[0] for _, own in kept]
            regions, effects = find(self.stream, searched, edge)
            looked = self._windows(searched, effects, edge)
        return self._test([own[-1] for _, own in kept], regions), looked

    def _label(self, which: int) -> str:
        labels = self.stream.model.labels
        assert labels is not None
        return labels[which]

    def _pairs(self, which: int, parts: int) -> list[Pairs]:
        """Return pairs of a class and others: one set, or one to search and one to test."""
        own = self.rng.permutation(np.flatnonzero(self.which == which))
        rest = self.rng.permutation(np.flatnonzero(self.which != which))
        # Other classes take turns, so that each stands for as many pairs.
        turns = np.zeros(len(rest), dtype=np.int64)
        for c in set(self.which[rest].tolist()):
            mine = self.which[rest] == c
            turns[mine] = np.arange(mine.sum())
        rest = rest[np.argsort(turns, kind="stable")]
        found = []
        for part in range(parts):
            mine, theirs = own[part::parts], rest[part::parts]
            size = min(len(theirs), SEARCHED if part < parts - 1 else self.most)
            # Pictures of the class serve again where there are more of others.
            again = np.resize(mine, size) if len(mine) else mine
            found.append(Pairs(which, again.tolist(), theirs[: len(again)].tolist()))
        return found

    def _test(self, pairs: Sequence[Pairs], regions: Sequence[Region]) -> list[Found]:
        """Swap each region and its controls, all in one stream."""
        shape = self.stream.units.shape
        names: list[list[tuple[str, Region]]] = []
        moves: list[list[Move]] = []
        for region in regions:
            elsewhere = others(region, (shape[0], shape[1]), self.places, self.rng)
            if len(elsewhere) < FEWEST_PLACES:
                msg = (
                    f"region {region}: only {len(elsewhere)} patches of its size fit beside it, "
                    f"and fewer than {FEWEST_PLACES} say nothing; give a smaller one"
                )
                raise InputError(msg)
            # Each place once with what is there, and once with one of the textures, in turn.
            kinds = [i % len(TEXTURES) for i in range(len(elsewhere))]
            names.append([
                *(("own", r) for r in elsewhere),
                *((TEXTURES[i], r) for i, r in zip(kinds, elsewhere, strict=True)),
            ])  # fmt: skip
            moves.append([
                *((r, -1) for r in elsewhere),
                *((r, i) for i, r in zip(kinds, elsewhere, strict=True)),
            ])  # fmt: skip
        fewer = [each.first(CONTROLLED) for each in pairs]
        swapped = self.stream.swap(
            [*pairs, *fewer], [*([(region, -1)] for region in regions), *moves]
        )
        return [
            Found(each, region, labels, own, controls, self._row(each, region, own, controls))
            for each, region, labels, own, controls in zip(
                pairs, regions, names, swapped[: len(pairs)], swapped[len(pairs) :], strict=True
            )
        ]

    def _row(self, pairs: Pairs, region: Region, own: Swapped, controls: Swapped) -> dict[str, Any]:
        weights = _resampled(pairs.own, 0)
        fewer = _resampled(pairs.first(CONTROLLED).own, 1)
        effect, flips = own.effect[0], own.flips[0].astype(np.float64)
        low, high = np.percentile(weights @ effect, (2.5, 97.5))
        flip_low, flip_high = np.percentile(weights @ flips, (2.5, 97.5))
        beside = np.percentile(fewer @ controls.flips.T, LEVEL, axis=1)
        excess_low = float(np.percentile(weights @ flips - beside, 2.5))
        level = float(np.percentile(controls.effect.mean(1), LEVEL))
        caught = bool(effect.mean() > level and flip_low > 0)
        if self.fixed is None:
            caught = caught and excess_low > 0
        shape = self.stream.units.shape
        return {
            "class": self._label(pairs.which), "caught": caught, "effect": float(effect.mean()),
            "low": float(low), "high": float(high), "control 99 %": level,
            "flip rate": float(flips.mean()), "flip low": float(flip_low),
            "flip high": float(flip_high), **region._asdict(), "pairs": len(pairs),
            "gain": float(own.gain.mean()), "loss": float(own.loss.mean()),
            "excess flips low": excess_low, "area share": region.area / (shape[0] * shape[1]),
            "saliency share": np.nan,
        }  # fmt: skip

    def _windows(
        self, pairs: Sequence[Pairs], effects: FloatArray, edge: int | None
    ) -> pd.DataFrame:
        shape = self.stream.units.shape
        tried = windows((shape[0], shape[1]), edge)
        return pd.DataFrame([
            {"class": self._label(each.which), **window._asdict(), "effect": float(effect)}
            for each, row in zip(pairs, effects, strict=True)
            for window, effect in zip(tried, row, strict=True)
        ])  # fmt: skip


def _resampled(own: Sequence[int], seed: int) -> FloatArray:
    """Return weights of pairs, (draws, pairs): pictures of the class are drawn, pairs and all."""
    pictures, of = np.unique(np.asarray(own), return_inverse=True)
    rng = np.random.default_rng(seed)
    count = len(pictures)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=_DRAWS)[:, of]
    return np.asarray(drawn / drawn.sum(1, keepdims=True))
