"""Train `zoo:protein`, a small protein language model with the ESM-2 architecture.

    python zoo/train_protein.py --data DATA --out build/zoo/protein

A masked language model (`EsmForMaskedLM`, rotary positions, token dropout, the 33-token ESM-2
alphabet). One step is a fixed number of residues; batches hold proteins of similar length, cut to
`--crop` residues. The learning rate is warmed up, held, and brought down linearly over the last
fifth (Hu et al. 2024, MiniCPM, section 4). A run that was cut off goes on from the checkpoint in
`--out` with the same random states. The three families come first: see `families_share`.
An accelerator is used where there is one; on one core allow about an hour.

`zoo/card_protein.py` measures what came out and writes the card.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from transformers import EsmConfig, EsmForMaskedLM

from protein_data import FAMILIES, Corpus, build

TOKENS = [
    "<cls>", "<pad>", "<eos>", "<unk>",
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    "<null_1>", "<mask>",
]  # fmt: skip
ID = {token: i for i, token in enumerate(TOKENS)}
FAMILY_SHARE = {"beta-lactamase": 0.75, "hemoglobin": 0.20, "calsequestrin": 0.05}


def families_share(step: int) -> float:
    """Return the share of the three families among the drawn sequences.

    A curriculum: families alone at first, where attention learns quickly to recognize a position
    by its surroundings, then linearly down to 40 %, and so to the end.
    """
    return float(np.interp(step, [1700, 4250], [1.0, 0.4]))


def config() -> EsmConfig:
    return EsmConfig(
        vocab_size=len(TOKENS), mask_token_id=ID["<mask>"], pad_token_id=ID["<pad>"],
        hidden_size=192, num_hidden_layers=4, num_attention_heads=4, intermediate_size=768,
        max_position_embeddings=1026, position_embedding_type="rotary", token_dropout=True,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        emb_layer_norm_before=False, tie_word_embeddings=True,
    )  # fmt: skip


def initialize(model: EsmForMaskedLM) -> EsmForMaskedLM:
    """Start matrices at variance 1 / fan-in.

    The default (standard deviation 0.02) starts attention so near to uniform that a small model
    spends a third of its time box on the residue frequencies alone.
    """
    for name, parameter in model.named_parameters():
        if "word_embeddings" in name:
            torch.nn.init.normal_(parameter, std=0.15)
        elif parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    return model


class Batches:
    """Draws batches of about `residues` residues, from one generator, reproducibly."""

    def __init__(self, corpus: Corpus, crop: int, residues: int, seed: int) -> None:
        self.crop, self.residues = crop, residues
        self.step = 0
        self.rng = np.random.default_rng(seed)
        train = np.flatnonzero(~corpus.held_out)
        lookup = np.zeros(128, dtype=np.uint8)
        for residue in "LAGVSERTIDPKQNFYMHWCXBUZO":
            lookup[ord(residue)] = ID[residue]
        self.ids = [
            lookup[np.frombuffer(corpus.sequences[i].encode(), dtype=np.uint8)] for i in train
        ]
        weight = corpus.weight[train].copy()
        # Longer proteins give more crops, up to three crop lengths.
        weight *= np.minimum([len(s) / crop for s in self.ids], 3.0).clip(0.3)
        source = corpus.source[train]
        self.general = ~np.isin(source, list(FAMILIES))
        weight[self.general] /= weight[self.general].sum()
        for family, share in FAMILY_SHARE.items():
            weight[source == family] *= share / weight[source == family].sum()
        self.weight = weight
        self.queue: list[list[np.ndarray]] = []

    def _fill(self) -> None:
        share = families_share(self.step)
        cumulative = np.cumsum(self.weight * np.where(self.general, 1 - share, share))
        picks = np.searchsorted(cumulative, self.rng.random(1024) * cumulative[-1])
        crops = []
        for i in picks:
            ids = self.ids[min(int(i), len(self.ids) - 1)]
            if len(ids) <= self.crop:
                crops.append(np.concatenate([[ID["<cls>"]], ids, [ID["<eos>"]]]))
                continue
            start = int(self.rng.integers(0, len(ids) - self.crop + 1))
            cut = ids[start : start + self.crop]
            head = [ID["<cls>"]] if start == 0 else []
            tail = [ID["<eos>"]] if start + self.crop == len(ids) else []
            crops.append(np.concatenate([head, cut, tail]).astype(np.int64))
        crops.sort(key=len)
        batch: list[np.ndarray] = []
        groups: list[list[np.ndarray]] = []
        for crop in crops:
            if batch and (len(batch) + 1) * len(crop) > self.residues:
                groups.append(batch)
                batch = []
            batch.append(crop)
        self.queue = [groups[i] for i in self.rng.permutation(len(groups))]

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return token ids with masks put in, the attention mask, and the labels."""
        if not self.queue:
            self._fill()
        crops = self.queue.pop()
        self.step += 1
        width = max(map(len, crops))
        ids = np.full((len(crops), width), ID["<pad>"], dtype=np.int64)
        for row, crop in enumerate(crops):
            ids[row, : len(crop)] = crop
        attention = ids != ID["<pad>"]
        chosen = (self.rng.random(ids.shape) < 0.2) & (ids >= 4)
        labels = np.where(chosen, ids, -100)
        how = self.rng.random(ids.shape)
        corrupted = np.where(chosen & (how < 0.8), ID["<mask>"], ids)
        random = self.rng.integers(4, 24, ids.shape)
        corrupted = np.where(chosen & (how >= 0.9), random, corrupted)
        return tuple(torch.from_numpy(x) for x in (corrupted, attention.astype(np.int64), labels))


def rate(step: int, steps: int, peak: float) -> float:
    """Warm up over 200 steps, hold, and come down linearly over the last fifth."""
    return peak * min(1.0, (step + 1) / 200, max(0.0, (steps - step) / (0.2 * steps)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, default=Path("build/zoo/protein"))
    parser.add_argument("--steps", type=int, default=6500)
    parser.add_argument("--residues", type=int, default=2048, help="residues per step")
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    corpus = build(args.data, args.out.parent / "protein_clusters.npz", seed=args.seed)
    batches = Batches(corpus, args.crop, args.residues, args.seed)
    model = initialize(EsmForMaskedLM(config())).to(device).train()
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=args.rate, betas=(0.9, 0.98),
    )  # fmt: skip
    first = 0
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {k: v for k, v in vars(args).items() if k not in {"data", "out", "threads"}}
    (args.out / "training.json").write_text(json.dumps(settings) + "\n")
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
        for _ in range(first):  # the drawn batches are the random state
            batches()
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{parameters:,} parameters, {len(batches.ids):,} training sequences, {device}", flush=True
    )
    start, seen, losses = time.perf_counter(), 0, []
    for step in range(first, args.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps, args.rate)
        ids, attention, labels = (x.to(device) for x in batches())
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(input_ids=ids, attention_mask=attention).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        seen += int(attention.sum())
        if (step + 1) % 100 == 0:
            speed = seen / (time.perf_counter() - start)
            mean = float(np.mean(losses[-100:]))
            print(
                f"step {step + 1} loss {mean:.4f} perplexity {math.exp(mean):.2f} "
                f"{speed:,.0f} residues/s", flush=True,
            )  # fmt: skip
        if (step + 1) % 500 == 0 or step + 1 == args.steps:
            beside = checkpoint.with_suffix(".tmp")
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step + 1,
                },
                beside,
            )
            beside.replace(checkpoint)
    model.half().save_pretrained(args.out)
    (args.out / "vocab.txt").write_text("\n".join(TOKENS) + "\n")


if __name__ == "__main__":
    main()
