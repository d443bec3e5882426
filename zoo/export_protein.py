"""Put a trained `zoo:protein` into the package: fp16 weights, config and tokenizer.

python zoo/export_protein.py --model build/zoo/protein --out src/saliscope/zoo/protein
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from transformers import EsmForMaskedLM, EsmTokenizer

from train_protein import TOKENS, config


def main() -> None:
    """Load the last checkpoint and save it as transformers does, in half precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("build/zoo/protein"))
    parser.add_argument("--out", type=Path, default=Path("src/saliscope/zoo/protein"))
    args = parser.parse_args()
    saved = torch.load(args.model / "checkpoint.pt", weights_only=True)
    model = EsmForMaskedLM(config())
    model.load_state_dict(saved["model"])
    card = args.out / "card.md"
    text = card.read_text() if card.exists() else None
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    model.half().save_pretrained(args.out)
    vocabulary = args.out / "vocab.txt"
    vocabulary.write_text("\n".join(TOKENS) + "\n")
    EsmTokenizer(str(vocabulary)).save_pretrained(args.out)
    if text is not None:
        card.write_text(text)
    total = sum(p.stat().st_size for p in args.out.iterdir())
    print(f"{args.out}: step {saved['step']}, {total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
