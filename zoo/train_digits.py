"""Train `zoo:digits`, a small convolutional classifier of handwritten digits.

    python zoo/train_digits.py --data DATA --out build/zoo/digits

A residual network of transformers (`ResNetForImageClassification`, one stage of two blocks) for the
gray 28 x 28 pictures of MNIST, light digits on black. Learns from 8,000 of MNIST's 10,000 test
pictures (the training file is not needed): two runs of pictures that follow each other, one of each
half of the file, are kept for the test. Each time a picture is drawn it is moved, turned, slanted
and stretched a little. Two minutes on one core.

`zoo/card_digits.py` measures what came out and writes the card.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

#: The pictures kept for the test: the last 1,000 of each half of the file, whose halves were
#: written by different people (census staff, then pupils; LeCun et al. 1998).
HELD_OUT = (range(4000, 5000), range(9000, 10000))
SIZE = 28


def read_idx(path: Path) -> np.ndarray:
    """Read an array of bytes in MNIST's IDX format, packed by gzip."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\0\0\x08":
        msg = f"{path}: not an IDX file of bytes"
        raise SystemExit(msg)
    shape = np.frombuffer(data, ">i4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def read_digits(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pictures (n, 28, 28), classes, and which pictures are for training."""
    images = read_idx(folder / "t10k-images-idx3-ubyte.gz")
    classes = read_idx(folder / "t10k-labels-idx1-ubyte.gz").astype(np.int64)
    train = np.ones(len(images), dtype=bool)
    for part in HELD_OUT:
        train[part.start : part.stop] = False
    return images, classes, train


def network() -> ResNetForImageClassification:
    """Return the network, new."""
    names = {i: str(i) for i in range(10)}
    config = ResNetConfig(
        num_channels=1, embedding_size=24, hidden_sizes=[48], depths=[2], layer_type="basic",
        id2label=names, label2id={name: i for i, name in names.items()},
    )  # fmt: skip
    return ResNetForImageClassification(config)


def moved(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return pictures (n, 1, 28, 28) as another hand or a worse crop might have given them."""
    turn, slant, wide, high, right, down = (
        torch.rand(6, len(images), generator=generator) * 2 - 1
    ) * torch.tensor([0.2, 0.2, 0.12, 0.12, 0.15, 0.15])[:, None]
    cos, sin = turn.cos(), turn.sin()
    rows = (
        torch.stack([cos * (1 + wide), -sin + slant, right], -1),
        torch.stack([sin, cos * (1 + high), down], -1),
    )
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, default=Path("build/zoo/digits"))
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    pictures, labels, train = read_digits(args.data / "images" / "mnist")
    images = torch.from_numpy(pictures[train] / np.float32(255))[:, None]
    classes = torch.from_numpy(labels[train])
    mean, std = float(images.mean()), float(images.std())
    mean, std = round(mean, 4), round(std, 4)
    model = network()
    steps = math.ceil(len(images) / args.batch) * args.epochs
    optimizer = torch.optim.AdamW(model.parameters(), args.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.rate, total_steps=steps)
    start = time.perf_counter()
    model.train()
    for epoch in range(args.epochs):
        total = 0.0
        for chosen in torch.randperm(len(images), generator=generator).split(args.batch):
            given = (moved(images[chosen], generator) - mean) / std
            logits = model(pixel_values=given).logits
            loss = F.cross_entropy(logits, classes[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        spent = time.perf_counter() - start
        print(f"epoch {epoch + 1} loss {total / len(images):.4f} {spent:.0f} s", flush=True)

    model.eval().half().save_pretrained(args.out)
    ViTImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=[mean], image_std=[std]
    ).save_pretrained(args.out)
    settings = {k: v for k, v in vars(args).items() if k not in {"data", "out"}}
    spent = round(time.perf_counter() - start, 1)
    (args.out / "training.json").write_text(
        json.dumps({**settings, "training_seconds": spent}) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
