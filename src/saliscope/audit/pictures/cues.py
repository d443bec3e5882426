"""Spurious cues: whether a place in the picture decides for a class, whatever else is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from saliscope.api.explaining import explain
from saliscope.api.inputs import Input
from saliscope.api.progress import Meter
from saliscope.audit.pictures.regions import TEXTURES, as_region, texture
from saliscope.audit.pictures.study import FEWEST_PAIRS, FEWEST_PLACES, Found, Study
from saliscope.audit.pictures.swapping import Stream
from saliscope.audit.pictures.words import audit_of
from saliscope.audit.record import Audit
from saliscope.core.class_target import class_index
from saliscope.core.engine import Progress
from saliscope.core.errors import InputError, OptionError
from saliscope.core.model import Model, Sample
from saliscope.models.loading import load

__all__ = ["cues"]

Labels = Sequence[Any] | npt.NDArray[Any]

_EXPLAINED = 8  # pictures of a class of which saliency is shown


def cues(
    model: object, images: Any, labels: Labels, region: Sequence[int] | None = None, *,
    target: str | int | None = None, pairs: int = 200, places: int = 50, edge: int | None = None,
    saliency: str | None = "integrated_gradients", budget: int | None = None, seed: int = 0,
    progress: bool | Callable[[Progress], None] = False,
) -> Audit:  # fmt: skip
    """Test whether a region of the picture decides for a class, whatever else is in the picture.

    A picture of the class and one of another are a pair. The region of the first is pasted into
    the second, and that of the second into the first; the effect is the mean change of the log-odds
    of the class, up and down. The same is done with patches of that size at other places: with what
    the picture of the class has there, and with one of five textures, which is pasted into both and
    taken out of the picture of the class again. These are the controls.

    A region is *caught* where its effect is above the 99th percentile of the controls and the 95 %
    interval of the share of pictures that pasting turns into the class lies above 0. Without
    `region` one is searched for on half of the pictures and tested on the others; as it was chosen
    among many, it must also turn more pictures into the class than the 99th percentile of the
    controls does.

    Parameters
    ----------
    model : object
        An image classifier: anything that `saliscope.load` takes.
    images : sequence or numpy.ndarray
        Files, pictures or arrays, each as of `saliscope.explain`. All are one size for the model.
    labels : sequence of str or int
        The true class of each picture, by name or index. Classes of fewer than 8 pictures (16
        without `region`) are not tested.
    region : (x, y, width, height), optional
        In pixels of the picture as the model sees it.
    target : str or int, optional
        The one class that is tested (default: every class among `labels`).
    pairs : int
        Pairs of pictures for each class, at most; controls are tried on the first 40 of them.
    places : int
        Other places for each class.
    edge : int, optional
        Of the windows that are searched, in pixels; the largest cue that can be found (default: a
        quarter of the picture's shorter edge).
    saliency : str, optional
        The method whose share within the region is shown; None for none.
    budget, seed, progress
        As of `saliscope.explain`.

    Returns
    -------
    Audit
        Tables "cues" (a row per class), "controls" (a row per class and control) and, where a
        region was searched for, "windows".

    Raises
    ------
    InputError
        As many labels as pictures are not there, or one class only; the region lies outside, or is
        the whole picture; too few pictures; pictures of several sizes.
    OptionError
        A class that does not exist; a model that is no image classifier; numbers out of range.

    Notes
    -----
    Intervals: percentile bootstrap, 2,000 draws of the pictures of the class with all their pairs.
    The cost is, for each class, at most 2 x `pairs` forward passes for the region and 80 for each
    of 100 controls (8,400 in all), and for a search 32 for each of some 90 windows.

    Examples
    --------
    >>> from saliscope import datasets
    >>> clothes = datasets.clothes(marked=True)
    >>> found = cues("zoo:marked", clothes.images, clothes.labels, (1, 1, 4, 4), target="Coat",
    ...              places=20, saliency=None)
    >>> found.verdict
    'caught'
    """
    for name, value, least in (
        ("pairs", pairs, FEWEST_PAIRS), ("places", places, FEWEST_PLACES), ("edge", edge or 1, 1),
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            msg = f"{name}={value!r} must be a whole number of at least {least}"
            raise OptionError(msg)
    adapter = load(model)
    if adapter.modality != "image":
        msg = (
            f"{adapter.name}: cues are of image classifiers; declare how pictures are prepared "
            "with saliscope.image_model(module, size=...)"
        )
        raise OptionError(msg)
    given = _named(images, labels)
    samples = _samples(adapter, given)  # the classes are known once the model has seen a picture
    if target is not None:
        class_index(target, adapter)
    which = _classes(adapter, labels)
    high, wide = samples[0].units.shape
    fixed = None if region is None else as_region(region, (high, wide))
    if edge is not None and edge >= min(high, wide):
        msg = f"edge={edge}: a window must be smaller than the picture, {wide} x {high} pixels"
        raise OptionError(msg)
    with Meter(progress, None) as meter:
        rng = np.random.default_rng(seed)
        channels = int(samples[0].value.shape[-1])
        textures = [
            adapter.baseline(samples[0], texture(name, (high, wide), channels, rng))
            for name in TEXTURES
        ]
        stream = Stream(adapter, samples, textures, budget, seed, meter.tell)
        study = Study(stream, which, pairs, places, rng, fixed)
        found, looked = study.run(target, edge)
        evaluations = stream.evaluations
        if saliency is not None:
            evaluations += _add_saliency(found, adapter, given, saliency, budget, seed)
    return audit_of(stream, found, looked, which, {
        "pairs": pairs, "places": places, "edge": edge, "region": fixed, "target": target,
        "saliency": saliency,
    }, seed, evaluations)  # fmt: skip


# -- what is given -------------------------------------------------------------------------------


def _named(images: Any, labels: Labels) -> list[Input]:
    """Return pictures with names."""
    pictures = list(images)
    if len(pictures) != len(labels):
        msg = f"{len(pictures):,} pictures and {len(labels):,} labels; give one label per picture"
        raise InputError(msg)
    if not pictures:
        msg = "there is no picture; give some of at least two classes"
        raise InputError(msg)
    return [
        raw
        if isinstance(raw, Input)
        else Input("" if isinstance(raw, str) else f"picture {i}", raw)
        for i, raw in enumerate(pictures)
    ]


def _classes(model: Model, labels: Labels) -> npt.NDArray[np.int64]:
    """Return the index of the class of each picture."""
    said = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    index = {label: class_index(label, model) for label in dict.fromkeys(said)}
    which = np.array([index[label] for label in said], dtype=np.int64)
    if len(set(which.tolist())) < 2:
        msg = (
            f"all {len(said):,} pictures are of one class; a cue is told by pasting it into "
            "others, so give pictures of at least two"
        )
        raise InputError(msg)
    return which


def _samples(model: Model, given: Sequence[Input]) -> list[Sample]:
    samples: list[Sample] = []
    for each in given:
        (sample,) = model.prepare(each.raw, name=each.name or None)
        if samples and sample.units.shape != samples[0].units.shape:
            sizes = [f"{w} x {h}" for h, w in (samples[0].units.shape, sample.units.shape)]
            msg = (
                f"{sample.name}: is {sizes[1]} pixels for the model, and {samples[0].name} "
                f"{sizes[0]}; regions need one size, so declare size= in image_model"
            )
            raise InputError(msg)
        samples.append(sample)
    return samples


def _add_saliency(
    found: Sequence[Found], model: Model, given: Sequence[Input], method: str,
    budget: int | None, seed: int,
) -> int:  # fmt: skip
    """Add which share of the sizes of a map lies in the region, mean over pictures of the class.

    Returns the evaluations that it took.
    """
    evaluations = 0
    for each in found:
        maps = explain(
            model, [given[i] for i in list(dict.fromkeys(each.pairs.own))[:_EXPLAINED]], method,
            target=each.pairs.which, budget=budget, seed=seed,
        )  # fmt: skip
        shares = []
        for one in maps:
            evaluations += one.evaluations
            sizes = np.abs(one.to_numpy())
            if sizes.sum() > 0:
                shares.append(sizes[each.region.box].sum() / sizes.sum())
        each.row["saliency share"] = float(np.mean(shares)) if shares else np.nan
    return evaluations
