"""Audit a trained `zoo:bottleneck` and write its card.

    python zoo/card_bottleneck.py --data DATA --model src/saliscope/zoo/bottleneck

Every number of the card is measured or read by this command; nothing is typed in. The audit is that
of `saliscope.bottleneck`, on proteins of held-out clusters: its tables, figures and the document
*Bottleneck architecture analysis* lie in `--out` afterwards, and `--again` renders the card from
them without running the model. Allow half an hour on one core.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import time
from pathlib import Path

import numpy as np
import torch

from protein_data import Corpus, build
from saliscope import bottleneck
from saliscope.bottleneck.representing import Scan
from saliscope.core.files import write_beside
from saliscope.sites import place, read_structure
from saliscope.sites.placing import Placed
from saliscope.study import tp53

CARD = """# zoo:bottleneck

This is a demonstration model: small, trained for {minutes} minutes on one accelerator, good enough
to show what an audit of a bottleneck looks like.

**It must not be used to interpret variants of patients, for any clinical decision, or as evidence
that a variant is harmful or harmless.** Nor is its bottleneck an embedding for other work: it was
trained to write proteins again, and what that teaches is measured below.

## What it is

A dual Llama: an encoder of {encoder} Llama blocks reads a protein; {slots} learned slots attend to
what it gives and are cut to {width} numbers each; a decoder of {decoder} causal Llama blocks
attends to the slots and writes the protein again. Width {hidden}, {heads} heads,
{parameters:,} parameters, {size:.1f} MB in half precision. At most {positions} residues.
Training settings: {settings}.

In training the decoder was shown a share of the residues before each, none of them for half of the
proteins. `saliscope.explain` and everything below show it none.

## Data and licenses

The sequences, weights and held-out clusters of `zoo:protein` (see its card): {sequences:,}
sequences, of which whole clusters at 30 % identity were held out. What follows was measured on
{inputs} proteins of held-out clusters with labels of FLIP (AFL-3.0; Dallago et al. 2021), and on
{longer} held-out proteins that are longer than the model was made for. Variant effects are
{scans}.

{document}
## How to make it again

`python zoo/train_bottleneck.py --data DATA --out build/zoo/bottleneck --minutes {minutes}`, then
`zoo/card_bottleneck.py`. See `zoo/README.md`.
"""

STRUCTURES = {
    "1crn_crambin.pdb": "A", "1t29_BRCA1_BRCT.pdb": "A", "ITPA_model.pdb": "A",
    "1tsr_B_TP53_core.pdb": "B", "6owv_CASQ2.pdb": "A",
}  # fmt: skip
"""Files of the data folder, and the chain of each."""


def held_out(corpus: Corpus, cache: Path) -> dict[str, int]:
    """Return the held-out sequences, and the cluster of each."""
    clusters = np.load(cache)["at30"]
    return {
        s: int(c)
        for s, c, held in zip(corpus.sequences, clusters, corpus.held_out, strict=True)
        if held
    }


def scans(data: Path, count: int, seed: int) -> list[Scan]:
    """Return two deep mutational scans, so many variants of each."""
    given = tp53()
    assert given.measured is not None
    found = [Scan("TP53", given.sequence, _few(dict(given.measured), count, seed))]
    with gzip.open(data / "dms/BLAT_ECOLX_2500_seq_fitness.csv.gz", "rt") as handle:
        rows = list(csv.DictReader(handle))
    sequence, effects = _blat(rows)
    return [*found, Scan("TEM-1", sequence, _few(effects, count, seed))]


def _blat(rows: list[dict[str, str]]) -> tuple[str, dict[str, float]]:
    """Return the reference that full sequences differ from, and effects by the difference."""
    columns = list(rows[0])
    word = next(c for c in columns if "seq" in c.lower())
    score = next(c for c in columns if "fit" in c.lower() or "score" in c.lower())
    letters = np.array([list(row[word]) for row in rows])
    reference = "".join(max(set(c), key=list(c).count) for c in letters.T)
    effects = {}
    for row in rows:
        places = [i for i, (a, b) in enumerate(zip(reference, row[word], strict=True)) if a != b]
        if len(places) == 1:
            at = places[0]
            effects[f"{reference[at]}{at + 1}{row[word][at]}"] = float(row[score])
    return reference, effects


def _few(effects: dict[str, float], count: int, seed: int) -> dict[str, float]:
    names = sorted(effects)
    order = np.random.default_rng(seed).permutation(len(names))[:count]
    return {names[i]: effects[names[i]] for i in order.tolist()}


def placed(data: Path) -> list[Placed]:
    """Return proteins of known structure."""
    found = []
    for name, chain in STRUCTURES.items():
        structure = read_structure(data / "proteins/pdb" / name, chain)
        found.append(place(structure, structure.letters))
    return found


def card(args: argparse.Namespace, audit: bottleneck.Audit, corpus: Corpus) -> str:
    """Fill in the card."""
    config = json.loads((args.model / "config.json").read_text())
    training = json.loads((args.model / "training.json").read_text())
    weights = args.model / "model.safetensors"
    from safetensors import safe_open

    with safe_open(weights, "pt") as held:
        count = sum(held.get_tensor(name).numel() for name in held.keys())  # noqa: SIM118 - no mapping
    text = bottleneck.document(audit).text
    probes = audit["probes"]
    named = sorted(t.rpartition(", ")[2] for t in set(probes["task"]) if t.startswith("effect"))
    body = text.partition("\n")[2].replace("\n## ", "\n### ").strip()
    return CARD.format(
        minutes=training["minutes"], encoder=config["encoder_layers"],
        decoder=config["decoder_layers"], slots=config["slots"], width=config["slot_width"],
        hidden=config["width"], heads=config["heads"], parameters=count,
        size=weights.stat().st_size / 1e6, positions=config["positions"],
        settings=", ".join(f"{k} {v}" for k, v in training.items()),
        sequences=len(corpus.sequences), inputs=audit.meta["inputs"],
        longer=audit.meta["longer"], scans=" and ".join(named),
        document=f"## Bottleneck architecture analysis\n\n{body}\n",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--model", type=Path, default=Path("src/saliscope/zoo/bottleneck"))
    parser.add_argument("--clusters", type=Path, default=Path("build/zoo/protein_clusters.npz"))
    parser.add_argument("--out", type=Path, default=Path("build/zoo/bottleneck_audit"))
    parser.add_argument("--card", type=Path, help="the card to write (card.md of the model)")
    parser.add_argument("--proteins", type=int, default=120, help="with labels of each kind")
    parser.add_argument("--variants", type=int, default=60, help="followed through the bottleneck")
    parser.add_argument("--effects", type=int, default=400, help="variants of each scan")
    parser.add_argument("--longer", type=int, default=40, help="proteins beyond the limit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="only write the card again")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    start = time.perf_counter()
    corpus = build(args.data, args.clusters, seed=args.seed)
    if not args.again:
        held = held_out(corpus, args.clusters)
        known = bottleneck.read_flip(
            args.data / "secondary_structure", most=args.proteins, only=held, seed=args.seed
        )
        limit = json.loads((args.model / "config.json").read_text())["positions"]
        far = sorted(s for s in held if limit < len(s) <= 3 * limit)
        order = np.random.default_rng(args.seed).permutation(len(far))[: args.longer]
        audit = bottleneck.audit(
            "zoo:bottleneck", known.proteins, tasks=known.tasks,
            families=[held[str(p.raw)] for p in known.proteins], variants=args.variants,
            scans=scans(args.data, args.effects, args.seed), structures=placed(args.data),
            longer=[far[i] for i in order.tolist()], seed=args.seed,
            say=lambda text: print(f"{time.perf_counter() - start:6.0f} s  {text}", flush=True),
        )  # fmt: skip
        args.out.mkdir(parents=True, exist_ok=True)
        audit.to_csv(args.out)
        print(audit, flush=True)
    audit = bottleneck.read_audit(args.out)
    out = args.card or args.model / "card.md"
    write_beside(out, card(args, audit, corpus).encode())
    print(f"{out} written in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
