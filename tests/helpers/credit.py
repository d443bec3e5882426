"""A model of made-up loans, by "helpers.credit:model", for commands on tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

import saliscope
from saliscope.models.table.model import TableModel

__all__ = ["constant", "dated", "loans", "model", "wrong"]


def loans(rows: int = 120) -> pd.DataFrame:
    """Return applicants; `zip` stands for `side`, `paid` is the outcome."""
    rng = np.random.default_rng(8)
    side = rng.choice(["north", "south"], rows)
    table = pd.DataFrame(
        {
            "side": side, "zip": np.where(side == "north", "A1", "B2"),
            "income": rng.normal(3, 1, rows).round(3), "age": rng.integers(18, 80, rows),
        }
    )  # fmt: skip
    return table.assign(paid=np.where(_chance(table) > rng.random(rows), "good", "bad"))


def _chance(table: pd.DataFrame) -> np.ndarray:
    worth = table["income"] - 3 + 2 * (table["zip"] == "A1") - 1
    return 1 / (1 + np.exp(-np.asarray(worth, dtype=float)))


def _both(table: pd.DataFrame) -> np.ndarray:
    chance = _chance(table)
    return np.stack([1 - chance, chance], axis=1)


def model() -> TableModel:
    """Return a model that uses the zip and the income."""
    return saliscope.table_model(
        _both, loans()[["zip", "income", "age"]], labels=["bad", "good"], name="loans"
    )


def wrong() -> TableModel:
    """Return a model that answers with three numbers, however many rows there are."""
    return saliscope.table_model(lambda _: np.zeros(3), loans()[["zip", "income"]], name="wrong")


def constant() -> TableModel:
    """Return a model that says the same of everybody."""
    return saliscope.table_model(
        lambda t: np.full(len(t), 0.7), loans()[["zip", "income"]], name="constant"
    )


def dated() -> TableModel:
    """Return a model of the day of the year."""
    days = pd.DataFrame({"day": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05"])})
    return saliscope.table_model(lambda t: t["day"].dt.dayofyear.astype(float), days, name="dated")
