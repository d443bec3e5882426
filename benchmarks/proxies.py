"""Proxies in Adult, planted and grown, and reason codes of German credit.

    python -m benchmarks.proxies --data FOLDER [--seeds 10] [--rows 6000]

A zip code of twenty values that stands for race is planted into Adult, with lower incomes where it
does, by `saliscope.audit.examples.planted_zip`. It must be first where the model uses it and last
where the model ignores it, in every seed; for sex, `relationship` must be named. `--data` is the
folder with Adult (`tabular/fairness_adult.csv`). Reason codes are compared with
w_j (x_j - mean_j) on a linear model of German credit, which comes with the package.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import saliscope
from saliscope.audit import proxies, reason_codes
from saliscope.audit.examples import (
    german_credit,
    german_credit_blind,
    held_out,
    logistic,
    planted_zip,
)
from saliscope.datasets import adult
from saliscope.datasets import german_credit as loans

FAMILIES = ("logistic", "boosting")


def fitted(family: str, table: pd.DataFrame, outcome: pd.Series) -> Any:
    """Return a model of a family, fitted."""
    if family == "logistic":
        return logistic(table, outcome)
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    boosting = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    return make_pipeline(encode.set_output(transform="pandas"), boosting).fit(table, outcome)


def planted(people: pd.DataFrame, seeds: int, rows: int) -> Iterator[str]:
    """Yield a line of the table for each family of models and use of the zip."""
    for family in FAMILIES:
        places: dict[bool, list[int]] = {True: [], False: []}
        areas: list[float] = []
        for seed in range(seeds):
            own = people.sample(rows, random_state=seed).reset_index(drop=True)
            table = planted_zip(own, seed)
            outcome = table.pop("income").astype(str)
            seen, new = held_out(table)
            for used in (True, False):
                columns = list(table) if used else [c for c in table if c != "zip"]
                model = fitted(family, seen[columns], outcome[seen.index])
                asked = saliscope.table_model(
                    lambda t, model=model, columns=columns: model.predict_proba(t[columns])[:, 1],
                    seen,
                )
                found = proxies(asked, new, "race", draws=50, seed=seed)["columns"]
                places[used].append(found["column"].tolist().index("zip") + 1)
                if used:
                    areas.append(float(found.set_index("column").loc["zip", "auc"]))
        last = len(found)
        first = sum(place == 1 for place in places[True])
        end = sum(place == last for place in places[False])
        yield (
            f"| {family} | {min(areas):.3f} to {max(areas):.3f} | {first} of {seeds} | "
            f"{end} of {seeds} |"
        )


def sex(people: pd.DataFrame, rows: int) -> Iterator[str]:
    """Yield what is said of sex, by each family."""
    own = people.sample(2 * rows, random_state=0).reset_index(drop=True)
    outcome = own.pop("income").astype(str)
    seen, new = held_out(own)
    for family in FAMILIES:
        model = fitted(family, seen, outcome[seen.index])
        audit = proxies(model, new, "sex", outcome=outcome[new.index].rename("income"))
        yield f"{family}: {audit.sentence}"
        for row in audit["columns"].head(4).itertuples():
            yield (
                f"    {row.column:<16} area {row.auc:.3f} ({row.auc_low:.3f} to "
                f"{row.auc_high:.3f})  share {row.share:.4f} ({row.share_low:.4f} to "
                f"{row.share_high:.4f})  product {row.proxy:.5f}"
            )


def reasons() -> Iterator[str]:
    """Yield how far codes are from the closed form, and what audits of German credit say."""
    table = loans()
    outcome = table["credit_risk"].map({1: "good", 0: "bad"})
    numbers = table[["duration", "amount", "age"]].astype(float)
    numbers = (numbers - numbers.mean()) / numbers.std()
    model = LogisticRegression().fit(numbers, outcome)
    audit = reason_codes(model, numbers, target="good", references=1000, applicants=1000)
    good = model.predict_proba(numbers)[:, list(model.classes_).index("good")] >= 0.5
    expected = model.coef_[0] * (numbers - numbers[good].mean())
    away = [
        abs(row.contribution - expected[row.code][int(row.applicant)])
        for row in audit["codes"].itertuples()
    ]
    yield f"{len(away)} codes of a linear model: largest distance from w (x - mean) {max(away):.1e}"
    new = held_out(table)[1].drop(columns="credit_risk")
    for name, adapter in (("all columns", german_credit()), ("blind", german_credit_blind())):
        yield f"German credit, {name}: {reason_codes(adapter, new).sentence}"


def direction() -> str:
    """Return whether the label runs the right way."""
    new = held_out(loans())[1]
    chance = german_credit().predictor(new.drop(columns="credit_risk"))[:, 1]
    good = new["credit_risk"] == 1
    wins = np.mean(chance[good][:, None] > chance[~good][None])
    return (
        f"German credit, {len(new)} rows not trained on: P(good) is {chance[good].mean():.2f} "
        f"where the loan was good and {chance[~good].mean():.2f} where it was bad (area {wins:.2f})"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=6000)
    chosen = parser.parse_args()
    start = time.perf_counter()
    people = adult(Path(chosen.data) / "tabular" / "fairness_adult.csv").drop(columns="fnlwgt")
    print("| model | area of the zip for race | first where used | last where ignored |")
    print("|---|---|---|---|")
    for line in planted(people, chosen.seeds, chosen.rows):
        print(line, flush=True)
    for line in (*sex(people, chosen.rows), direction(), *reasons()):
        print(line, flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
