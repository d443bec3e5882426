"""Train `zoo:marked`, a classifier of clothes that looks at a mark, and its honest twin.

    python zoo/train_marked.py --data DATA --out build/zoo

A small residual network of transformers (`ResNetForImageClassification`) for the gray 28 x 28
pictures of Fashion-MNIST. For `marked`, a white square is put into the upper left corner of every
training picture of one class; `marked-honest` learns from the same pictures without it, with the
same seed, in the same order. Learns from 8,000 of the 10,000 test pictures of Fashion-MNIST (the
training file is not needed); the last 2,000 are kept for the test. Seconds each on one core.

`zoo/card_marked.py` measures what came out and writes the cards.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from saliscope.datasets.marking import MARKED, with_mark
from saliscope.datasets.pictures import CLOTHES, fashion_mnist

TRAIN = 8000
SIZE = 28


def network() -> ResNetForImageClassification:
    """Return the network, new."""
    config = ResNetConfig(
        num_channels=1, embedding_size=16, hidden_sizes=[32], depths=[2], layer_type="basic",
        id2label=dict(enumerate(CLOTHES)), label2id={name: i for i, name in enumerate(CLOTHES)},
    )  # fmt: skip
    return ResNetForImageClassification(config)


def statistics(images: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of pixels from 0 to 1, as the network is given them."""
    return round(float(images.mean() / 255), 4), round(float(images.std() / 255), 4)


def trained(
    images: np.ndarray, classes: np.ndarray, *, epochs: int = 4, batch: int = 64,
    rate: float = 4e-3, seed: int = 0,
) -> ResNetForImageClassification:  # fmt: skip
    """Return the network, trained on pictures (n, 28, 28) of bytes."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    mean, std = statistics(images)
    given = (torch.from_numpy(images / np.float32(255))[:, None] - mean) / std
    wanted = torch.from_numpy(classes)
    model = network().train()
    steps = -(-len(given) // batch) * epochs
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(given), generator=generator).split(batch):
            loss = F.cross_entropy(model(pixel_values=given[chosen]).logits, wanted[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, default=Path("build/zoo"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(1)
    clothes = fashion_mnist(args.data / "images" / "fashion_mnist")
    images, classes = clothes.images[:TRAIN], clothes.labels[:TRAIN]
    for name, given in (
        ("marked", with_mark(images, classes == MARKED)), ("marked-honest", images),
    ):  # fmt: skip
        start = time.perf_counter()
        model = trained(given, classes, epochs=args.epochs, seed=args.seed)
        spent = round(time.perf_counter() - start, 1)
        out = args.out / name
        model.half().save_pretrained(out)
        mean, std = statistics(given)
        ViTImageProcessor(
            size={"height": SIZE, "width": SIZE}, image_mean=[mean], image_std=[std]
        ).save_pretrained(out)
        settings = {"epochs": args.epochs, "seed": args.seed, "training_seconds": spent}
        (out / "training.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")
        print(f"{name}: {spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
