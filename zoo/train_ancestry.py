"""Train `zoo:ancestry`, a small Keras transformer that tells ancestors from extant sequences.

    OMP_NUM_THREADS=1 python zoo/train_ancestry.py --data DATA --out src/saliscope/zoo/ancestry

Built of Keras' own layers, so that a `.keras` file of it loads anywhere. Extant sequences are few
(a few hundred, against thousands of ancestors), so batches hold as many of the one as of the
other, and each sequence comes differently every time: up to twelve residues are cut off either
end, so that length and first residue say little, and 0 to 30 % of the residues are masked. One in
twenty is masked throughout, with either answer: what an explanation that masks residues shows the
model is then nothing new. The epoch with the best area under the curve on inner clades is kept;
training is short, because after some epochs it learns the few extant sequences by heart.

`zoo/card_ancestry.py` measures what came out and writes the card.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from ancestry_data import AMINO_ACIDS, Sequences, his3p
from saliscope.models.keras.folders import write_folder

TOKENS = ["[PAD]", "[MASK]", "X", *AMINO_ACIDS]
LABELS = ["extant", "ancestor"]
LONGEST = 400
CROP, MASKED, BLANK = 12, 0.3, 0.05


def build(width: int, heads: int, blocks: int, dropout: float) -> keras.Model:
    """Return the untrained model: token ids of any length up to LONGEST, to two classes."""
    layers = keras.layers
    ids = keras.Input((None,), dtype="int32", name="residues")
    counted = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
    x = layers.Embedding(len(TOKENS), width, mask_zero=True, name="residue_embedding")(ids)
    place = layers.Embedding(LONGEST, width, name="position_embedding")(counted)
    x = layers.Add(name="embedding")([x, place])
    x = layers.Dropout(dropout, name="embedding_dropout")(x)
    for i in range(blocks):
        h = layers.LayerNormalization(name=f"encoder_{i}_attention_norm")(x)
        h = layers.MultiHeadAttention(heads, width // heads, name=f"encoder_{i}_attention")(h, h)
        x = layers.Add(name=f"encoder_{i}_attended")([x, h])
        h = layers.LayerNormalization(name=f"encoder_{i}_mlp_norm")(x)
        h = layers.Dense(2 * width, activation="gelu", name=f"encoder_{i}_mlp_in")(h)
        h = layers.Dense(width, name=f"encoder_{i}_mlp_out")(h)
        h = layers.Dropout(dropout, name=f"encoder_{i}_dropout")(h)
        x = layers.Add(name=f"encoder_{i}")([x, h])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    x = layers.Dropout(dropout, name="mean_dropout")(x)
    return keras.Model(ids, layers.Dense(2, activation="softmax", name="kind")(x), name="ancestry")


def encode(letters: str) -> np.ndarray:
    """Return the ids of a protein."""
    return np.array([TOKENS.index(a) if a in TOKENS else TOKENS.index("X") for a in letters])


def pad(rows: list[np.ndarray]) -> np.ndarray:
    """Return rows of ids, padded to the longest."""
    out = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
    for row, ids in zip(out, rows, strict=True):
        row[: len(ids)] = ids
    return out


def varied(ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a sequence with its ends cut and some residues masked."""
    start, end = rng.integers(0, CROP + 1, 2)
    out = ids[start : len(ids) - end].copy()
    rate = 1.0 if rng.random() < BLANK else MASKED * rng.random()
    out[rng.random(len(out)) < rate] = TOKENS.index("[MASK]")
    return out


def probabilities(model: keras.Model, letters: list[str], size: int = 64) -> np.ndarray:
    """Return P(ancestor) of every sequence."""
    order = np.argsort([len(s) for s in letters], kind="stable")
    out = np.zeros(len(letters))
    with torch.no_grad():
        for at in range(0, len(order), size):
            rows = order[at : at + size]
            ids = pad([encode(letters[i]) for i in rows])
            found = model(keras.ops.convert_to_tensor(ids), training=False)
            out[rows] = keras.ops.convert_to_numpy(found)[:, 1]
    return out


def train(found: Sequences, args: argparse.Namespace) -> keras.Model:
    """Return the trained model."""
    keras.utils.set_random_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    model = build(args.width, args.heads, args.blocks, args.dropout)
    parameters = [v.value for v in model.trainable_variables]
    optimizer = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=args.decay)
    steps = args.epochs * args.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.rate, steps, pct_start=0.1)
    rows = found.where("train")
    kinds = [rows[~found.ancestor[rows]], rows[found.ancestor[rows]]]
    ids = {int(i): encode(found.letters[i]) for i in rows}
    inner = found.where("inner")
    best, kept, begun = -1.0, model.get_weights(), time.monotonic()
    for epoch in range(args.epochs):
        losses = []
        for _ in range(args.steps):
            half = args.batch // 2
            chosen = np.concatenate([rng.choice(kind, half) for kind in kinds])
            answers = torch.tensor([0] * half + [1] * half)
            batch = torch.from_numpy(pad([varied(ids[int(i)], rng) for i in chosen]))
            output = model(batch, training=True)
            loss = torch.nn.functional.nll_loss(output.clamp_min(1e-7).log(), answers)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        scores = probabilities(model, [found.letters[i] for i in inner])
        area = roc_auc_score(found.ancestor[inner], scores)
        if area > best:
            best, kept = area, model.get_weights()
        took = time.monotonic() - begun
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, inner AUC {area:.3f}, {took:.0f} s",
            flush=True,
        )
    model.set_weights(kept)
    print(f"kept the epoch with inner AUC {best:.4f}")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    for name, value in (("width", 48), ("heads", 4), ("blocks", 2), ("epochs", 7), ("steps", 60),
                        ("batch", 32), ("seed", 1)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, rate in (("rate", 3e-3), ("decay", 0.05), ("dropout", 0.1)):
        parser.add_argument(f"--{name}", type=float, default=rate)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = his3p(args.data)
    for split in ("train", "inner", "test"):
        rows = found.where(split)
        old = int(found.ancestor[rows].sum())
        clades = len(set(found.clade[rows]) - {-1})
        print(f"{split}: {len(rows) - old} extant, {old} ancestors, {clades} clades")
    model = train(found, args)
    args.out.mkdir(parents=True, exist_ok=True)
    write_folder(args.out, model, TOKENS, LABELS)
    size = sum(f.stat().st_size for f in args.out.iterdir())
    print(f"{args.out}: {model.count_params():,} parameters, {size:,} bytes")


if __name__ == "__main__":
    main()
