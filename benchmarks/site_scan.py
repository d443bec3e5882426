"""Memory of attention, the site scan and the contact scan, beside the model's own forward pass.

Each side runs in a fresh process; its peak is counted above the loaded model, after a warm-up on a
short protein. Asked of attention and sites is: at most twice the model's own peak, plus one layer's
attention. Measured with torch 2.13 on one thread, 33 layers, 20 heads, 1,022 residues, H = 320, in
MiB above the loaded model, of 142 allowed: forward 30.8, attention 60.1, sites 67.3; the scan of
contacts, which holds one layer of full attention and works on each head in float64, 146.5. At
H = 1280, of 494 allowed: forward 206.8, attention 197.0, sites 133.5. Usage::

    python benchmarks/site_scan.py [--width 1280] [--layers 33] [--residues 1022]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from attention_received import Peak

SIDES = ("forward", "attention", "sites", "contacts")
HEADS = 20
LETTERS = "LAGVSERTIDPKQNFYMHWCXBUZO.-"


def work(side: str, width: int, layers: int, residues: int) -> None:
    """Run one side on a short protein, then on the real one; print the cost."""
    import torch
    from transformers import EsmConfig, EsmForMaskedLM, EsmTokenizer

    import saliscope
    from saliscope import sites
    from saliscope.models.protein import ProteinModel

    torch.manual_seed(0)
    words = ["<cls>", "<pad>", "<eos>", "<unk>", *LETTERS, "<null_1>", "<mask>"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.txt"
        vocabulary.write_text("\n".join(words) + "\n", encoding="utf-8")
        tokenizer = EsmTokenizer(str(vocabulary))
    config = EsmConfig(
        vocab_size=len(words), hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=HEADS, intermediate_size=4 * width, mask_token_id=32,
        max_position_embeddings=residues + 4, position_embedding_type="rotary", pad_token_id=1,
        token_dropout=True, attn_implementation="sdpa",
    )  # fmt: skip
    model = ProteinModel(EsmForMaskedLM(config).eval(), tokenizer, "esm-2 of random weights")
    rng = np.random.default_rng(0)
    protein = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), residues))
    points = np.cumsum(rng.normal(size=(residues, 3)) * 2.2, axis=0)

    def run(letters: str) -> object:
        if side == "forward":
            (sample,) = model.prepare(letters)
            with torch.no_grad():
                return model.module(**model.arguments([sample.context["ids"]])).logits
        if side == "attention":
            return saliscope.attention(model, letters)
        if side == "sites":
            places = range(3, len(letters), 31)
            return sites.scan_sites(model, sites.Sites.at(letters, places, name="P"))
        count = len(letters)
        chain = sites.Structure(
            "made.pdb", "A", letters, tuple((i + 1, "") for i in range(count)), points[:count],
            points[:count], points[:count], np.arange(count), np.ones(count),
        )  # fmt: skip
        return sites.scan_contacts(model, sites.place(chain, letters))

    run(protein[:40])
    with Peak() as peak:
        start, used = time.perf_counter(), time.process_time()
        run(protein)
        seconds, used = time.perf_counter() - start, time.process_time() - used
    print(json.dumps({"seconds": seconds, "cpu": used, "bytes": peak.grown}))


def main() -> None:
    """Run the sides and print peaks and the share of what is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[320, 1280])
    parser.add_argument("--layers", type=int, default=33)
    parser.add_argument("--residues", type=int, default=1022)
    parser.add_argument("--side", choices=SIDES)
    options = parser.parse_args()
    if options.side:
        work(options.side, options.width[0], options.layers, options.residues)
        return
    layer = HEADS * (options.residues + 2) ** 2 * 4
    for width in options.width:
        print(f"H = {width}, {options.layers} layers, {HEADS} heads, {options.residues} residues")
        own = 0
        for side in SIDES:
            command = [
                sys.executable, __file__, "--side", side, "--width", str(width), "--layers",
                str(options.layers), "--residues", str(options.residues),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            cost = json.loads(done.stdout.splitlines()[-1])
            own = own or cost["bytes"]
            allowed = 2 * own + layer
            print(
                f"  {side:<9} {cost['seconds']:8.2f} s {cost['cpu']:8.2f} s CPU "
                f"{cost['bytes'] / 2**20:9.1f} MiB above, "
                f"{cost['bytes'] / allowed:.2f} of the {allowed / 2**20:.0f} MiB allowed",
                flush=True,
            )


if __name__ == "__main__":
    main()
