"""Train `zoo:bottleneck`, a dual Llama that presses a protein through a few slots.

    python zoo/train_bottleneck.py --data DATA --out build/zoo/bottleneck

The sequences, their weights and the held-out clusters are those of `zoo:protein`. Each protein (cut
to `--crop` residues) is encoded to the slots and written again; the decoder is shown a share of the
residues before each, drawn anew per protein: nothing in half of them, so that it must rebuild from
the bottleneck alone. With a time limit (`--minutes`) the learning rate comes down with the clock.

`zoo/card_bottleneck.py` measures what came out and writes the card.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from protein_data import Corpus, build
from saliscope.models.dual_llama import DualLlama, DualLlamaConfig
from training import adamw, save, set_rate, settings_of, take_into


class Proteins:
    """The training sequences as token ids, drawn by weight, longer ones cut."""

    def __init__(self, corpus: Corpus, config: DualLlamaConfig, crop: int, seed: int) -> None:
        lookup = np.full(128, DualLlama.FIRST + config.alphabet.index("X"), dtype=np.int64)
        for i, residue in enumerate(config.alphabet):
            lookup[ord(residue)] = DualLlama.FIRST + i
        self.ids = [lookup[np.frombuffer(s.encode(), dtype=np.uint8)] for s in corpus.sequences]
        self.crop = crop
        self.rng = np.random.default_rng(seed)
        self.train = np.flatnonzero(~corpus.held_out)
        self.check = np.flatnonzero(corpus.held_out)
        weight = corpus.weight[self.train]
        self.cumulative = np.cumsum(weight / weight.sum())
        self.queue: list[torch.Tensor] = []

    def batch(self, residues: int) -> torch.Tensor:
        """Return token ids (rows, length), about `residues` of them."""
        if not self.queue:
            picks = np.searchsorted(self.cumulative, self.rng.random(4096))
            crops = []
            for i in self.train[np.minimum(picks, len(self.train) - 1)]:
                ids = self.ids[i]
                start = int(self.rng.integers(0, max(1, len(ids) - self.crop + 1)))
                # Whole proteins and first parts are what a user has: most cuts begin at 1.
                start = 0 if self.rng.random() < 0.7 else start
                crops.append(ids[start : start + self.crop])
            crops.sort(key=len)
            cut: list[np.ndarray] = []
            groups = []
            for crop in crops:
                if cut and (len(cut) + 1) * len(crop) > residues:
                    groups.append(together(cut))
                    cut = []
                cut.append(crop)
            self.queue = [groups[i] for i in self.rng.permutation(len(groups))]
        return self.queue.pop()


def together(crops: list[np.ndarray]) -> torch.Tensor:
    """Return crops as one array, padded with zeros."""
    out = np.zeros((len(crops), max(map(len, crops))), dtype=np.int64)
    for row, crop in enumerate(crops):
        out[row, : len(crop)] = crop
    return torch.from_numpy(out)


@torch.no_grad()
def rebuilt(model: DualLlama, crops: list[np.ndarray], device: str) -> float:
    """Return the share of residues rebuilt from the bottleneck alone."""
    right = total = 0
    crops = sorted(crops, key=len)
    for start in range(0, len(crops), 64):
        ids = together(crops[start : start + 64]).to(device)
        found = model.rebuild(model.compress(ids), ids.shape[1]).argmax(-1)
        inside = ids != DualLlama.PADDING
        right += int(((found == ids) & inside).sum())
        total += int(inside.sum())
    return right / total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, default=Path("build/zoo/bottleneck"))
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop by then")
    parser.add_argument("--residues", type=int, default=32768, help="residues per step")
    parser.add_argument("--crop", type=int, default=400)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    began = time.perf_counter()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    corpus = build(args.data, args.out.parent / "protein_clusters.npz", seed=args.seed)
    config = DualLlamaConfig()
    proteins = Proteins(corpus, config, args.crop, args.seed)
    drawn = np.random.default_rng(1).permutation(proteins.check)[:256]
    check = [proteins.ids[i][: args.crop] for i in drawn]
    model, average = DualLlama(config).to(device), DualLlama(config).to(device).eval()
    average.load_state_dict(model.state_dict())
    optimizer = adamw(model, args.rate)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count:,} parameters, {len(proteins.train):,} sequences, {device}", flush=True)
    settings = settings_of(args)
    recent: list[torch.Tensor] = []
    start, step = time.perf_counter(), 0
    while True:
        progress = max(step / args.steps, (time.perf_counter() - began) / 60 / args.minutes)
        if progress >= 1:
            break
        set_rate(optimizer, args.rate, step, progress)
        model.train()
        ids = proteins.batch(args.residues).to(device)
        share = torch.rand(len(ids), 1, device=device) * (
            torch.rand(len(ids), 1, device=device) < 0.5
        )
        visible = torch.rand(ids.shape, device=device) < share
        before = F.pad(ids, (1, 0), value=DualLlama.HIDDEN)[:, :-1]
        shown = torch.where(visible, before, DualLlama.HIDDEN)
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(ids, shown)
        loss = F.cross_entropy(
            logits.float().flatten(0, 1), ids.flatten(), ignore_index=DualLlama.PADDING
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        take_into(average, model, step)
        recent.append(loss.detach())
        step += 1
        if step % 200 == 0:
            mean = float(torch.stack(recent).mean())
            recent = []
            speed = step / (time.perf_counter() - start)
            print(f"step {step} loss {mean:.4f} {speed:.1f} steps/s {progress:.0%}", flush=True)
        if step % 1000 == 0:
            print(f"  held out, rebuilt {rebuilt(average, check, device):.3f}", flush=True)
            save(average, args.out, {**settings, "steps_done": step})
    print(f"held out, rebuilt {rebuilt(average, check, device):.3f} after {step} steps", flush=True)
    save(average, args.out, {**settings, "steps_done": step})


if __name__ == "__main__":
    main()
