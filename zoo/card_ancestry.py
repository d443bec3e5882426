"""Measure the shipped `zoo:ancestry` and write its card.

    OMP_NUM_THREADS=1 python zoo/card_ancestry.py --data DATA --model src/saliscope/zoo/ancestry

Every number of the card is measured by this command, also the answer to whether the model beats
length. Allow three minutes on one core.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch

from ancestry_data import COMMON, his3p, pte
from ancestry_measures import Baselines, area, difference, draws, reference_of
from saliscope.core.files import write_beside
from saliscope.models.keras.folders import read_folder
from train_ancestry import CROP, probabilities

CARD = """# zoo:ancestry

This is a demonstration model: a small Keras transformer that tells reconstructed ancestors from
extant sequences of one protein family, so that the attention of such a model can be looked at.

**It must not be used to find sites of adaptation, to judge a reconstruction, or to say how old a
sequence is.** An ancestor here is the most likely sequence under a model of evolution, not one
that ever lived: what tells the two kinds apart may be how reconstruction errs (rare residues are
smoothed away), and not what evolution did. Attention says where the model read, no more.

## What it is

Built of Keras' own layers: embeddings of residue and position, {blocks} encoder blocks of width
{width}, {heads} heads, mean over residues, two classes (extant, ancestor). {parameters:,}
parameters, weights in half precision. `saliscope.load("zoo:ancestry").to_keras("ancestry.keras")`
writes it as a Keras file.

## Data

His3p (imidazoleglycerol-phosphate dehydratase): {extant} extant sequences, and ancestors
reconstructed on 100 trees, from the repository local-ancestral-sequence-embeddings of the RSC
Jackson Lab (paper in Nature Machine Intelligence, 2024). That repository states no license, so no
sequence ships here, only the weights.

Whole clades are held out over all trees: {train[0]} extant sequences and {train[1]:,} ancestors
train, {inner[0]} and {inner[1]} of {inner[2]} other clades choose the epoch, {test[0]} and
{test[1]:,} of {test[2]} further clades are the test. Ancestors with both training and test leaves
below them are left out. In training up to {crop} residues are cut off either end.

## Measured

Area under the ROC curve, with 95 % intervals from 2,000 draws of whole test clades (PTE: of
sequences). PTE (phosphotriesterase) is another family, never trained on, cut to the
{columns} columns that {common:.0%} of its extant sequences fill.

| | held-out His3p clades | PTE |
|---|---|---|
{rows}

Model minus length on held-out His3p clades: {gap}. **The model {beats} length.**
Model minus the best baseline there ({best}): {over}. {also}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found, other = his3p(args.data), pte(args.data)
    model, *_ = read_folder(args.model)
    train = found.where("train")
    letters = [found.letters[i] for i in train]
    extant = [s for s, old in zip(letters, found.ancestor[train], strict=True) if not old]
    baselines = Baselines(letters, found.ancestor[train], reference_of(extant, extant[0]))
    test = found.where("test")
    held = [found.letters[i] for i in test]
    truth, resampled = found.ancestor[test], draws(found.clade[test])
    scores = {"**model**": probabilities(model, held), **baselines.scores(held)}
    whole = [s for s, old in zip(other.letters, other.ancestor, strict=True) if not old]
    away = {
        "**model**": probabilities(model, other.letters),
        **baselines.scores(other.letters, reference_of(whole, whole[0])),
    }
    apart = draws(other.clade)
    here = {name: area(truth, score, resampled) for name, score in scores.items()}
    rows = "\n".join(
        f"| {name} | {here[name]} | {area(other.ancestor, away[name], apart)} |" for name in scores
    )
    gap = difference(truth, scores["**model**"], scores["length"], resampled)
    best = max(baselines.names, key=lambda name: here[name].value)
    over = difference(truth, scores["**model**"], scores[best], resampled)
    beats = "beats" if gap.low > 0 else "does not beat"
    also = "So it beats every baseline here." if over.low > 0 else "So it does not beat that one."

    def counts(split: str) -> tuple[int, int, int]:
        rows = found.where(split)
        old = int(found.ancestor[rows].sum())
        return len(rows) - old, old, len(set(found.clade[rows]) - {-1})

    attention = [layer for layer in model.layers if hasattr(layer, "num_heads")]
    card = CARD.format(
        blocks=len(attention), heads=attention[0].num_heads, parameters=model.count_params(),
        width=model.get_layer("residue_embedding").output_dim,
        extant=int((~found.ancestor).sum()), train=counts("train"), inner=counts("inner"),
        test=counts("test"), crop=CROP, columns=int(np.median([len(s) for s in whole])),
        common=COMMON, rows=rows, gap=gap, beats=beats, best=best, over=over, also=also,
    )  # fmt: skip
    print(card)
    write_beside(args.model / "card.md", card.encode())


if __name__ == "__main__":
    main()
