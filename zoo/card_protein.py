"""Measure a trained `zoo:protein` and write its card.

    python zoo/card_protein.py --data DATA --model src/saliscope/zoo/protein

Every number of the card is measured or read by this command; nothing is typed in. With
`--checkpoint` a run that is still going is measured. Allow five minutes on one core.
`--run` is the folder that the training wrote to: the clusterings lie beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from transformers import EsmForMaskedLM

import protein_measures as measures
import train_protein
from protein_data import FAMILIES, Corpus, build
from protein_measures import Perplexity, Probe, Runner, Scan

CARD = """# zoo:protein

This is a demonstration model: small, trained in minutes to hours, good enough to show what an
explanation looks like, and far from the published protein language models.

**It must not be used to interpret variants of patients, for any clinical decision, or as evidence
that a variant is harmful or harmless.** Nor is it fit for protein design or for claims about a
protein's function. For research take a published model; real ESM-2 checkpoints have the same
architecture and are a change of name.

## What it is

`EsmForMaskedLM` with the ESM-2 alphabet, rotary positions and token dropout: {layers} layers of
width {hidden}, {heads} heads, {parameters:,} parameters, {size}. At most {longest:,} residues.
{settings}

## Data and licenses

{sequences:,} different sequences, {residues:,} residues:

{sources}

Whole clusters at 30 % identity (MMseqs2, coverage 0.5) were held out: {held:,} sequences, the
clusters of the FLIP secondary-structure test proteins among them; a cluster with a member of the
three families always trained. In training a sequence counts 1 / (size of its cluster at 80 %
identity). The families are drawn far more often, so the model knows these best: they are
{first:.0%} of the sequences drawn at the start, {last:.0%} at the end, {shares}.

The sequences of UniProt are CC BY 4.0 (The UniProt Consortium 2023, Nucleic Acids Research
51:D523), the FLIP splits AFL-3.0 (Dallago et al. 2021), the human proteins come from the
ProteinGym reference file (MIT; Notin et al. 2023), the beta-lactamase alignment from Hsu et al.
2022 (MIT), the hemoglobin alignment from Biotite (BSD-3-Clause), the calsequestrin orthologs from
eggNOG (repository without a license file; eggNOG states CC BY 4.0).

## Masked perplexity

{share:.0%} of the positions of each sequence, drawn once (seed {seed}), all replaced by `<mask>`;
exp of the mean -log P of the true residue, sequences weighted as in training, 95 % intervals from
1,000 redraws of whole sequences. Lower is better; guessing evenly among 20 gives 20. The trigrams
see their two neighbors even where the model's are masked. They and the frequencies are counted on
the training sequences (without the extra draws of the families).

| sequences | n | residues | zoo:protein | frequencies | trigram, 2 before | trigram, each side |
|---|---|---|---|---|---|---|
{perplexities}

The three families were trained on: their rows say how well they were learned, not how well the
model generalizes.

## Effect of single mutations, without training on any measurement

Spearman correlation with two deep mutational scans. The headline is the wild-type marginal:
log P(mutant) - log P(wild type) at the position, from one unmasked pass. The masked marginal takes
the same difference with the position masked. More is better.

| scan | variants | **wild-type marginal** | masked marginal | BLOSUM62 |
|---|---|---|---|---|
{scans}

TEM-1: growth in ampicillin at 2,500 ug/ml (Stiffler et al. 2015, Cell 160:882). TPMT: abundance by
VAMP-seq, missense only (Matreyek et al. 2018, Nature Genetics 50:874). The beta-lactamase family,
TEM-1 with it, was {tem_share:.0%} of what was drawn in training; the measured effects never were.

## Secondary structure from the embeddings

Multinomial logistic regression on each residue's last hidden state, fitted on {train:,} proteins
({train_residues:,} residues) drawn from the FLIP training set, tested on its {test:,} test proteins
({test_residues:,} resolved residues). Share of residues right among helix, strand and coil (Q3).

| features | Q3 | 95 % interval |
|---|---|---|
{probes}

## How to make it again

`{command}`, then `zoo/export_protein.py` and
`zoo/card_protein.py`. See `zoo/README.md`.
"""


def load(folder: Path, checkpoint: Path | None) -> EsmForMaskedLM:
    """Return the model in float32, from the finished folder or from a checkpoint."""
    if checkpoint is None:
        return EsmForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    model = EsmForMaskedLM(train_protein.config())
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    return model


def settings(run: Path, checkpoint: Path | None) -> str:
    """Say how it was trained."""
    found = json.loads((run / "training.json").read_text())
    path = checkpoint or run / "checkpoint.pt"
    if path.exists():
        found["steps done"] = torch.load(path, weights_only=True, map_location="cpu")["step"]
    line = "Training settings: " + ", ".join(f"{k} {v}" for k, v in found.items()) + "."
    if checkpoint is not None:
        line += " **Measured on an unfinished checkpoint.**"
    return line


def perplexities(
    runner: Runner, corpus: Corpus, share: float, most: int, seed: int
) -> list[tuple[str, list[Perplexity]]]:
    """Measure the model and the baselines on the held-out clusters and on each family."""
    train = np.flatnonzero(~corpus.held_out)
    ids, weight = measures.pick(corpus, train, len(train), seed)
    single = measures.unigram(ids, weight)
    trigrams = [measures.Trigram(ids, weight, kind) for kind in ("left", "both")]
    del ids
    print(f"trigram strengths {[t.strengths for t in trigrams]}", flush=True)
    groups = {"held-out clusters": np.flatnonzero(corpus.held_out)}
    groups |= {
        f"{name} (trained on)": np.flatnonzero((corpus.source == name) & ~corpus.held_out)
        for name in FAMILIES
    }
    found = []
    for name, rows in groups.items():
        some, weight = measures.pick(corpus, rows, most if "held" in name else most // 4, seed)
        gaps = measures.draw_gaps(some, share, seed)
        flat = np.concatenate([s[g] for s, g in zip(some, gaps, strict=True)])
        nats = [measures.model_nats(runner, some, gaps), -np.log(single[flat])]
        nats += [trigram.nats(some, gaps) for trigram in trigrams]
        found.append((name, [measures.perplexity(n, gaps, weight, seed) for n in nats]))
        print(name, [round(p.value, 2) for p in found[-1][1]], flush=True)
    return found


def describe(corpus: Corpus) -> str:
    """List the sources with their number of sequences and residues."""
    words = {
        "uniprot": "UniProt", "flip": "FLIP proteins", "human": "human proteins (ProteinGym)",
        "flip-ss-test": "FLIP secondary-structure test proteins (never trained on)",
    }  # fmt: skip
    lines = []
    for source in dict.fromkeys(corpus.source.tolist()):
        rows = np.flatnonzero(corpus.source == source)
        total = sum(len(corpus.sequences[i]) for i in rows)
        name = words.get(source, f"{source} family")
        lines.append(f"* {name}: {len(rows):,} sequences, {total:,} residues")
    return "\n".join(lines)


def write(
    out: Path, args: argparse.Namespace, model: EsmForMaskedLM, corpus: Corpus,
    rows: list[tuple[str, list[Perplexity]]], scans: list[tuple[Scan, dict[str, float]]],
    probes: list[Probe], sizes: dict[str, int],
) -> None:  # fmt: skip
    """Fill in the card."""
    config = model.config
    steps = json.loads((args.run / "training.json").read_text())["steps"]
    drawn = [train_protein.families_share(step) for step in range(steps)]
    within = {k: v * float(np.mean(drawn)) for k, v in train_protein.FAMILY_SHARE.items()}
    shares = "over the whole run " + ", ".join(f"{k} {v:.0%}" for k, v in within.items())
    tem_share = within["beta-lactamase"]
    weights = args.model / "model.safetensors"
    count = sum(p.numel() for p in model.parameters())
    if args.checkpoint is None:
        size = f"{weights.stat().st_size / 1e6:.1f} MB in half precision"
    else:
        size = f"{2 * count / 1e6:.1f} MB in half precision"
    text = CARD.format(
        layers=config.num_hidden_layers, hidden=config.hidden_size,
        heads=config.num_attention_heads, parameters=count, size=size,
        longest=config.max_position_embeddings - 4, settings=settings(args.run, args.checkpoint),
        sequences=len(corpus.sequences), residues=sum(map(len, corpus.sequences)),
        sources=describe(corpus), held=int(corpus.held_out.sum()),
        first=drawn[0], last=drawn[-1], shares=shares, tem_share=tem_share,
        share=args.share, seed=args.seed,
        perplexities="\n".join(
            f"| {name} | {p[0].sequences:,} | {p[0].residues:,} | "
            + " | ".join(f"{x.value:.2f} ({x.low:.2f} to {x.high:.2f})" for x in p) + " |"
            for name, p in rows
        ),
        scans="\n".join(
            f"| {scan.name} | {len(scan.score):,} | **{s['unmasked']:.3f}** | {s['masked']:.3f} | "
            f"{s['blosum62']:.3f} |" for scan, s in scans
        ),
        probes="\n".join(
            f"| {p.name} | {p.q3:.3f} | {p.low:.3f} to {p.high:.3f} |" for p in probes
        ),
        command="python zoo/train_protein.py --data DATA --out build/zoo/protein", **sizes,
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--model", type=Path, default=Path("src/saliscope/zoo/protein"))
    parser.add_argument("--run", type=Path, default=Path("build/zoo/protein"))
    parser.add_argument("--checkpoint", type=Path, help="measure this instead (a running training)")
    parser.add_argument("--out", type=Path, help="the card to write (card.md of the model)")
    parser.add_argument("--share", type=float, default=0.15, help="share of positions masked")
    parser.add_argument("--sequences", type=int, default=800, help="held-out sequences measured")
    parser.add_argument("--proteins", type=int, default=300, help="training proteins of the probe")
    parser.add_argument("--window", type=int, default=15, help="residues of the probe's baseline")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    start = time.perf_counter()
    model = load(args.model, args.checkpoint)
    runner = Runner(model)
    corpus = build(args.data, args.run.parent / "protein_clusters.npz", seed=args.seed)
    scans = []
    for scan in measures.read_scans(args.data):
        scans.append((scan, measures.scan_scores(runner, scan)))
        print(scan.name, {k: round(v, 3) for k, v in scans[-1][1].items()}, flush=True)
    rows = perplexities(runner, corpus, args.share, args.sequences, args.seed)
    probes, sizes = measures.probe(runner, args.data, args.proteins, args.window, args.seed)
    for p in probes:
        print(f"Q3 {p.name}: {p.q3:.3f} ({p.low:.3f} to {p.high:.3f})", flush=True)
    out = args.out or args.model / "card.md"
    write(out, args, model, corpus, rows, scans, probes, sizes)
    print(f"{out} written in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
