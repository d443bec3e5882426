"""AttentionMap: where a model attended, with every number labelled."""

from __future__ import annotations

from typing import Any, ClassVar

import xarray as xr

from saliscope.core.attribution import Attribution
from saliscope.core.errors import OptionError
from saliscope.core.record import Record

__all__ = ["AttentionMap"]


class AttentionMap(Record):
    """What each token looked at, layer by layer.

    The dims of the values follow the reduction: received (layer, head, position); mean (layer,
    query, key); full (layer, head, query, key); rollout (query, key). `position`, `query` and
    `key` are numbered from 1; the letters or tokens stand beside them (``residue`` along
    position; ``query_residue`` and ``key_residue``), and the path of each layer in ``module``.

    Further numbers in `data`: ``removed`` (layer, head), the mass that went to special tokens
    that were dropped, and ``seen`` (layer, position or key), how many queries can see each key.

    Examples
    --------
    >>> import numpy as np
    >>> data = xr.Dataset(
    ...     {"values": (("layer", "head", "position"), np.array([[[0.2, 0.8], [0.4, 0.6]]])),
    ...      "removed": (("layer", "head"), np.zeros((1, 2)))},
    ...     coords={"layer": [0], "head": [0, 1], "position": [1, 2],
    ...             "residue": ("position", ["M", "V"])},
    ... )
    >>> m = AttentionMap(data, {"reduce": "received", "kind": "encoder", "provenance": {}})
    >>> m.received(layer=-1).to_numpy().round(3).tolist()
    [0.3, 0.7]
    """

    kind: ClassVar[str] = "attention_map"

    @property
    def reduce(self) -> str:
        """How it was reduced: "received", "mean", "full" or "rollout"."""
        return str(self._meta["reduce"])

    @property
    def attention(self) -> str:
        """Which attention it is: "encoder", "decoder", "cross" or "slots"."""
        return str(self._meta["kind"])

    @property
    def layers(self) -> dict[int, str]:
        """Numbers of the layers, and the path of each in the model."""
        names: dict[str, str] = self._meta.get("modules", {})
        return {int(number): name for number, name in names.items()}

    @property
    def text(self) -> str:
        """The input as a person reads it."""
        return str(self._meta.get("text", ""))

    @property
    def unit(self) -> str:
        """What a position (or key) is: "residue", "token", ..."""
        return str(self._meta.get("unit", "token"))

    @property
    def removed(self) -> xr.DataArray:
        """Mass that went to dropped special tokens, mean over queries: (layer, head)."""
        return self._data["removed"]

    @property
    def rollout(self) -> xr.DataArray:
        """The rollout, (query, key).

        Raises
        ------
        OptionError
            If the map was not made with ``reduce="rollout"``.
        """
        if self.reduce != "rollout":
            msg = f"this map holds {self.reduce!r}; ask for attention with reduce='rollout'"
            raise OptionError(msg)
        return self.values

    def _place(self, dim: str, number: int) -> int:
        """Return the place of a layer or head along its axis."""
        if dim not in self._data.dims:
            made = "a rollout" if self.reduce == "rollout" else "a mean over heads"
            msg = f"{dim}={number}: {made} has no {dim} to select; use another reduce="
            raise OptionError(msg)
        there = self._data[dim].to_numpy().tolist()
        if dim == "layer" and -len(there) <= number < 0:
            return number + len(there)
        if number not in there:
            msg = f"{dim}={number} is not in this map; it has {', '.join(map(str, there))}"
            raise OptionError(msg)
        return int(there.index(number))

    def select(self, *, layer: int | None = None, head: int | None = None) -> AttentionMap:
        """Return the part of one layer, of one head, or of one head of one layer.

        Parameters
        ----------
        layer : int, optional
            Number of a layer; a negative one counts from the last in this map.
        head : int, optional
            Number of a head.

        Returns
        -------
        AttentionMap
            Its axes of layers and heads stay, with length one.

        Raises
        ------
        OptionError
            If there is no such layer or head, or no such axis.
        """
        data = self._data
        meta: dict[str, Any] = dict(self._meta)
        if layer is not None:
            place = self._place("layer", layer)
            data = data.isel(layer=[place])
            number = int(data["layer"].to_numpy()[0])
            meta["modules"] = {str(number): self.layers.get(number, "")}
        if head is not None:
            if self.reduce == "mean":
                msg = f"head={head}: a mean over heads has no head to select; use reduce='full'"
                raise OptionError(msg)
            data = data.isel(head=[self._place("head", head)])
        return AttentionMap(data, meta)

    def received(self, layer: int = -1) -> Attribution:
        """Return what each position received in one layer: one score per position.

        The mean over heads and over the queries that can see the position. Without special
        tokens to drop, and where every query sees every key, the scores sum to 1.

        Parameters
        ----------
        layer : int
            Number of a layer; a negative one counts from the last in this map.

        Returns
        -------
        Attribution
            Of method "attention", with dims ("position",).

        Raises
        ------
        OptionError
            If this is a rollout (no single layer), or there is no such layer.
        """
        if self.reduce == "rollout":
            msg = "a rollout has no single layer to receive from; use reduce='received'"
            raise OptionError(msg)
        place = self._place("layer", layer)
        number = int(self._data["layer"].to_numpy()[place])
        part = self._data.isel(layer=place, drop=True)
        values = part["values"]
        if "head" in values.dims:
            values = values.mean("head")
        dim = "position"
        if "query" in values.dims:
            values = values.sum("query") / part["seen"].clip(min=1)
            dim = "key"
        own = {
            str(name).removeprefix("key_"): ("position", c.to_numpy())
            for name, c in part.coords.items()
            if c.dims == (dim,) and name != dim
        }
        data = xr.Dataset(
            {"values": ("position", values.to_numpy())},
            coords={"position": part[dim].to_numpy(), **own},
        )
        names = {"layer": number, "module": self.layers.get(number, "")}
        meta = {
            **self._meta,
            "method": "attention",
            "target": [f"received, {self.attention} layer {number}"],
            "unit": "attention",
            "signed": False,
            "options": {**self._meta.get("options", {}), **names},
        }
        return Attribution(data, meta)

    def __repr__(self) -> str:
        shape = ", ".join(f"{d}: {n}" for d, n in self.values.sizes.items())
        lines = [f"AttentionMap of {self.name or 'input'}: {self.reduce} ({shape})"]
        lines.append(f"  attention    {self.attention}")
        names = list(self.layers.values())
        if names:
            shown = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
            lines.append(f"  layers       {len(names)}: {shown}")
        mass = float(self.removed.mean())
        worst = float(self.removed.max())
        if worst > 0:
            lines.append(f"  removed      {mass:.1%} on special tokens (at most {worst:.1%})")
        if self.reduce != "rollout" and self.values.size:
            top = self.received(layer=-1).top(5)
            label = next((c for c in ("residue", "token", "word") if c in top), None)
            shown = ", ".join(
                f"{row[label] if label else ''}{'' if label == 'residue' else ' ' if label else ''}"
                f"{row['position']} {row['value']:.3g}"
                for _, row in top.iterrows()
            )
            lines.append(f"  most seen    {shown} (last layer)")
        lines.extend(f"  {item.severity:<12} {item.sentence}" for item in self.health.worst())
        if not len(self.health):
            lines.append("  health       nothing found")
        return "\n".join(lines)
