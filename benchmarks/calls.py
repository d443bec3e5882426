"""Permutation importance beside scikit-learn's, and a deletion curve beside its bare passes.

    OMP_NUM_THREADS=1 python -m benchmarks.calls [--rounds 5]

Sides run in turn; what is compared is the time of the processor, not of the clock, so that other
work on the machine does not count. But the batches of a curve are chosen by the clock: on a busy
machine they are not the best, so bare passes in the very same batches stand beside those in good
ones. Prints one table: median times, the median of the ratios within rounds, and calls of the model
(of a curve: rows).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

import saliscope
from saliscope.tables import importance

__all__ = ["Pair", "curve", "pairs", "permutations"]

REPEATS = 10
TOKENS = 512


@dataclass(frozen=True)
class Pair:
    """Two ways to the same numbers.

    Parameters
    ----------
    name : str
    ours, theirs : callable
        Each returns its numbers, and how often it called the model.
    """

    name: str
    ours: Callable[[], tuple[Any, int]]
    theirs: Callable[[], tuple[Any, int]]


# -- permutation importance -----------------------------------------------------------------------


def permutations() -> Iterator[Pair]:
    """Yield models from those whose calls cost more than their rows to those of the other kind."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table, truth = load_breast_cancer(return_X_y=True, as_frame=True)
    for name, estimator in {
        "logistic regression behind a scaler": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=500)
        ),
        "random forest of 100": RandomForestClassifier(100, random_state=0),
        "gradient boosting of 100": HistGradientBoostingClassifier(random_state=0),
    }.items():
        fitted = estimator.fit(table[:400], truth[:400])
        yield _permutation(f"permutation, {name}", fitted, table[400:], truth[400:])


def _permutation(name: str, fitted: Any, table: pd.DataFrame, truth: Any) -> Pair:
    from sklearn.inspection import permutation_importance

    model = saliscope.table_model(fitted)

    def ours() -> tuple[Any, int]:
        found = importance(model, table, truth, repeats=REPEATS, seed=0)
        return found.to_numpy(), int(found.provenance["calls"])

    def theirs() -> tuple[Any, int]:
        found = permutation_importance(fitted, table, truth, n_repeats=REPEATS, random_state=0)
        return found.importances_mean, 1 + REPEATS * table.shape[1]

    return Pair(name, ours, theirs)


# -- a deletion curve -----------------------------------------------------------------------------


def curve() -> Iterator[Pair]:
    """Yield the curves of 512 tokens, one by one, beside the passes that they need."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    donor = saliscope.load("zoo:sentiment")
    config = BertConfig(
        vocab_size=donor.config.vocab_size, hidden_size=128, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=512, max_position_embeddings=TOKENS + 2,
    )  # fmt: skip
    module = BertForSequenceClassification(config).eval()
    tokenizer = donor.tokenizer
    tokenizer.model_max_length = TOKENS + 2
    adapter = saliscope.load(module, tokenizer=tokenizer)
    text = " ".join(["good", "bad", "film", "food"] * (TOKENS // 4))
    values = np.random.default_rng(0).normal(size=TOKENS)
    (sample,) = adapter.prepare(text)
    ids, kept = torch.from_numpy(sample.context["ids"]), sample.units.kept
    order = torch.from_numpy(kept[np.argsort(-values)])

    def ours() -> tuple[Any, int]:
        test = saliscope.trust(
            adapter, text, values, target=1, groups="token", draws=0, levels=TOKENS
        )
        return test.data["deletion_curve"].to_numpy(), test.evaluations

    def rows() -> torch.Tensor:
        """Return every row of deletion and of insertion, each once."""
        gone = torch.arange(TOKENS)[None] < torch.arange(TOKENS + 1)[:, None]
        deleted = ids.repeat(TOKENS + 1, 1)
        deleted[:, order] = torch.where(gone, tokenizer.mask_token_id, deleted[:, order])
        inserted = ids.repeat(TOKENS - 1, 1)
        inserted[:, order] = torch.where(gone[1:-1], inserted[:, order], tokenizer.mask_token_id)
        return torch.cat([deleted, inserted])

    given, ones = rows(), torch.ones(len(ids), dtype=torch.int64)

    def passes(sizes: Sequence[int]) -> tuple[Any, int]:
        found = []
        with torch.no_grad():
            for part in given.split(list(sizes)):
                mask = ones.expand(len(part), -1)
                found.append(module(input_ids=part, attention_mask=mask).logits[:, 1])
        return torch.cat(found)[: TOKENS + 1].numpy(), len(given)

    def in_the_same() -> tuple[Any, int]:
        ends = np.minimum(np.cumsum(watched.sizes), len(given))
        return passes(np.diff(np.unique(ends), prepend=0).tolist())

    def watched_ours() -> tuple[Any, int]:
        watched.sizes.clear()
        with watched:
            return ours()

    watched = Watched(module)
    name = f"curves of {TOKENS} tokens, beside passes"
    good = [SIZE] * (len(given) // SIZE)
    yield Pair(f"{name} in the same batches", watched_ours, in_the_same)
    yield Pair(f"{name} of {SIZE} rows", ours, lambda: passes(good))


SIZE = 8
"""Rows of a bare pass that suit this model on one thread."""


class Watched:
    """Notes how many rows a module is given at once."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.sizes: list[int] = []

    def __enter__(self) -> None:
        self.hook = self.module.register_forward_pre_hook(self._note, with_kwargs=True)

    def __exit__(self, *_: object) -> None:
        self.hook.remove()

    def _note(self, _: torch.nn.Module, __: Any, given: dict[str, Any]) -> None:
        self.sizes.append(len(given["input_ids"]))


def pairs() -> Iterator[Pair]:
    """Yield all of them."""
    yield from permutations()
    yield from curve()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    given = parser.parse_args()
    rounds = given.rounds
    torch.set_num_threads(1)
    print(f"{'what':<58}{'ours, s':>9}{'theirs, s':>11}{'theirs / ours':>15}{'calls':>14}")
    for pair in pairs():
        if given.only not in pair.name:
            continue
        sides = (pair.ours, pair.theirs)
        (one, calls), (two, more) = (side() for side in sides)  # once unmeasured
        away = float(np.abs(np.asarray(one) - np.asarray(two)).max())
        times: list[list[float]] = []
        for _ in range(rounds):
            times.append([])
            for side in sides:
                start = time.process_time()
                side()
                times[-1].append(time.process_time() - start)
        own, other = (statistics.median(each) for each in zip(*times, strict=True))
        ratio = statistics.median(b / a for a, b in times)
        print(
            f"{pair.name:<58}{own:>9.3f}{other:>11.3f}{ratio:>15.2f}{calls:>7} /{more:>5}"
            f"  largest difference {away:.1g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
