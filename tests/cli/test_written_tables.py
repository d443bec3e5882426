"""The table of many results: maps of millions of pixels, and targets that are a line of text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from saliscope.cli.writing import Written
from saliscope.core.attribution import Attribution


def result(units: int, target: str) -> Attribution:
    values = np.arange(units, dtype=float)
    data = xr.Dataset({"values": ("x", values)}, coords={"x": np.arange(1, units + 1)})
    return Attribution(data, {"target": [target], "method": "gradient", "name": "line"})


@pytest.mark.parametrize("units", [3, 10_000, 10_001])
def test_every_row_of_every_result_is_there(units: int, tmp_path: Path) -> None:
    one = result(units, "positive")
    written = Written(tmp_path / "table.csv", "lines")
    written.add([("first", "gradient", one), ("second", "gradient", one)])
    table = pd.read_csv(tmp_path / "table.csv")
    assert table.columns.tolist() == ["record", "method", "target", "x", "value"]
    for name in ("first", "second"):  # equal numbers, and large tables are not kept for the next
        own = table[table["record"] == name]
        assert own["value"].tolist() == list(range(units))
        assert own["x"].tolist() == list(range(1, units + 1))
    assert set(table["target"]) == {"positive"}


@pytest.mark.parametrize(("length", "shown"), [(200, "a" * 200), (201, "a" * 199 + "…")])
def test_a_target_as_long_as_a_line_is_cut_in_the_table_alone(
    length: int, shown: str, tmp_path: Path
) -> None:
    one = result(2, "a" * length)
    Written(tmp_path / "table.csv", "lines").add([("line", "gradient", one)])
    assert pd.read_csv(tmp_path / "table.csv")["target"].tolist() == [shown, shown]
    assert one.meta["target"] == ["a" * length]
