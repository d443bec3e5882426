"""Measures for `zoo:protein`: perplexity, mutation scans, a secondary-structure probe.

Each measure stands beside the simplest thing that could do its work: residue frequencies and
trigrams, BLOSUM62, a window of residues. `card_protein.py` runs them and writes the card.
"""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from Bio.Align import substitution_matrices
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import EsmForMaskedLM

from protein_data import RESIDUES, Corpus, parse_fasta

AMINO = RESIDUES[:20]  # the twenty; X B U Z O follow
CLS, PAD, EOS, MASK, FIRST = 0, 1, 2, 32, 4  # the ESM-2 alphabet: residues from 4 on
LONGEST = 1022


_NUMBER = np.zeros(128, dtype=np.int64)
_NUMBER[[ord(letter) for letter in RESIDUES]] = np.arange(len(RESIDUES))


def encode(sequence: str) -> np.ndarray:
    """Return residue numbers 0 to 24, by the order of the ESM-2 alphabet."""
    return _NUMBER[np.frombuffer(sequence.encode(), dtype=np.uint8)]


def batched(sequences: list[np.ndarray], tokens: int) -> Iterator[np.ndarray]:
    """Yield sequence numbers in batches of similar length and at most `tokens` padded tokens."""
    batch: list[int] = []
    for i in np.argsort([len(s) for s in sequences], kind="stable"):
        if batch and (len(batch) + 1) * (len(sequences[i]) + 2) > tokens:
            yield np.array(batch)
            batch = []
        batch.append(int(i))
    if batch:
        yield np.array(batch)


class Runner:
    """Runs the model on residue numbers; specials are added and taken off here."""

    def __init__(self, model: EsmForMaskedLM, tokens: int = 4096) -> None:
        self.model, self.tokens = model.eval(), tokens

    def _run(
        self, sequences: list[np.ndarray], gaps: list[np.ndarray] | None, hidden: bool
    ) -> list[np.ndarray]:
        found: list[np.ndarray] = [np.empty(0)] * len(sequences)
        for rows in batched(sequences, self.tokens):
            width = max(len(sequences[i]) for i in rows) + 2
            ids = np.full((len(rows), width), PAD)
            for row, i in enumerate(rows):
                tokens = sequences[i] + FIRST
                if gaps is not None:
                    tokens = np.where(gaps[i], MASK, tokens)
                ids[row, : len(tokens) + 2] = [CLS, *tokens, EOS]
            given = torch.from_numpy(ids)
            with torch.inference_mode():
                states = self.model.esm(
                    input_ids=given, attention_mask=(given != PAD).long()
                ).last_hidden_state
                if not hidden:
                    logits = self.model.lm_head(states)[..., FIRST : FIRST + len(RESIDUES)]
                    states = logits.log_softmax(-1)
            for row, i in enumerate(rows):
                found[i] = states[row, 1 : len(sequences[i]) + 1].float().numpy()
        return found

    def log_probabilities(
        self, sequences: list[np.ndarray], gaps: list[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Return (positions, 25) log-probabilities over the residues for each sequence."""
        return self._run(sequences, gaps, hidden=False)

    def embeddings(self, sequences: list[np.ndarray]) -> list[np.ndarray]:
        """Return (positions, hidden) last hidden states for each sequence."""
        return self._run(sequences, None, hidden=True)


def draw_gaps(sequences: list[np.ndarray], share: float, seed: int) -> list[np.ndarray]:
    """Choose the masked positions: `share` of each sequence, at least one."""
    rng = np.random.default_rng(seed)
    gaps = []
    for sequence in sequences:
        gap = np.zeros(len(sequence), dtype=bool)
        count = max(1, round(share * len(sequence)))
        gap[rng.choice(len(sequence), count, replace=False)] = True
        gaps.append(gap)
    return gaps


class Trigram:
    """Residue from its two neighbors, interpolated down to single residues.

    `left` predicts from the two residues before, `both` from the one before and the one after.
    Counts are weighted like the training draws; each order leans on the next lower one with a
    strength (pseudo-count) chosen on a part of the training sequences.
    """

    STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)

    def __init__(self, sequences: list[np.ndarray], weight: np.ndarray, kind: str) -> None:
        self.kind, n = kind, len(RESIDUES) + 1  # one more symbol: outside the sequence
        part = np.arange(len(sequences)) % 20 == 0
        counts = {}
        for inside in (True, False):
            chosen = np.flatnonzero(part == inside)
            a, b, c, w = self._contexts([sequences[i] for i in chosen], weight[chosen])
            counts[inside] = np.bincount((a * n + b) * n + c, w, n**3).reshape(n, n, n)
        best = (np.inf, (1.0, 1.0))
        for first in self.STRENGTHS:
            for second in self.STRENGTHS:
                table = self._table(counts[False], first, second)
                loss = -(counts[True] * np.log(table)).sum() / counts[True].sum()
                best = min(best, (loss, (first, second)))
        self.strengths = best[1]
        self.table = self._table(counts[False] + counts[True], *self.strengths)

    def _contexts(
        self, sequences: list[np.ndarray], weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the farther neighbor, the nearer one, the residue, the weight, flat."""
        outside = len(RESIDUES)
        padded = [np.concatenate([[outside] * 2, s, [outside]]) for s in sequences]
        middle = np.concatenate([p[2:-1] for p in padded])
        before = np.concatenate([p[1:-2] for p in padded])
        other = np.concatenate([p[:-3] if self.kind == "left" else p[3:] for p in padded])
        return other, before, middle, np.repeat(weight, [len(s) for s in sequences])

    @staticmethod
    def _table(counts: np.ndarray, first: float, second: float) -> np.ndarray:
        single = counts.sum((0, 1)) + 1e-3
        single /= single.sum()
        pair = counts.sum(0) + first * single
        pair /= pair.sum(-1, keepdims=True)
        triple = counts + second * pair
        return triple / triple.sum(-1, keepdims=True)

    def nats(self, sequences: list[np.ndarray], gaps: list[np.ndarray]) -> np.ndarray:
        """Return -log P of each masked residue, its neighbors being known (a help to it)."""
        a, b, c, _ = self._contexts(sequences, np.ones(len(sequences)))
        return -np.log(self.table[a, b, c])[np.concatenate(gaps)]


def unigram(sequences: list[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Return the weighted residue frequencies."""
    flat = np.concatenate(sequences)
    spread = np.repeat(weight, [len(s) for s in sequences])
    counts = np.bincount(flat, spread, len(RESIDUES)) + 1e-3
    return counts / counts.sum()


@dataclass(frozen=True)
class Perplexity:
    """exp(mean -log P) over the masked residues of some sequences, with a 95 % interval."""

    value: float
    low: float
    high: float
    sequences: int
    residues: int


def perplexity(
    nats: np.ndarray, gaps: list[np.ndarray], weight: np.ndarray, seed: int
) -> Perplexity:
    """Summarize, each sequence with its weight; the bootstrap redraws whole sequences."""
    owner = np.repeat(np.arange(len(gaps)), [int(g.sum()) for g in gaps])
    total, count = np.bincount(owner, nats) * weight, np.bincount(owner) * weight
    draws = np.random.default_rng(seed).integers(0, len(gaps), (1000, len(gaps)))
    means = total[draws].sum(1) / count[draws].sum(1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    value = float(np.exp(total.sum() / count.sum()))
    return Perplexity(value, float(low), float(high), len(gaps), len(nats))


def model_nats(runner: Runner, sequences: list[np.ndarray], gaps: list[np.ndarray]) -> np.ndarray:
    found = runner.log_probabilities(sequences, gaps)
    return np.concatenate([
        -f[np.flatnonzero(g), s[g]] for f, s, g in zip(found, sequences, gaps, strict=True)
    ])  # fmt: skip


def pick(
    corpus: Corpus, rows: np.ndarray, most: int, seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return at most `most` of the rows, encoded and cut to the model's length; their weights."""
    rng = np.random.default_rng(seed)
    chosen = rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
    return [encode(corpus.sequences[i][:LONGEST]) for i in chosen], corpus.weight[chosen]


@dataclass(frozen=True)
class Scan:
    """A deep mutational scan: a wild type and the measured effect of single residues."""

    name: str
    sequence: str
    position: np.ndarray  # 0-based, in `sequence`
    mutant: np.ndarray  # residue numbers
    score: np.ndarray


def read_scans(data: Path) -> list[Scan]:
    """Read TEM-1 (ampicillin at 2,500 ug/ml) and TPMT (abundance); check every wild type."""
    with gzip.open(data / "proteins/msa/BLAT_ECOLX.a2m.gz", "rt") as handle:
        header, sequence = parse_fasta(handle.read())[0]
    first = int(header.split("/")[1].split("-")[0])
    with (data / "dms/BLAT_ECOLX_Stiffler2015_with_ESM1v.csv").open(newline="") as handle:
        tem = [(row["mutant"], row["2500"]) for row in csv.DictReader(handle)]
    ((_, tpmt),) = parse_fasta((data / "variants/genes/TPMT/TPMT.protein.fa").read_text())
    with (data / "dms/TPMT_VAMPseq_Matreyek2018_variants.tsv").open(newline="") as handle:
        vamp = [
            (row["variant"], row["score"])
            for row in csv.DictReader(handle, delimiter="\t")
            if row["class"] == "missense"
        ]
    named = [("TEM-1", sequence, first, tem), ("TPMT", tpmt, 1, vamp)]
    scans = []
    for name, wild, offset, table in named:
        kept = [(m, float(s)) for m, s in table if s not in ("", "NA") and m[-1] in AMINO]
        position = np.array([int(m[1:-1]) - offset for m, _ in kept])
        wrong = [m for (m, _), p in zip(kept, position, strict=True) if wild[p] != m[0]]
        if wrong:
            message = f"{name}: wild-type residue differs at {wrong[:3]}"
            raise SystemExit(message)
        mutant = np.array([RESIDUES.index(m[-1]) for m, _ in kept])
        scans.append(Scan(name, wild, position, mutant, np.array([s for _, s in kept])))
    return scans


def scan_scores(runner: Runner, scan: Scan) -> dict[str, float]:
    """Return Spearman with the measurement: unmasked, masked, and BLOSUM62."""
    ids = encode(scan.sequence)
    (open_view,) = runner.log_probabilities([ids])
    gaps = list(np.eye(len(ids), dtype=bool))
    masked = runner.log_probabilities([ids] * len(ids), gaps)
    hidden_view = np.stack([view[i] for i, view in enumerate(masked)])
    wild = ids[scan.position]
    blosum = substitution_matrices.load("BLOSUM62")
    scores = {
        name: view[scan.position, scan.mutant] - view[scan.position, wild]
        for name, view in (("unmasked", open_view), ("masked", hidden_view))
    }
    scores["blosum62"] = np.array(
        [blosum[RESIDUES[w]][RESIDUES[m]] for w, m in zip(wild, scan.mutant, strict=True)]
    )
    return {name: float(spearmanr(s, scan.score).statistic) for name, s in scores.items()}


def read_structure(data: Path) -> dict[str, tuple[str, str, str, str]]:
    """Return name -> (set, sequence, H/E/C labels, resolved mask) of FLIP."""
    path = data / "secondary_structure/flip_secondary_structure_splits.zip"
    with zipfile.ZipFile(path) as archive:
        texts = [archive.read(f"splits/{n}.fasta").decode() for n in ("sampled", "mask")]
        sequences = dict(parse_fasta(archive.read("splits/sequences.fasta").decode()))
    mask = dict(parse_fasta(texts[1]))
    return {
        header.split()[0]: (
            header.split("SET=")[1].split()[0], sequences[header.split()[0]], labels,
            mask[header.split()[0]],
        )
        for header, labels in parse_fasta(texts[0])
    }  # fmt: skip


def windows(sequence: np.ndarray, width: int) -> np.ndarray:
    """Return (positions, width * 26): one-hot residues around each position."""
    n, half = len(RESIDUES) + 1, width // 2
    padded = np.concatenate([[n - 1] * half, sequence, [n - 1] * half])
    seen = np.lib.stride_tricks.sliding_window_view(padded, width)
    return np.eye(n, dtype=np.float32)[seen].reshape(len(sequence), -1)


@dataclass(frozen=True)
class Probe:
    """Share of residues right of three states (Q3), with a 95 % interval over proteins."""

    name: str
    q3: float
    low: float
    high: float


def probe(
    runner: Runner, data: Path, proteins: int, width: int, seed: int
) -> tuple[list[Probe], dict[str, int]]:
    """Fit logistic regressions on embeddings and on one-hot windows; test on FLIP's test set."""
    table = [row for row in read_structure(data).values() if set(row[1]) <= set(RESIDUES)]
    rng = np.random.default_rng(seed)
    train = [row for row in table if row[0] == "train" and len(row[1]) <= LONGEST]
    train = [train[i] for i in rng.choice(len(train), min(proteins, len(train)), replace=False)]
    test = [row for row in table if row[0] == "test" and len(row[1]) <= LONGEST]

    def labels(rows: list[tuple[str, str, str, str]]) -> tuple[np.ndarray, list[np.ndarray]]:
        kept = [np.array(list(row[3])) == "1" for row in rows]
        states = np.concatenate([np.array(list(r[2]))[k] for r, k in zip(rows, kept, strict=True)])
        return states, kept

    y, kept = labels(train)
    truth, kept_test = labels(test)
    ids, ids_test = [encode(r[1]) for r in train], [encode(r[1]) for r in test]
    views = {
        "zoo:protein, last layer": (runner.embeddings(ids), runner.embeddings(ids_test)),
        f"one-hot window of {width}": (
            [windows(s, width) for s in ids], [windows(s, width) for s in ids_test]
        ),
    }  # fmt: skip
    owner = np.repeat(np.arange(len(test)), [int(k.sum()) for k in kept_test])
    draws = rng.integers(0, len(test), (1000, len(test)))
    found = []
    for name, (seen, unseen) in views.items():
        x = np.concatenate([e[k] for e, k in zip(seen, kept, strict=True)])
        scaler = StandardScaler(with_std="window" not in name).fit(x)
        fit = LogisticRegression(C=0.1, max_iter=200).fit(scaler.transform(x), y)
        x = np.concatenate([e[k] for e, k in zip(unseen, kept_test, strict=True)])
        right = (fit.predict(scaler.transform(x)) == truth).astype(float)
        total, count = np.bincount(owner, right), np.bincount(owner).astype(float)
        low, high = np.quantile(total[draws].sum(1) / count[draws].sum(1), [0.025, 0.975])
        found.append(Probe(name, float(right.mean()), low, high))
    share = max(float((truth == state).mean()) for state in "HEC")
    found.append(Probe("most frequent state", share, share, share))
    sizes = {"train": len(train), "train_residues": len(y), "test": len(test)}
    return found, sizes | {"test_residues": len(truth)}
