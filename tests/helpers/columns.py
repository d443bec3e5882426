"""Small models on the columns of a table: a pipeline, a plain function and a torch module."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from saliscope.models.table.declaring import table_model
from saliscope.models.table.model import TableModel

__all__ = ["NUMBERS", "PEOPLE", "estimator", "function", "module", "people"]

PEOPLE = (
    {"age": 31.0, "income": 24.5, "city": "Rome", "months": 12.0},
    {"age": 64.0, "income": 41.0, "city": "Bari", "months": 36.0},
    {"age": 22.0, "income": None, "city": "Oslo", "months": 6.0},
)
"""Rows: a plain one, another, and one with a missing cell and a city that nobody had."""

NUMBERS = tuple(
    torch.randn(rows, 4, generator=torch.Generator().manual_seed(rows), dtype=torch.float64)
    for rows in (1, 2, 3)
)
"""Tables of numbers."""


def people(rows: int = 30) -> pd.DataFrame:
    """Return a table of mixed types, with missing cells."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows).astype(float),
            "income": rng.normal(30, 8, rows).round(1),
            "city": rng.choice(["Bari", "Rome", "Turin"], rows),
            "months": rng.integers(3, 60, rows).astype(float),
        }
    )
    table.loc[::7, "income"] = np.nan
    return table


@functools.cache
def _pipeline() -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = people()
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income", "months"]),
    )
    good = table["income"].fillna(30) / 8 - table["months"] / 20 + (table["city"] == "Rome")
    return make_pipeline(encode, LogisticRegression()).fit(table, np.where(good > 2.5, "yes", "no"))


def estimator(_: torch.dtype) -> TableModel:
    """Return a scikit-learn pipeline that classifies people."""
    return table_model(_pipeline(), people(), rows=3)


def _worth(table: pd.DataFrame) -> np.ndarray:
    numbers = table[["age", "income", "months"]].fillna(20.0).to_numpy(float) / 40
    inner = numbers @ [0.5, 1.5, -1.0] + (table["city"] == "Rome").to_numpy()
    return np.stack([np.log1p(np.exp(inner)), inner**2], axis=1)


def function(_: torch.dtype) -> TableModel:
    """Return a black box with two outputs."""
    return table_model(_worth, people(), rows=3, labels=("worth", "square"))


class Tokens(nn.Module):
    """A small network that makes a token of each column, mixes them, and takes their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4, 6))
        self.shift = nn.Parameter(torch.randn(4, 6))
        self.lift = nn.Linear(6, 6)
        self.mix = nn.Conv1d(4, 4, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return three outputs per row."""
        tokens = nn.functional.gelu(self.lift(rows[..., None] * self.scale + self.shift))
        out: torch.Tensor = self.head(nn.functional.gelu(self.mix(tokens)).mean(1))
        return out


def module(dtype: torch.dtype) -> TableModel:
    """Return a network on four columns of numbers."""
    torch.manual_seed(4)
    background = pd.DataFrame(
        np.random.default_rng(5).normal(size=(3, 4)), columns=["a", "b", "c", "d"]
    )
    return table_model(Tokens().to(dtype).eval(), background)
