"""Attribution: the one result type of every method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from saliscope.core.errors import OptionError
from saliscope.core.groups import regroup
from saliscope.core.partitions import By
from saliscope.core.record import Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PAIR", "Attribution"]

PAIR = ("first", "second")
"""Dims of what is given per pair of units."""


_NAME = 24  # letters of a unit's name in a line


class Attribution(Record):
    """How much each unit of an input counts for a target, and how far to trust that.

    The values carry names on every axis: ``("position",)`` for sequences and text,
    ``("y", "x")`` for images, led by ``"target"`` where there are several and by ``"example"``
    where a tensor of examples was given.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> data = xr.Dataset(
    ...     {"values": ("position", np.array([0.5, -1.0]))},
    ...     coords={"position": [1, 2], "residue": ("position", ["M", "V"])},
    ... )
    >>> a = Attribution(data, {"method": "gradient", "target": ["demo"], "provenance": {}})
    >>> a.top(1)[["position", "residue", "value"]].values.tolist()
    [[2, 'V', -1.0]]
    """

    kind: ClassVar[str] = "attribution"

    def _number(self, name: str) -> Any:
        if name not in self._data:
            return None
        found = self._data[name]
        return float(found) if found.ndim == 0 else found

    @property
    def score(self) -> Any:
        """The target at the input: a float, or an array over targets and examples."""
        return self._number("score")

    @property
    def baseline_score(self) -> Any:
        """The target at the baseline, where the method has one (else None)."""
        return self._number("baseline_score")

    @property
    def gap(self) -> Any:
        """Sum of values minus (score - baseline score), where they should agree (else None)."""
        return self._number("gap")

    @property
    def error(self) -> Any:
        """Estimated L1 error (or None).

        Relative to the larger of the score change and the summed size of the values.
        """
        return self._number("error")

    @property
    def interaction(self) -> Any:
        """Interaction of each pair of units, dims ``("first", "second")`` (or None)."""
        return self._data.get("interaction")

    def top_pairs(self, count: int = 10) -> pd.DataFrame:
        """Return the pairs of units of the largest absolute interaction, the largest first.

        Raises
        ------
        OptionError
            If the result has none.

        Examples
        --------
        >>> import numpy as np, xarray as xr
        >>> pairs = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, -2.0], [0.0, -2.0, 0.0]])
        >>> data = xr.Dataset(
        ...     {"values": ("position", np.ones(3)), "interaction": (PAIR, pairs)},
        ...     {"first": ["a", "b", "c"], "second": ["a", "b", "c"]},
        ... )
        >>> Attribution(data, {"method": "shapley"}).top_pairs(1).values.tolist()
        [['b', 'c', -2.0]]
        """
        names = [name for name in ("interaction", "interaction_stderr") if name in self._data]
        if not names:
            msg = f"{self.name or 'this result'} has no interactions; ask with interactions=True"
            raise OptionError(msg)
        above = np.triu_indices(self._data.sizes["first"], 1)
        places = {dim: ("pair", place) for dim, place in zip(PAIR, above, strict=True)}
        frame = self._data[names].isel(places).to_dataframe().reset_index()
        frame = frame.rename(columns={"interaction": "value", "interaction_stderr": "stderr"})
        numbers = [c for c in ("value", "stderr") if c in frame]
        frame = frame[[c for c in frame if c not in {"pair", *numbers}] + numbers]
        order = np.argsort(-np.abs(frame["value"].to_numpy()), kind="stable")
        return frame.iloc[order[:count]].reset_index(drop=True)

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self._meta["method"])

    @property
    def target(self) -> str | list[str]:
        """Name of the target, or names of several."""
        names: list[str] = self._meta["target"]
        return names if "target" in self._data.dims else names[0]

    @property
    def layer(self) -> str:
        """The layer that was looked at, with its grid (empty for methods at the input)."""
        known: dict[str, Any] | None = self.provenance.get("layer")
        if not known:
            return ""
        grid = " x ".join(map(str, known["grid"]))
        return f"{known['name']}, grid {grid}" + (" (inferred)" if known["inferred"] else "")

    @property
    def evaluations(self) -> int:
        """Model rows that were run for this result."""
        return int(self.provenance["evaluations"])

    @property
    def text(self) -> str:
        """The input as a person reads it (empty for tensors)."""
        return str(self._meta.get("text", ""))

    @property
    def signed(self) -> bool:
        """Whether the sign of a value means something."""
        return bool(self._meta.get("signed", True))

    @property
    def prediction(self) -> list[dict[str, Any]]:
        """What the model predicts: labels and probabilities, the most probable first."""
        found: list[dict[str, Any]] = self._meta.get("prediction", [])
        return found

    def select(self, target: int | str) -> Attribution:
        """Return the part of one of several targets.

        Parameters
        ----------
        target : int or str
            Number or name.
        """
        names: list[str] = self._meta["target"]
        if "target" not in self._data.dims:
            return self
        known = target in names if isinstance(target, str) else 0 <= target < len(names)
        if not known:
            msg = f"there is no target {target!r}; there are: {', '.join(names)}"
            raise OptionError(msg)
        index = names.index(target) if isinstance(target, str) else target
        part = self._data.isel(target=index, drop=True)
        return Attribution(part, {**self._meta, "target": [names[index]]})

    def mean_over_examples(self) -> Attribution:
        """Return the mean map over the examples of a tensor: what counts on the whole.

        For `permutation` this is the global importance. `stderr` becomes the standard error of the
        mean over examples, their standard deviation divided by the square root of their number;
        the background, where there is one, is taken as given.

        Raises
        ------
        OptionError
            If there are no examples to average over.

        Examples
        --------
        >>> import numpy as np, xarray as xr
        >>> maps = np.array([[1.0, 5.0], [3.0, 5.0]])
        >>> data = xr.Dataset({"values": (("example", "dim_1"), maps)})
        >>> mean = Attribution(data, {"method": "masking", "target": ["0"]}).mean_over_examples()
        >>> mean.to_numpy().tolist(), mean.data["stderr"].values.tolist()
        ([2.0, 5.0], [1.0, 0.0])
        """
        if "example" not in self._data.dims:
            msg = f"{self.name or 'this result'} has no examples; explain a tensor of several"
            raise OptionError(msg)
        count = self._data.sizes["example"]
        one = self.values.isel(example=0, drop=True)
        spread = self.values.std("example", ddof=1) if count > 1 else one * np.nan
        mean = self._data.drop_vars(["error", "interaction_stderr"], errors="ignore")
        mean = mean.mean("example").assign(stderr=spread / np.sqrt(count))
        return Attribution(mean, self._meta)

    def group(self, by: By, reduce: str = "sum") -> Attribution:
        """Return the map per group of units: per word, sentence, domain, patch or set of columns.

        Everything that is needed stands in the result itself, so it works on a loaded file.
        Units that belong to no group become the group "rest".

        Parameters
        ----------
        by : str, int, tuple, list, array or mapping
            * ``"word"`` or ``"sentence"`` of a text (see `saliscope.core.words.sentences_of` for
              where sentences end; none holds both input and output), ``"codon"`` of a protein
              (coordinates of the coding sequence come beside) or of nucleotides, or the name of a
              coordinate along the units: equal values make a group;
            * a number: windows of so many units, or square patches; a tuple: one number per axis;
            * a list of ``(start, end, name)``: ranges of positions, both ends included;
            * a mapping of names to the positions, or the names of columns, that belong to them;
            * an array of labels in the shape of the units: whole numbers or names, of which -1
              and "" mean no group.
        reduce : {"sum", "mean", "max", "norm", "absmax"}
            How values of a group become one. A sum keeps score, baseline score and gap true; of
            other reducers there is no gap, and a finding says so. "absmax" is the value of
            largest size, with its sign; "norm" the L2 norm.

        Returns
        -------
        Attribution
            `error` is that of the units, relative to the new map: an upper bound, as errors may
            cancel within a group. `stderr` is kept for sums and means, also as an upper bound
            (the standard deviation of a sum is at most the sum of standard deviations). Other
            numbers per unit, and interactions of pairs, are left out.

        Raises
        ------
        OptionError
            There is no such grouping or reducer, groups overlap, or a span lies outside.

        Examples
        --------
        >>> import numpy as np, xarray as xr
        >>> data = xr.Dataset(
        ...     {"values": ("position", np.array([0.5, -1.0, 2.0])), "score": 3.0, "gap": 0.1},
        ...     coords={"position": [1, 2, 3], "residue": ("position", ["M", "V", "H"])},
        ... )
        >>> a = Attribution(data, {"method": "integrated_gradients", "target": ["demo"]})
        >>> by_span = a.group([(1, 2, "start"), (3, 3, "end")])
        >>> by_span.to_frame()[["span", "first", "last", "value"]].values.tolist()
        [['start', 1, 2, -0.5], ['end', 3, 3, 2.0]]
        >>> by_span.gap, a.group({"H": [3]}, "absmax").to_numpy().tolist()
        (0.1, [2.0, -1.0])
        """
        data, meta, findings = regroup(self._data, self._meta, by, reduce)
        return Attribution(data, meta).with_findings(findings)

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row per unit (and target, and example).

        The column "value" is the map; coordinates and further values per unit are columns too.
        """
        names = [
            str(n) for n, v in self._data.data_vars.items() if v.dims == self._data["values"].dims
        ]
        frame = self._data[names].to_dataframe().reset_index()
        first = [c for c in frame.columns if c not in names]
        return frame[first + names].rename(columns={"values": "value"})

    def top(self, count: int = 10) -> pd.DataFrame:
        """Return the units of the largest absolute value, the largest first."""
        frame = self.to_frame()
        order = np.argsort(-np.abs(frame["value"].to_numpy()), kind="stable")
        return frame.iloc[order[:count]].reset_index(drop=True)

    def strongest(self, count: int = 5, digits: int = 3) -> str:
        """Return the units of the largest absolute value in a few words, the largest first.

        Examples
        --------
        >>> import numpy as np, xarray as xr
        >>> data = xr.Dataset({"values": ("position", np.array([0.5, -1.25]))},
        ...                   coords={"position": [1, 2], "residue": ("position", ["M", "V"])})
        >>> Attribution(data, {"unit_kind": "residue"}).strongest(digits=2)
        'V2 -1.2, M1 +0.5'
        """
        top = self.top(count)
        kinds = (self._meta.get("unit_kind"), "residue", "token", "word")
        kind = next((c for c in kinds if c in top), None)
        axes = [d for d in ("y", "x") if d in top]
        shown = []
        for _, row in top.iterrows():
            name = " ".join(str(row[kind]).split()) if kind else ""
            name = name if len(name) <= _NAME else f"{name[: _NAME - 3]}..."
            if kind in self._data.dims:  # the name is the place
                shown.append(f"{name} {row['value']:+.{digits}g}")
                continue
            place = row["position"] if "position" in top else row.iloc[0]
            place = " ".join(f"{d} {row[d]:g}" for d in axes) or place
            gap = "" if kind in {None, "residue"} else " "
            shown.append(f"{name}{gap}{place} {row['value']:+.{digits}g}")
        return ", ".join(shown)

    def __repr__(self) -> str:
        shape = ", ".join(f"{d}: {n}" for d, n in self.values.sizes.items())
        target = self.target if isinstance(self.target, str) else f"{len(self.target)} targets"
        lines = [f"Attribution of {self.name or 'input'} by {self.method} ({shape})"]
        lines.append(f"  target       {target}")
        for label, value in (
            ("score", self.score), ("baseline", self.baseline_score), ("gap", self.gap),
        ):  # fmt: skip
            if isinstance(value, float):
                lines.append(f"  {label:<12} {value:.6g}")
        if self.layer:
            lines.append(f"  layer        {self.layer}")
        if isinstance(self.error, float):
            lines.append(f"  error        {self.error:.2%} of the map (estimated)")
        if self.values.ndim == 1 and self.values.size:
            lines.append(f"  top          {self.strongest()}")
        lines.append(f"  cost         {self.evaluations} evaluations")
        lines += [f"  {item.severity:<12} {item.sentence}" for item in self.health.worst()]
        if not len(self.health):
            lines.append("  health       nothing found")
        return "\n".join(lines)
