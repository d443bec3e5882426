"""What the training scripts of the package's own networks share."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn


def adamw(model: nn.Module, rate: float) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices alone."""
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=rate, betas=(0.9, 0.98), fused=next(model.parameters()).is_cuda,
    )  # fmt: skip


def set_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, progress: float) -> None:
    """Warm up over 300 steps, and come down along a cosine as the run progresses from 0 to 1."""
    rate = peak * min(1.0, (step + 1) / 300) * 0.5 * (1 + math.cos(math.pi * progress))
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def take_into(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move a running average of weights and statistics towards a model's, slower and slower."""
    keep = min(0.999, (step + 1) / (step + 10))
    ours, theirs = list(average.state_dict().values()), list(model.state_dict().values())
    floats = [i for i, tensor in enumerate(ours) if tensor.is_floating_point()]
    torch._foreach_lerp_([ours[i] for i in floats], [theirs[i] for i in floats], 1 - keep)


def settings_of(args: argparse.Namespace) -> dict[str, object]:
    """Return what a card tells of a run: its flags, without folders and limits not set."""
    return {k: v for k, v in vars(args).items() if k not in {"data", "out"} and v != math.inf}


def save(model: Any, out: Path, settings: dict[str, object]) -> None:
    """Write the folder that `saliscope.load` reads, in half precision."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (t.half() if t.is_floating_point() else t).contiguous().cpu()
        for name, t in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    config = json.dumps(model.config.to_dict(), indent=2, ensure_ascii=False)
    (out / "config.json").write_text(config + "\n", encoding="utf-8")
    (out / "training.json").write_text(json.dumps(settings) + "\n")
