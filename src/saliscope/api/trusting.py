"""`trust`: test a map against the model that it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from saliscope.api.inputs import Input
from saliscope.api.planning import Plan, plan
from saliscope.api.progress import Meter
from saliscope.api.running import Result
from saliscope.api.trial import Settings, Trial
from saliscope.core.attribution import Attribution
from saliscope.core.engine import Progress
from saliscope.core.errors import InputError, SaliscopeError
from saliscope.trust.record import DRAWS, Trust

__all__ = ["trust", "with_verdict"]

_GENERAL = ("baseline", "tolerance", "max_evaluations")


def trust(
    model: object, inputs: Any, attribution: Any = None, method: str | None = None,
    target: object = None, *, fill: object = None, groups: Any = None, draws: int = DRAWS,
    levels: int = 5, randomize: bool | None = None, repeats: int = 5, neighbors: int = 0,
    noise: float = 0.02, against: Sequence[str] = (), mask: Any = None, budget: int | None = None,
    seed: int = 0, progress: bool | Callable[[Progress], None] = False, tokenizer: Any = None,
    **options: Any,
) -> Any:  # fmt: skip
    """Test whether a map is true to the model, and whether it is of the model at all.

    Parts of the input are taken away in the order of the map, and put back in it; shuffled copies
    of the map, as smooth as it is, do the same. For methods that look inside the model the map is
    made again with random weights, which must give another one. The verdict is in words.

    Parameters
    ----------
    model : object
        Anything that `saliscope.load` takes.
    inputs : object
        One input, a tensor of examples, or a list of inputs.
    attribution : Attribution or array, optional
        The map; without it, `method` makes it. For a list of inputs a list. An array has one
        value per unit (or group) and is tested for its order alone.
    method : str, optional
        Of the map (default: that of the attribution, else integrated_gradients).
    target : object, optional
        One target, as of `saliscope.explain`. Maps that are given are tested on this target too.
    fill : object, optional
        What stands in place of a part that is taken away (default: the modality's).
    groups : str or sequence of int, optional
        What is taken away together (default: words, residues, patches, elements).
    draws : int
        Shuffled copies; a verdict needs 999. Fewer are drawn where a map cannot pass any more.
    levels : int
        Points of each curve, closer together at its start; up to twelve groups, or as many as
        there are points, go one by one.
    randomize : bool, optional
        Whether to make the map again with random weights (default: where the method uses more of
        the model than its output).
    repeats : int
        Sets of random weights.
    neighbors : int
        Noisy neighbors of the input, at which the map is made again (sensitivity); 0 for none.
    noise : float
        Their standard deviation, as a share of the range of the input.
    against : sequence of str
        Other methods, whose agreement with the map is wanted.
    mask : array of bool, optional
        A region that the map should fall on, one value per unit.
    budget, seed, progress, tokenizer
        As of `saliscope.explain`.
    **options
        The method's own options, and its `baseline`, `tolerance` and `max_evaluations`.

    Returns
    -------
    Trust or list of Trust
        A tensor of several examples gives a list.

    Raises
    ------
    SaliscopeError
        Several targets, a map of another shape, a map that the method does not give again.

    Notes
    -----
    A curve is the mean of the target over shares of the input that are gone (Petsiuk et al. 2018,
    arXiv:1806.07421). Comprehensiveness and sufficiency: DeYoung et al. 2020, arXiv:1911.03429.
    Random weights: Adebayo et al. 2018, arXiv:1810.03292. The cost is at most 2 x (levels - 1)
    forward passes per shuffled copy, each distinct perturbed input once: 8,000 in all by default;
    about 800 where the map is no better than chance; and 2 + 6 + (repeats - 1) maps where weights
    are randomized.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Linear(8, 1, bias=False).double()
    >>> with torch.no_grad():
    ...     _ = net.weight.copy_(torch.tensor([[3.0, -1, 0.5, 2, -2, 0.1, 1, -0.3]]))
    >>> x = torch.ones(1, 8).double()
    >>> trust(net, x, method="input_x_gradient").verdict
    'passes'
    >>> trust(net, x, attribution=[1.0, 2, 3, 4, 5, 6, 7, 8]).verdict
    'fails'
    """
    settings = Settings(
        fill, groups, draws, levels, randomize, repeats, neighbors, noise, tuple(against), mask
    )
    many = isinstance(inputs, (list, tuple)) and not isinstance(inputs, Input)
    given = list(inputs) if many else [inputs]
    maps = list(attribution) if many and attribution is not None else [attribution] * len(given)
    if len(maps) != len(given):
        msg = f"{len(maps)} maps were given for {len(given)} inputs; give one per input"
        raise InputError(msg)
    made: list[Trust] = []
    alone = not many
    with Meter(progress, len(given)) as meter:
        for raw, own in zip(given, maps, strict=True):
            wanted = _plan(
                model, own, method, target, budget=budget, seed=seed, tokenizer=tokenizer,
                options=options,
            )  # fmt: skip
            model = wanted.model  # loaded once
            named = raw if isinstance(raw, Input) else Input("", raw)
            found = [
                Trial(wanted, part, one, settings, meter.tell).result()
                for part, one in _examples(wanted, named, own)
            ]
            alone = alone and len(found) == 1
            made += found
            meter.next()
    return made[0] if alone else made


def _plan(
    model: object, given: Any, method: str | None, target: object, *, options: dict[str, Any],
    **rest: Any,
) -> Plan:  # fmt: skip
    """Return how the map is made, or was made."""
    general = {k: options[k] for k in _GENERAL if k in options}
    own = {k: v for k, v in options.items() if k not in _GENERAL}
    name = method
    if isinstance(given, Attribution):
        name = method or given.method
        if method is None:
            own = {**given.provenance.get("options", {}), **own}
            own = {k: tuple(v) if isinstance(v, list) else v for k, v in own.items()}
    if name is None:  # a map that is given needs no method, so one that any model offers
        name = "integrated_gradients" if given is None else "masking"
    return plan(model, name, target, options=own, **general, **rest)


def _examples(wanted: Plan, named: Input, given: Any) -> Iterator[tuple[Input, Any]]:
    """Yield inputs one by one: a tensor of examples is cut, and its map with it."""
    raw = named.raw
    rows = wanted.model.modality in {"tensor", "table"} and len(getattr(raw, "shape", ())) > 0
    count = len(raw) if rows else 1
    if count < 2:
        yield named, given
        return
    if (
        given is not None
        and len(given.values if isinstance(given, Attribution) else given) != count
    ):
        msg = f"the maps are not one per example ({count})"
        raise InputError(msg)
    for i in range(count):
        one = given
        if isinstance(given, Attribution) and "example" in given.data.dims:
            one = Attribution(given.data.isel(example=[i]), given.meta)
        elif given is not None:
            one = given[i]
        yield Input(f"{named.name or 'example'} {i}", raw[i : i + 1]), one


def with_verdict(wanted: Plan, named: Input, made: Result) -> Result:
    """Return a map with its verdict in ``meta["trust"]``, one entry per example; an error as it is.

    A map that cannot be tested is not lost: its verdict says why.
    """
    if not isinstance(made, Attribution):
        return made
    said: list[dict[str, str]] = []
    try:
        for part, one in _examples(wanted, named, made):
            found = Trial(wanted, part, one, Settings(), None).result()
            said.append({"verdict": found.verdict, "sentence": found.sentence})
    except SaliscopeError as error:
        said = [{"verdict": "not assessed", "sentence": f"Not assessed: {error}"}]
    return Attribution(made.data, {**made.meta, "trust": said})
