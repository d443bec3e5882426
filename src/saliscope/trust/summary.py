"""Many tested maps together: how often each verdict, and means with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saliscope.core.errors import InputError
from saliscope.trust.record import Trust

__all__ = ["summarize"]

_RESAMPLED = 2000


def summarize(tested: Sequence[Trust], *, seed: int = 0) -> pd.DataFrame:
    """Return a row per method: verdicts, and mean measures with 95 % intervals over inputs.

    The inputs are resampled (percentile bootstrap); with one input there is no interval.

    Parameters
    ----------
    tested : sequence of Trust
    seed : int

    Raises
    ------
    InputError
        There is none.

    Returns
    -------
    pandas.DataFrame
        `margin` is by how much deletion and insertion together beat the mean of shuffled copies,
        in units of the target.
    """
    if not tested:
        msg = "there is no tested map to summarize"
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    rows = []
    for method in dict.fromkeys(each.method for each in tested):
        own = [each for each in tested if each.method == method]
        counts = {
            word: sum(each.verdict == word for each in own)
            for word in ("passes", "weak", "fails", "not assessed")
        }
        row: dict[str, object] = {"method": method, "inputs": len(own), **counts}
        for name in ("margin", "correlation", "randomized"):
            values = np.array([_value(each, name) for each in own])
            values = values[np.isfinite(values)]
            row[name] = values.mean() if len(values) else np.nan
            again = rng.choice(values, (_RESAMPLED, len(values))).mean(1) if len(values) > 1 else []
            ends = np.percentile(again, (2.5, 97.5)) if len(again) else (np.nan, np.nan)
            row[f"{name} low"], row[f"{name} high"] = ends
        rows.append(row)
    return pd.DataFrame(rows)


def _value(each: Trust, name: str) -> float:
    if name == "margin":
        deletion, insertion = each["deletion"], each["insertion"]
        return deletion["null"] - deletion["value"] + insertion["value"] - insertion["null"]
    try:
        return each[name]["value"]
    except KeyError:
        return float("nan")
