"""What maps of a line lie on, and whether the recognizer leans on the background.

    python -m benchmarks.background --data DATA [--lines 60]

Two tables on `zoo:handwriting` and test lines of Copiste: of maps of all characters of some lines,
the share of positive mass on ink, the spread and the place of the peak
(`saliscope.reading.measures`); and what happens when paper or ink is replaced by the paper of
another writer's line (`saliscope.reading.background`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import saliscope
from benchmarks.composed import real
from benchmarks.landing import WAYS
from saliscope.reading.background import background_reliance
from saliscope.reading.measures import measure_maps

__all__ = ["interval", "lying", "replaced"]


def interval(values: pd.Series, of: pd.Series, writers: pd.Series, seed: int = 0) -> str:
    """Return sum(values) / sum(of) with its 95 % interval, whole writers redrawn."""
    sums = pd.DataFrame({"a": values, "b": of}).groupby(writers.to_numpy()).sum().to_numpy()
    draw = np.random.default_rng(seed).integers(0, len(sums), (2000, len(sums)))
    above, below = sums[draw].sum(1).T
    low, high = np.quantile(above / below, [0.025, 0.975])
    return f"{sums[:, 0].sum() / sums[:, 1].sum():.3f} ({low:.3f} to {high:.3f})"


def lying(found: dict[str, pd.DataFrame]) -> str:
    """Return the table of measures of maps: medians over characters."""
    lines = [
        "| map | characters | share on ink | ink's share of the line | spread, pixels "
        "| entropy, bits | peak from its frames, pixels | peak within 8 pixels of them |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, table in found.items():
        m = table[["on_ink", "ink", "columns", "entropy"]].median()
        away = table["away"].dropna()
        place = f"{away.median():.0f} | {(away <= 8).mean():.0%}" if len(away) else "- | -"
        lines.append(
            f"| {name} | {len(table)} | {m['on_ink']:.2f} | {m['ink']:.2f} | {m['columns']:.0f} | "
            f"{m['entropy']:.1f} | {place} |"
        )
    return "\n".join(lines)


def replaced(found: pd.DataFrame, writers: pd.Series) -> str:
    """Return the table of readings with paper or ink replaced."""
    lines = [
        "| replaced | share of the pixels | character error | fall of log P(text), per character |",
        "|---|---|---|---|",
    ]
    for what in found["replaced"].unique():
        part = found[found["replaced"] == what]
        who = writers.loc[part["line"]]
        error = interval(part["errors"], part["length"], who)
        fall = interval(part["fall"], part["length"], who)
        lines.append(f"| {what} | {part['pixels'].mean():.1%} | {error} | {fall} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--lines", type=int, default=60, help="whose paper and ink is replaced")
    parser.add_argument("--maps", type=int, default=8, help="lines whose maps are measured")
    parser.add_argument("--widest", type=int, default=400, help="of these, in pixels")
    args = parser.parse_args()

    torch.set_num_threads(1)
    model = saliscope.load("zoo:handwriting")
    lines = real(args.data)
    order = np.random.default_rng(0).permutation(len(lines))
    some = [lines[i] for i in order[: args.lines]]
    writers = pd.Series([line.writer for line in some])
    for head in ("ctc", "decoder"):
        found = background_reliance(
            saliscope.load("zoo:handwriting", head=head), [line.image for line in some],
            [line.text for line in some], pages=list(writers),
        )  # fmt: skip
        print(f"\n{head}, {len(some)} lines, {writers.nunique()} writers\n")
        print(replaced(found, writers), flush=True)
    whole = [x for x in (lines[i] for i in order) if 200 < x.image.shape[1] <= args.widest]
    tables = {}
    for name, way in WAYS.items():
        if way.method == "cross_attention" or way.head != "ctc":
            continue
        made = [
            saliscope.explain(
                model, line.image, way.method, saliscope.Characters(), **way.options
            )
            for line in whole[: args.maps]
        ]  # fmt: skip
        tables[name] = pd.concat([measure_maps(a) for a in made], ignore_index=True)
        print(lying({name: tables[name]}), flush=True)
    print(f"\n{lying(tables)}")


if __name__ == "__main__":
    main()
