"""Wrong maps on trained models: how many of them pass, beside how many right ones do.

    python -m benchmarks.wrong_maps --data FOLDER [--kinds digits clothes text protein table]

A map that is not of this model, this input and this target must not pass: an edge filter, the size
of the input, the map of another example, that of another class, that of random weights. Right maps
stand beside them. `--data` is the folder with MNIST, Fashion-MNIST, the UCI sentences and tables,
and UniProt sequences. Prints one table: how many passed of those that were assessed, with a 95 %
interval (Clopper and Pearson).
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy import ndimage, stats
from torch import nn

import saliscope
from saliscope.trust.randomizing import module_of, randomized

__all__ = ["KINDS", "Inputs", "counted", "wrong"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """A trained model, what it is tested on, and how its maps are made.

    Parameters
    ----------
    model : object
    inputs : sequence
    method : str
        Of the right map; further ones may be `beside` it.
    target : object
        None is what the model predicts.
    others : bool
        Whether there is another class, whose map is none of this one.
    beside : sequence of str
    """

    model: Any
    inputs: Sequence[Any]
    method: str = "integrated_gradients"
    target: Any = None
    others: bool = True
    beside: Sequence[str] = ()


# -- models and inputs ---------------------------------------------------------------------------


def idx(path: Path) -> npt.NDArray[np.uint8]:
    """Return the numbers of an IDX file, as MNIST has them."""
    data = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def pictures(data: Path, kind: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return pictures and classes."""
    folder = data / "images" / kind
    return idx(folder / "t10k-images-idx3-ubyte.gz"), idx(folder / "t10k-labels-idx1-ubyte.gz")


def digits(data: Path, most: int) -> Inputs:
    """`zoo:digits` on digits that it was not trained on."""
    images, _ = pictures(data, "mnist")
    held = np.r_[4000:5000, 9000:10000]
    chosen = np.random.default_rng(1).choice(held, most, replace=False)
    return Inputs(saliscope.load("zoo:digits"), list(images[chosen]), beside=["grad_cam"])


def clothes(data: Path, most: int) -> Inputs:
    """Return a small network that is trained on Fashion-MNIST, on pictures that it has not seen."""
    images, classes = pictures(data, "fashion_mnist")
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 49, 10),
    )  # fmt: skip
    x = (torch.from_numpy(images.copy())[:, None].float() / 255 - 0.286) / 0.353
    y = torch.from_numpy(classes.copy()).long()
    steps = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(2):
        for part in torch.randperm(8000).split(64):
            steps.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            steps.step()
    chosen = 8000 + np.random.default_rng(1).choice(2000, most, replace=False)
    model = saliscope.image_model(net.eval(), size=28, mean=0.286, std=0.353, channels=1)
    return Inputs(model, list(images[chosen]), beside=["grad_cam"])


def text(data: Path, most: int) -> Inputs:
    """`zoo:sentiment` on reviews of films (UCI sentences)."""
    lines = (data / "text/uci_sentiment/imdb_labelled.txt").read_text("utf-8").splitlines()
    texts = [line.partition("\t")[0].strip() for line in lines]
    texts = [one for one in texts if len(one.split()) >= 8]
    chosen = np.random.default_rng(1).choice(len(texts), most, replace=False)
    return Inputs(saliscope.load("zoo:sentiment"), [texts[i] for i in chosen])


def protein(data: Path, most: int) -> Inputs:
    """`zoo:protein` on stretches of 60 residues of proteins in UniProt."""
    with gzip.open(data / "proteins/uniprot_20k_mmseqs2_example.fasta.gz", "rt") as file:
        parts = file.read().split(">")[1:]
    letters = ["".join(part.splitlines()[1:]) for part in parts]
    letters = [s for s in letters if len(s) >= 100 and set(s) <= set("ACDEFGHIKLMNPQRSTVWY")]
    rng = np.random.default_rng(1)
    chosen = rng.choice(len(letters), most, replace=False)
    return Inputs(saliscope.load("zoo:protein"), [letters[i][20:80] for i in chosen], others=False)


def table(data: Path, most: int) -> Inputs:
    """Return gradient boosting on the Adult census, on rows that it has not seen."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame = pd.read_csv(data / "tabular/fairness_adult.csv", skipinitialspace=True)
    rich = frame.pop(frame.columns[-1])
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    frame[words] = frame[words].astype("category")
    rows = np.random.default_rng(1).permutation(len(frame))
    fitted = HistGradientBoostingClassifier(categorical_features=words, max_iter=60)
    fitted.fit(frame.iloc[rows[:8000]], rich.iloc[rows[:8000]])
    model = saliscope.table_model(fitted, frame.iloc[rows[:8000]], rows=20)
    shown = [frame.iloc[[i]] for i in rows[8000 : 8000 + most]]
    return Inputs(model, shown, "shapley", others=False)


KINDS: dict[str, Callable[[Path, int], Inputs]] = {
    "digits": digits, "clothes": clothes, "text": text, "protein": protein, "table": table,
}  # fmt: skip


# -- wrong maps ----------------------------------------------------------------------------------


def _space(made: Inputs, raw: Any) -> Array:
    """Return the input in the space in which gradients are taken, shape (units, features)."""
    (sample,) = made.model.prepare(raw)
    if sample.value is None:
        ids = torch.from_numpy(sample.context["ids"])
        weights = made.model.embedding.weight.detach()
        return weights[ids][sample.units.kept].double().numpy()
    if made.model.modality == "table":
        rows = made.model.rows
        scale = np.nanstd(rows, axis=0)
        away = (sample.value.numpy() - np.nanmean(rows, axis=0)) / np.where(scale > 0, scale, 1)
        return np.asarray(away[:, None])
    value = (sample.value - made.model.fill(sample, None).value).double().numpy()
    return np.asarray(value.reshape(*sample.units.shape, -1))


def size(made: Inputs, raw: Any) -> Array:
    """Return how large the input is in each unit: |x|."""
    return np.asarray(np.linalg.norm(_space(made, raw), axis=-1))


def edges(made: Inputs, raw: Any) -> Array:
    """Return how much neighbors differ: a Sobel filter, or distances along a sequence."""
    value = _space(made, raw)
    if value.ndim == 3:
        return np.asarray(np.hypot(*(ndimage.sobel(value.sum(-1), axis=axis) for axis in (0, 1))))
    steps = np.linalg.norm(np.diff(value, axis=0, prepend=value[:1]), axis=-1)
    return np.asarray(steps)


def wrong(
    made: Inputs, raw: Any, own: Any, other: Any, target: Any, seed: int
) -> Iterator[tuple[str, Array]]:
    """Yield maps that are wrong for one input.

    Parameters
    ----------
    made : Inputs
    raw : object
        The input.
    own, other : Attribution
        Its right map, and that of another input.
    target : object
    seed : int
        Of the random weights.
    """
    if made.model.modality != "table":
        yield "edge filter", edges(made, raw)
    yield "size of the input", size(made, raw)
    yield "map of another example", np.resize(np.asarray(other), np.asarray(own).shape)
    if made.others:
        second = next(p["label"] for p in own.prediction if p["label"] != target)
        again = saliscope.explain(made.model, raw, method=made.method, target=second)
        yield "map of another class", np.asarray(again)
    module = module_of(made.model.identity)
    if module is not None:
        with randomized(module, list(module.parameters()), seed):
            random = saliscope.explain(made.model, raw, method=made.method, target=target)
        yield "map of random weights", np.asarray(random)


def counted(made: Inputs, right: int, seconds: float) -> dict[str, Counter[str]]:
    """Count verdicts per map until time is up; right maps are of the first `right` inputs."""

    @cache
    def explained(place: int) -> Any:
        raw = made.inputs[place % len(made.inputs)]
        return saliscope.explain(made.model, raw, method=made.method, target=made.target)

    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    end = time.monotonic() + seconds
    for place, raw in enumerate(made.inputs):
        own = explained(place)
        target = own.target if made.others else made.target
        for name in (made.method, *made.beside) if place < right else ():
            test = saliscope.trust(made.model, raw, method=name, target=target)
            found[name][test.verdict] += 1
        for name, values in wrong(made, raw, own, explained(place + 1), target, place):
            test = saliscope.trust(made.model, raw, values, target=target)
            found[name][test.verdict] += 1
        if time.monotonic() > end:
            break
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--most", type=int, default=100, help="inputs of each kind")
    parser.add_argument(
        "--right", type=int, default=40, help="inputs on which right maps are tested"
    )
    parser.add_argument("--minutes", type=float, default=60, help="of each kind, at most")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'input':<9}{'map':<24}{'passed':>7} of{'95 %':>17}")
    for kind in given.kinds:
        verdicts = counted(KINDS[kind](given.data, given.most), given.right, 60 * given.minutes)
        for name, counts in verdicts.items():
            passed, tested = counts["passes"], counts.total() - counts["not assessed"]
            ends = stats.binomtest(passed, max(1, tested)).proportion_ci()
            print(
                f"{kind:<9}{name:<24}{passed:>7} {tested:<5}{ends.low:>7.1%} to {ends.high:<7.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
