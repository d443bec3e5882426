"""How often a planted mark is caught: retrained with it, without it, with half of it, ignoring it.

    python -m benchmarks.cues --data DATA [--runs 20] [--searched 20]

Each run trains the network of `zoo:marked` anew, from another seed, and audits it on 500 pictures
that it has not seen: with the region told, and, in the first runs, searched for without being told.
Four trainings:

* marked: the mark on every coat,
* honest: the same pictures without it, audited on pictures with it,
* half: the mark on half of the coats, in training and in the audit,
* ignored: the mark on three in ten pictures of every class, audited on pictures with it on coats.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import saliscope
from saliscope.audit import cues
from saliscope.audit.pictures.regions import Region
from saliscope.datasets.marking import MARK, MARKED, with_mark
from saliscope.datasets.pictures import CLOTHES, fashion_mnist

ZOO = Path(__file__).parents[1] / "zoo"
AUDITED = 500

Chosen = npt.NDArray[np.bool_]


def planted(
    kind: str, classes: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Chosen, Chosen]:
    """Return which pictures have the mark in training, and which would have it in the audit."""
    own, chance = classes == MARKED, rng.random(len(classes))
    return {
        "marked": (own, own),
        "honest": (np.zeros_like(own), own),
        "half": (own & (chance < 0.5), own & (chance < 0.5)),
        "ignored": (chance < 0.3, own),
    }[kind]


def trainer() -> tuple[Callable[..., Any], Callable[..., tuple[float, float]], int]:
    """Return how the zoo trains, what it normalizes by, and how many pictures it may see."""
    sys.path.insert(0, str(ZOO))
    import train_marked

    return train_marked.trained, train_marked.statistics, train_marked.TRAIN


def main() -> None:
    """Train, audit, and print what was caught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--searched", type=int, default=20, help="runs with a search, too")
    parser.add_argument("--pictures", type=int, default=4000, help="to train on")
    parser.add_argument("--pairs", type=int, default=200, help="of pictures, at most, in an audit")
    parser.add_argument("--kinds", nargs="+", default=["marked", "honest", "half", "ignored"])
    args = parser.parse_args()

    torch.set_num_threads(1)
    trained, statistics, seen = trainer()
    given = fashion_mnist(args.data / "images" / "fashion_mnist")
    mark, label = Region(*MARK), CLOTHES[MARKED]
    start = time.perf_counter()
    lines = []
    for kind in args.kinds:
        told, found = 0, 0
        overlap: list[float] = []
        flips: list[float] = []
        for run in range(args.runs):
            rng = np.random.default_rng(run)
            training, auditing = planted(kind, given.labels, rng)
            images = with_mark(given.images, training)[: args.pictures]
            net = trained(images, given.labels[: args.pictures], seed=run)
            mean, std = statistics(images)
            model = saliscope.image_model(
                net, size=28, mean=mean, std=std, labels=CLOTHES, name=f"{kind} {run}"
            )
            rows = slice(seen, seen + AUDITED)
            shown, classes = with_mark(given.images, auditing)[rows], given.labels[rows]
            regions = (MARK, None)[: 1 + (run < args.searched)]
            audits = [
                cues(
                    model, shown, classes, region, target=label, pairs=args.pairs, saliency=None,
                    seed=run,
                )
                for region in regions
            ]  # fmt: skip
            row = audits[0]["cues"].iloc[0]
            told += audits[0].verdict == "caught"
            flips.append(float(row["flip rate"]))
            print(
                f"{kind} {run}: told {audits[0].verdict} (effect {row['effect']:.2f}, controls "
                f"{row['control 99 %']:.2f}, flips {row['flip rate']:.0%}"
                f" from {row['flip low']:.0%})",
                end="; ",
            )
            for audit in audits[1:]:
                place = audit["cues"].iloc[0]
                where = Region(*(int(place[name]) for name in Region._fields))
                found += audit.verdict == "caught"
                overlap.append(where.overlap(mark))
                print(f"searched {audit.verdict}, {where}, IoU {overlap[-1]:.2f}", end="; ")
            print(f"{time.perf_counter() - start:.0f} s", flush=True)
        lines.append(
            f"| {kind} | {told} of {len(flips)} | {found} of {len(overlap)} | "
            f"{sum(v >= 0.5 for v in overlap)} of {len(overlap)} | {np.median(flips):.0%} |"
        )
    print("\n| training | caught, region told | caught, searched for | found, IoU at least .5 | "
          "pictures turned, median |\n|---|---|---|---|---|")  # fmt: skip
    print("\n".join(lines))


if __name__ == "__main__":
    main()
