"""Attention received: streamed, beside `output_attentions=True` on an eager copy.

Each side runs in a fresh process of its own, in turn; its peak memory is counted above the loaded
model. The plain forward pass is printed beside. Usage::

    python benchmarks/attention_received.py [--width 320] [--layers 33] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

SIDES = ("streamed", "eager", "forward")


def resident() -> int:
    """Return the resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


class Peak:
    """The largest resident size while the context is open, sampled every two milliseconds."""

    def __enter__(self) -> Peak:
        """Start sampling."""
        self.start = self.most = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.most = max(self.most, resident())

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self._done.set()
        self._thread.join()
        self.most = max(self.most, resident())

    @property
    def grown(self) -> int:
        """Bytes above the size at the start."""
        return self.most - self.start


def work(side: str, width: int, layers: int, residues: int) -> None:
    """Run one side once on a small input (warm-up) and once on the real one; print the cost."""
    import torch
    from transformers import EsmConfig, EsmForMaskedLM

    from saliscope.attention import stream

    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=33, hidden_size=width, num_hidden_layers=layers, num_attention_heads=20,
        intermediate_size=4 * width, max_position_embeddings=residues + 2, mask_token_id=32,
        position_embedding_type="rotary", pad_token_id=1, token_dropout=True,
        attn_implementation="eager" if side == "eager" else "sdpa",
    )  # fmt: skip
    model = EsmForMaskedLM(config).eval()
    tokens = torch.randint(4, 24, (1, residues))
    keep = torch.ones(residues, dtype=torch.bool)
    keep[0] = keep[-1] = False

    def run(ids: torch.Tensor, mask: torch.Tensor) -> Any:
        with torch.no_grad():
            if side == "streamed":
                return stream(model, {"input_ids": ids}, keep=mask).values[0]
            if side == "forward":
                return model(ids).logits
            return model(ids, output_attentions=True).attentions

    run(tokens[:, :16], keep[-16:])
    with Peak() as peak:
        start, used = time.perf_counter(), time.process_time()
        values = run(tokens, keep)
        seconds, used = time.perf_counter() - start, time.process_time() - used
    sample: list[float] = []
    if side == "streamed":
        sample = values[-1][:, keep].flatten()[::50].tolist()
    elif side == "eager":
        # Not timed: what the peer's user does next.
        last = values[-1][0][:, keep][:, :, keep]
        sample = (last / last.sum(-1, keepdim=True)).mean(1).flatten()[::50].tolist()
    print(json.dumps({"seconds": seconds, "cpu": used, "bytes": peak.grown, "sample": sample}))


def main() -> None:
    """Run the sides in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[320, 1280])
    parser.add_argument("--layers", type=int, default=33)
    parser.add_argument("--residues", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES)
    options = parser.parse_args()
    if options.side:
        work(options.side, options.width[0], options.layers, options.residues)
        return
    for width in options.width:
        found: dict[str, list[dict[str, object]]] = {side: [] for side in SIDES}
        for _ in range(options.rounds):
            for side in SIDES:
                command = [
                    sys.executable, __file__, "--side", side, "--width", str(width), "--layers",
                    str(options.layers), "--residues", str(options.residues),
                ]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
        first, second = (found[side][0]["sample"] for side in SIDES[:2])
        assert isinstance(first, list)
        assert isinstance(second, list)
        apart = max(abs(a - b) for a, b in zip(first, second, strict=True))
        cost = {
            side: tuple(
                statistics.median(float(str(run[word])) for run in found[side])
                for word in ("seconds", "cpu", "bytes")
            )
            for side in SIDES
        }
        print(f"H = {width}, {options.layers} layers, 20 heads, {options.residues} tokens")
        for side, (seconds, cpu, size) in cost.items():
            print(f"  {side:<9} {seconds:8.2f} s {cpu:8.2f} s CPU {size / 2**20:9.1f} MiB above")
        ratios = [a / b for a, b in zip(cost["streamed"], cost["eager"], strict=True)]
        print(
            f"  ratio     {ratios[0]:8.2f}   {ratios[1]:8.2f}       {ratios[2]:9.3f}"
            f"     largest difference {apart:.1e}"
        )


if __name__ == "__main__":
    main()
