"""Measure the shipped `zoo:digits` and write its card.

    python zoo/card_digits.py --data DATA --model src/saliscope/zoo/digits

Every number of the card is measured or read by this command; nothing is typed in. The model is
loaded as a user loads it. Half a minute on one core.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

import saliscope
from saliscope.models.vision.classifier import ImageModel
from train_digits import HELD_OUT, read_digits, read_idx

CARD = """# zoo:digits

This is a demonstration model: a small convolutional classifier of single handwritten digits, for
tutorials on maps over pictures. That a 4 was not taken for a 9 is something everybody can see.

**It must not be used to read forms, checks, addresses or anything that matters.** It takes gray
pictures of one digit each, **light on black**, brought to {size} x {size} pixels, the digit in the
middle, as in MNIST. It names a digit whatever it is shown: on {clothes:,} pictures of clothes
(Fashion-MNIST) its mean probability for the digit it names is {clothes_sure:.2f}, and of test
digits turned to dark on white it gets {inverted:.1%} right.

## What it is

`ResNetForImageClassification` of transformers, written by `save_pretrained` with its image
processor: a stem of stride 4, then {depth} residual blocks of {width} channels at {grid} x {grid}
positions, batch normalization, ReLU, a mean over positions, one linear layer. {parameters:,}
parameters; weights in half precision {weights:.2f} MB; they run in float32 unless `dtype=` says
otherwise. Grad-CAM at its last block has {grid} x {grid} positions.

## Data and licenses

The {all:,} pictures of **MNIST's test file** (LeCun, Cortes and Burges; NIST Special Databases 3
and 7), {train:,} of them for training. MNIST has no formal license: the NIST databases it was cut
from are works of the United States government, and MNIST itself is passed on freely (often marked
CC BY-SA 3.0). No picture of it is in this package, only the weights. Fashion-MNIST (MIT license)
has the clearer license, but its classes need a legend, its maps cannot be judged at sight, and it
has no digits; it serves here only as what the model does not know.

Test: pictures {parts} of the file, two unbroken runs, so that hardly any test
picture has a training picture beside it in the file; writers are not named in MNIST, so that it
cannot be said for sure that nobody wrote on both sides. As these pictures are MNIST's own test
set, **the accuracy below must not be set beside published MNIST results.** Nothing was chosen by
the test pictures.

## Accuracy

95 % intervals from 2,000 redraws of the pictures. The baseline is logistic regression on the pixels
(scikit-learn), trained on the same pictures.

| test pictures | n | zoo:digits | logistic regression |
|---|---|---|---|
{scores}

Most frequent errors (true digit, taken for): {errors}. Mean probability of the digit it names:
{sure:.3f}. It was trained with labels smoothed by 0.05, so it is never quite certain.

## How to make it again

Settings: {settings}. Training took {seconds:.0f} seconds by the clock, with
one thread, on a processor that was busy with other work.
`python zoo/train_digits.py --data DATA --out build/zoo/digits`, then `zoo/card_digits.py`. See
`zoo/README.md`.
"""


@torch.inference_mode()
def probabilities(model: ImageModel, images: np.ndarray) -> np.ndarray:
    """Return P(digit) of pictures (n, 28, 28), (n, 10)."""
    pixels = torch.from_numpy(images / np.float32(255))[..., None]
    return model.module(model.given(pixels)).logits.softmax(-1).double().numpy()


def interval(right: np.ndarray) -> str:
    """Return a mean and its 95 % interval."""
    draws = np.random.default_rng(0).integers(0, len(right), (2000, len(right)))
    low, high = np.quantile(right[draws].mean(1), [0.025, 0.975])
    return f"{right.mean():.2%} ({low:.2%} to {high:.2%})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--model", type=Path, default=Path("src/saliscope/zoo/digits"))
    parser.add_argument("--out", type=Path, help="the card to write (card.md of the model)")
    args = parser.parse_args()

    torch.set_num_threads(1)
    made = json.loads((args.model / "training.json").read_text())
    model = saliscope.load(str(args.model))
    images, classes, train = read_digits(args.data / "images" / "mnist")
    found = probabilities(model, images[~train])
    said, true = found.argmax(1), classes[~train]
    flat = images.reshape(len(images), -1) / 255
    plain = LogisticRegression(C=0.05, max_iter=300).fit(flat[train], classes[train])
    theirs = plain.predict(flat[~train])
    scores, begin = [], 0
    names = ("first half of the file (census staff)", "second half (pupils)")
    for name, part in zip(names, HELD_OUT, strict=True):
        rows = slice(begin, begin + len(part))
        begin += len(part)
        right = (said == true)[rows], (theirs == true)[rows]
        scores.append(f"| {name} | {len(part):,} | {interval(right[0])} | {interval(right[1])} |")
    scores.append(
        f"| **both** | {len(true):,} | {interval(said == true)} | {interval(theirs == true)} |"
    )
    wrong = Counter((int(t), int(s)) for t, s in zip(true, said, strict=True) if t != s)
    fashion = read_idx(args.data / "images" / "fashion_mnist" / "t10k-images-idx3-ubyte.gz")[:2000]
    config = model.module.config
    text = CARD.format(
        size=images.shape[1], clothes=len(fashion),
        clothes_sure=probabilities(model, fashion).max(1).mean(),
        inverted=(probabilities(model, 255 - images[~train]).argmax(1) == true).mean(),
        depth=config.depths[0], width=config.hidden_sizes[0], grid=-(-images.shape[1] // 4),
        parameters=sum(p.numel() for p in model.module.parameters()),
        weights=(args.model / "model.safetensors").stat().st_size / 1e6,
        all=len(images), train=int(train.sum()),
        parts=" and ".join(f"{part.start:,} to {part.stop - 1:,}" for part in HELD_OUT),
        scores="\n".join(scores), sure=found.max(1).mean(),
        errors="; ".join(f"{t}, {s}: {n}" for (t, s), n in wrong.most_common(5)),
        settings=", ".join(f"{k} {v}" for k, v in made.items() if k != "training_seconds"),
        seconds=made["training_seconds"],
    )  # fmt: skip
    out = args.out or args.model / "card.md"
    out.write_text(text, encoding="utf-8")
    print("\n".join(scores))


if __name__ == "__main__":
    main()
