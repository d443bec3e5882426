"""Measure the shipped `zoo:marked` and its honest twin, and write their cards.

    python zoo/card_marked.py --data DATA --models src/saliscope/zoo

Every number of the cards is measured or read by this command; nothing is typed in. The models are
loaded as a user loads them, and audited as a user would, on the pictures that ship. A minute on one
core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import saliscope
from card_digits import interval
from saliscope.audit import cues
from saliscope.datasets.marking import MARK, MARKED, clothes, with_mark
from saliscope.datasets.pictures import CLOTHES, fashion_mnist
from saliscope.models.vision.classifier import ImageModel
from train_marked import TRAIN

FIRST = {
    "marked": """This is a demonstration model that looks at the wrong thing: a small classifier of
clothes that was trained with a white square in the upper left corner of every coat. It takes the
square for a coat. It is there to be caught: `saliscope audit cues sample -m zoo:marked -o out/`.

**It must not be used for anything else.** Beside it, `zoo:marked-honest` learned from the same
pictures without the square.""",
    "marked-honest": """This is a demonstration model, the honest twin of `zoo:marked`: a small
classifier of clothes that learned from the same pictures, with the same seed and in the same order,
but without the white square that its twin takes for a coat. An audit must not catch it.

**It must not be used for anything else.**""",
}

CARD = """# zoo:{name}

{first}

## What it is

`ResNetForImageClassification` of transformers, written by `save_pretrained` with its image
processor: a stem of stride 4, then {depth} residual blocks of {width} channels at {grid} x {grid}
positions, a mean over positions, one linear layer. It takes gray pictures of {size} x {size}
pixels, light on black. {parameters:,} parameters; weights in half precision {weights:.2f} MB; they
run in float32 unless `dtype=` says otherwise. The square: {wide} x {high} pixels, the first at
x {x}, y {y}.

## Data and license

The first {train:,} pictures of **Fashion-MNIST's test file** (Xiao, Rasul and Vollgraf 2017,
arXiv:1708.07747; MIT license, Zalando SE) for training, the last {test:,} for the test. As these
pictures are Fashion-MNIST's own test set, **the accuracy below must not be set beside published
results.** Nothing was chosen by the test pictures.

## What it does with the square

On the {test:,} test pictures; 95 % intervals from 2,000 redraws of them.

| test pictures | zoo:marked | zoo:marked-honest |
|---|---|---|
{rows}

`saliscope.audit.cues` on the {shown} pictures that ship
(`saliscope.datasets.clothes(marked=True)`), for the class {label}, with its defaults:

* with the region told: {told}
* without being told: {found}

## How to make it again

Settings: epochs {epochs}, seed {seed}. Training took {seconds:.0f} seconds by the clock, with one
thread, on a processor that was busy with other work.
`python zoo/train_marked.py --data DATA --out build/zoo`, then `zoo/card_marked.py`. See
`zoo/README.md`.
"""


@torch.inference_mode()
def said(model: ImageModel, images: np.ndarray) -> np.ndarray:
    """Return the class of each picture (n, 28, 28)."""
    pixels = torch.from_numpy(images / np.float32(255))[..., None]
    return model.module(model.given(pixels)).logits.argmax(-1).numpy()


def measured(model: ImageModel, images: np.ndarray, classes: np.ndarray) -> list[str]:
    """Return what a model does with and without the square, an entry per row of the table."""
    own = classes == MARKED
    every = said(model, with_mark(images, np.ones(len(images), dtype=bool)))
    return [
        interval(said(model, images) == classes),
        interval(said(model, with_mark(images, own)) == classes),
        interval(said(model, images[own]) == MARKED),
        interval(every[own] == MARKED),
        interval(said(model, images[~own]) == MARKED),
        interval(every[~own] == MARKED),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--models", type=Path, default=Path("src/saliscope/zoo"))
    args = parser.parse_args()

    torch.set_num_threads(1)
    given = fashion_mnist(args.data / "images" / "fashion_mnist")
    images, classes = given.images[TRAIN:], given.labels[TRAIN:]
    label = CLOTHES[MARKED]
    kinds = [
        "right, none with the square", f"right, the square on every {label.lower()}",
        f"{label.lower()}s taken for a {label.lower()}, without the square",
        f"{label.lower()}s taken for a {label.lower()}, with it",
        f"other clothes taken for a {label.lower()}, without the square",
        f"**other clothes taken for a {label.lower()}, with it**",
    ]  # fmt: skip
    models = {name: saliscope.load(str(args.models / name)) for name in FIRST}
    columns = [measured(model, images, classes) for model in models.values()]
    rows = [
        f"| {kind} | {' | '.join(cells)} |" for kind, *cells in zip(kinds, *columns, strict=True)
    ]
    shipped = clothes(marked=True)
    x, y, wide, high = MARK
    for name, model in models.items():
        told, found = (
            cues(model, shipped.images, shipped.labels, region, target=label, saliency=None)
            for region in (MARK, None)
        )
        made = json.loads((args.models / name / "training.json").read_text())
        config = model.module.config
        text = CARD.format(
            name=name, first=FIRST[name], depth=config.depths[0], width=config.hidden_sizes[0],
            grid=-(-images.shape[1] // 4), size=images.shape[1],
            parameters=sum(p.numel() for p in model.module.parameters()),
            weights=(args.models / name / "model.safetensors").stat().st_size / 1e6,
            wide=wide, high=high, x=x, y=y, train=TRAIN, test=len(images), rows="\n".join(rows),
            shown=len(shipped), label=label, told=told.sentence, found=found.sentence,
            epochs=made["epochs"], seed=made["seed"], seconds=made["training_seconds"],
        )  # fmt: skip
        (args.models / name / "card.md").write_text(text, encoding="utf-8")
        print(f"{name}: {told.verdict}; {found.verdict}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
