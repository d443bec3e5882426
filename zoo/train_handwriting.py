"""Train `zoo:handwriting`, a line recognizer with a CTC head and an attention decoder.

    python zoo/train_handwriting.py --data DATA --out build/zoo/handwriting

Learns from the training lines of Copiste d'un jour (modern French hands, writers apart from those
of validation and test). Each time a line is drawn it is stretched, slanted, bent, moved, thinned or
thickened, its paper and ink recolored, and hidden in places; the decoder sees a share of wrong
characters behind it, so that it learns to look. The weights kept are a moving average. With a
time limit (`--minutes`) the learning rate comes down with the clock. An accelerator is used where
there is one and needed for a result in minutes; on two cores allow a night.

`zoo/card_handwriting.py` measures what came out and writes the card.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from handwriting_data import Line, alphabet_of, best_path, edits, read_lines
from saliscope.models.vision.line_network import LineConfig, LineNetwork
from training import adamw, save, set_rate, settings_of, take_into


class Lines:
    """All lines of a split on the device, and batches of them."""

    def __init__(self, lines: list[Line], alphabet: tuple[str, ...], device: str) -> None:
        self.device = device
        self.widths = np.array([line.image.shape[1] for line in lines])
        self.starts = np.concatenate([[0], np.cumsum(self.widths)])
        whole = np.concatenate([line.image for line in lines], axis=1)
        self.pixels = torch.from_numpy(whole).to(device)
        number = {c: i + 1 for i, c in enumerate(alphabet)}
        self.codes = [[number[c] for c in line.text if c in number] for line in lines]
        self.texts = [line.text for line in lines]

    def __len__(self) -> int:
        return len(self.widths)

    def batches(self, pixels: int, rng: np.random.Generator | None) -> list[np.ndarray]:
        """Cut all lines into batches of similar width, at most so many pixels wide in all."""
        noise = rng.normal(0, 0.05, len(self)) if rng is not None else np.zeros(len(self))
        order = np.argsort(self.widths * np.exp(noise), kind="stable")
        cut, groups = [], []
        for i in order:
            widest = max([self.widths[j] for j in cut] + [self.widths[i]])
            if cut and widest * (len(cut) + 1) > pixels:
                groups.append(np.array(cut))
                cut = []
            cut.append(i)
        groups.append(np.array(cut))
        if rng is not None:
            groups = [groups[i] for i in rng.permutation(len(groups))]
        return groups

    def images(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (rows, 1, 48, widest) in [0, 1], white right of each line, and the widths."""
        widths = torch.from_numpy(self.widths[chosen]).to(self.device)
        starts = torch.from_numpy(self.starts[chosen]).to(self.device)
        along = torch.arange(int(widths.max()), device=self.device)
        inside = along < widths[:, None]
        columns = torch.where(inside, starts[:, None] + along, starts[:, None])
        rows = self.pixels[:, columns].permute(1, 0, 2).float() / 255.0
        return torch.where(inside[:, None], rows, 1.0)[:, None], widths

    def labels(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output numbers (rows, longest), zeros behind each text, and the lengths."""
        longest = max(len(self.codes[i]) for i in chosen)
        out = np.zeros((len(chosen), longest), dtype=np.int64)
        for row, i in enumerate(chosen):
            out[row, : len(self.codes[i])] = self.codes[i]
        lengths = torch.tensor([len(self.codes[i]) for i in chosen])
        return torch.from_numpy(out).to(self.device), lengths.to(self.device)


def augment(
    images: torch.Tensor, widths: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lines as another pen, paper, hand and camera might have given them."""
    rows, _, height, width = images.shape
    device = images.device

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, device=device)

    # Thinner or thicker ink, in some.
    dark = -F.max_pool2d(-images, 3, 1, 1)
    light = F.max_pool2d(images, (3, 1), 1, (1, 0))
    amount = uniform(-1.0, 1.0, rows, 1, 1, 1) * (uniform(0, 1, rows, 1, 1, 1) < 0.4)
    thick, thin = amount.clamp(min=0), (-amount).clamp(min=0)
    images = images * (1 - thick - 0.7 * thin) + dark * thick + light * 0.7 * thin

    # Stretch, slant, turn, move, and bend.
    stretch = torch.exp(uniform(-0.25, 0.25, rows))
    new_widths = (widths * stretch).round().long().clamp(min=16)
    new_width = int(new_widths.max())
    y = torch.linspace(-1, 1, height, device=device)[None, :, None]
    x = torch.arange(new_width, device=device, dtype=torch.float32)[None, None, :]
    slant = uniform(-0.45, 0.45, rows, 1, 1) * height / 2
    source_x = x / stretch[:, None, None] + slant * y
    tall = torch.exp(uniform(-0.05, 0.28, rows, 1, 1))
    turn = uniform(-0.25, 0.25, rows, 1, 1) * (x / new_widths[:, None, None] - 0.5)
    source_y = tall * y + turn + uniform(-0.12, 0.12, rows, 1, 1)
    for cells, size in ((3, 1.2), (8, 0.6)):
        across = max(2, new_width // (height // cells * 2))
        bend = torch.randn(rows, 2, cells, across, generator=generator, device=device)
        bend = F.interpolate(bend, (height, new_width), mode="bicubic", align_corners=True)
        source_x = source_x + size * 2.0 * bend[:, 0]
        source_y = source_y + size * 0.045 * bend[:, 1]
    grid = torch.stack([source_x / max(width - 1, 1) * 2 - 1, source_y.expand_as(source_x)], -1)
    paper = images.flatten(1).quantile(0.9, dim=1)[:, None, None, None]
    images = paper - F.grid_sample(paper - images, grid, align_corners=True)

    # Ink and paper, light, blur, grain.
    contrast = uniform(0.5, 1.3, rows, 1, 1, 1)
    images = (images - paper) * contrast + paper
    shade = torch.randn(rows, 1, 2, max(2, new_width // 96), generator=generator, device=device)
    shade = F.interpolate(shade, (height, new_width), mode="bicubic", align_corners=True)
    images = images + uniform(-0.25, 0.12, rows, 1, 1, 1) + 0.03 * shade
    soft = F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    blur = uniform(0, 1, rows, 1, 1, 1) * (uniform(0, 1, rows, 1, 1, 1) < 0.3)
    images = images * (1 - blur) + soft * blur
    grain = torch.randn(images.shape, generator=generator, device=device)
    images = images + uniform(0, 0.05, rows, 1, 1, 1) * grain

    # Places hidden by paper.
    place = torch.arange(new_width, device=device)[None]
    hidden = torch.zeros(rows, new_width, dtype=torch.bool, device=device)
    for _ in range(4):
        start = uniform(0, 1, rows, 1) * new_widths[:, None]
        hidden |= (place >= start) & (place < start + uniform(0, 14, rows, 1))
    images = torch.where(hidden[:, None, None], images.amax(dim=(1, 2, 3), keepdim=True), images)
    outside = place >= new_widths[:, None]
    return images.clamp(0, 1).masked_fill(outside[:, None, None], 1.0), new_widths


def loss_of(
    model: LineNetwork,
    images: torch.Tensor,
    widths: torch.Tensor,
    labels: torch.Tensor,
    lengths: torch.Tensor,
    wrong: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of both heads, a share `wrong` of what was written being wrong."""
    memory, frames = model.encode(images, widths)
    log_probs = model.ctc(memory).float().log_softmax(-1).transpose(0, 1)
    ctc = F.ctc_loss(log_probs, labels, frames, lengths, reduction="none", zero_infinity=True)
    written = F.pad(labels, (1, 0))
    random = torch.randint_like(written, 1, len(model.config.alphabet) + 1)
    change = (torch.rand(written.shape, device=written.device) < wrong) & (written > 0)
    logits = model.decode(memory, frames, torch.where(change, random, written)).float()
    following = F.pad(labels, (0, 1))
    place = torch.arange(following.shape[1], device=labels.device)
    following = following.masked_fill(place > lengths[:, None], -100)
    written_loss = F.cross_entropy(
        logits.flatten(0, 1), following.flatten(), ignore_index=-100, label_smoothing=0.1
    )
    return ctc.sum() / lengths.sum(), written_loss


@torch.no_grad()
def error_rate(model: LineNetwork, lines: Lines, pixels: int) -> float:
    """Return the character error of the CTC head's best path."""
    wrong = 0
    for chosen in lines.batches(pixels, None):
        images, widths = lines.images(chosen)
        memory, frames = model.encode(images, widths)
        logits = model.ctc(memory).float().cpu().numpy()
        for row, i in enumerate(chosen):
            read = best_path(logits[row, : int(frames[row])], model.config.alphabet)
            wrong += edits(read, lines.texts[i])
    return wrong / sum(map(len, lines.texts))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, default=Path("build/zoo/handwriting"))
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop by then")
    parser.add_argument("--pixels", type=int, default=40000, help="columns per step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--decoder-share", type=float, default=0.5)
    parser.add_argument("--wrong", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    began = time.perf_counter()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    everything = read_lines(args.data / "handwriting")
    alphabet = alphabet_of(everything)
    train = Lines([x for x in everything if x.split == "train"], alphabet, device)
    check = Lines([x for x in everything if x.split == "val"], alphabet, device)
    rng = np.random.default_rng(args.seed)
    generator = torch.Generator(device).manual_seed(args.seed)
    model = LineNetwork(LineConfig(alphabet)).to(device)
    average = LineNetwork(LineConfig(alphabet)).to(device).eval()
    average.load_state_dict(model.state_dict())
    optimizer = adamw(model, args.rate)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count:,} parameters, {len(train):,} lines, {len(alphabet)} characters", flush=True)

    settings = settings_of(args)
    queue: list[np.ndarray] = []
    recent: list[torch.Tensor] = []
    start = time.perf_counter()
    step = 0
    while True:
        elapsed = (time.perf_counter() - began) / 60
        progress = max(step / args.steps, elapsed / args.minutes)
        if progress >= 1:
            break
        queue = queue or train.batches(args.pixels, rng)
        chosen = queue.pop()
        set_rate(optimizer, args.rate, step, progress)
        model.train()
        images, widths = augment(*train.images(chosen), generator)
        labels, lengths = train.labels(chosen)
        with torch.autocast(device, dtype=torch.bfloat16):
            ctc, written = loss_of(model, images, widths, labels, lengths, args.wrong)
        optimizer.zero_grad(set_to_none=True)
        (ctc + args.decoder_share * written).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        take_into(average, model, step)
        recent.append(torch.stack([ctc.detach(), written.detach()]))
        step += 1
        if step % 200 == 0:
            mean = torch.stack(recent).mean(0).tolist()
            recent = []
            speed = step / (time.perf_counter() - start)
            print(
                f"step {step} ctc {mean[0]:.4f} decoder {mean[1]:.4f} {speed:.1f} steps/s "
                f"{progress:.0%}", flush=True,
            )  # fmt: skip
        if step % 1000 == 0:
            print(f"  validation {error_rate(average, check, args.pixels):.4f}", flush=True)
            save(average, args.out, {**settings, "steps_done": step})
    print(
        f"validation {error_rate(average, check, args.pixels):.4f} after {step} steps", flush=True
    )
    save(average, args.out, {**settings, "steps_done": step})


if __name__ == "__main__":
    main()
