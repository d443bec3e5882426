"""Train `zoo:sentiment`, a small transformer that reads a sentence as negative or positive.

    python zoo/train_sentiment.py --data DATA --out build/zoo/sentiment

A `BertForSequenceClassification` from scratch, with a WordPiece tokenizer made from the same
sentences. It first learns to fill in masked words (nothing but the training texts), then to
classify, with the filling as a side task. While it classifies, each sentence has 0 to 30 % of its
tokens replaced by [MASK], and a few are wholly masked with the answer 50/50: a small model needs
the noise, and an explanation that masks words then shows the model nothing that it has not met.

The weights are an exponential average over steps; the epoch with the highest accuracy on the inner
split is kept. One thread of a CPU is used, so that a rerun gives the same numbers.

`zoo/card_sentiment.py` measures what came out and writes the card.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, log_softmax
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizerFast,
)

from sentiment_data import Sentences, build
from wordpiece import learn, words

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)


def make_tokenizer(texts: list[str], vocabulary: int, longest: int) -> BertTokenizerFast:
    """Learn a lower-cased WordPiece tokenizer on `texts`."""
    pieces = learn(words(texts), vocabulary - len(SPECIALS))
    vocab = {piece: i for i, piece in enumerate([*SPECIALS, *pieces])}
    return BertTokenizerFast(vocab=vocab, do_lower_case=True, model_max_length=longest)


def make_config(args: argparse.Namespace, vocabulary: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary, hidden_size=args.hidden, num_hidden_layers=args.layers,
        num_attention_heads=args.heads, intermediate_size=args.inner_size,
        max_position_embeddings=args.longest, type_vocab_size=1, pad_token_id=PAD,
        hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=0.1,
        classifier_dropout=args.head_dropout, num_labels=2, initializer_range=0.04,
        id2label={0: "negative", 1: "positive"}, label2id={"negative": 0, "positive": 1},
    )  # fmt: skip


def batches(ids: list[list[int]], size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield row numbers in batches of similar length, in random order."""
    length = np.array([len(row) for row in ids]) + rng.random(len(ids)) * 4
    groups = np.array_split(np.argsort(length), max(1, len(ids) // size))
    for i in rng.permutation(len(groups)):
        yield groups[i]


def pad(ids: list[list[int]], rows: np.ndarray) -> torch.Tensor:
    width = max(len(ids[i]) for i in rows)
    return torch.tensor([ids[i] + [PAD] * (width - len(ids[i])) for i in rows])


def corrupt(
    ids: torch.Tensor, rate: np.ndarray, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace tokens by [MASK] at each row's rate; return them and the labels of the gaps."""
    gap = torch.from_numpy(rng.random(tuple(ids.shape)) < rate[:, None]) & (ids > MASK)
    return torch.where(gap, MASK, ids), torch.where(gap, ids, -100)


class Learner:
    """One encoder with the two heads, its optimizer, and the running average of its weights."""

    def __init__(self, config: BertConfig, args: argparse.Namespace, steps: int) -> None:
        self.model = BertForSequenceClassification(config).train()
        filler = BertForMaskedLM(config)
        self.head = filler.cls.train()
        self.head.predictions.decoder.weight = self.model.bert.embeddings.word_embeddings.weight
        named = {**dict(self.model.named_parameters()), **dict(self.head.named_parameters())}
        parameters = list({id(p): p for p in named.values()}.values())
        self.parameters = parameters
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.ndim > 1], "weight_decay": args.decay},
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=args.rate, betas=(0.9, 0.98),
        )  # fmt: skip
        self.steps, self.step, self.rate, self.keep = steps, 0, args.rate, args.keep
        self.average: BertForSequenceClassification | None = None

    def fill(self, hidden: torch.Tensor, gaps: torch.Tensor) -> torch.Tensor:
        """Return the loss of naming the masked tokens."""
        chosen = gaps != -100
        if not bool(chosen.any()):
            return hidden.new_zeros(())
        return cross_entropy(self.head(hidden[chosen]), gaps[chosen])

    def update(self, loss: torch.Tensor, averaging: bool) -> None:
        """One step: warm-up over the first twentieth, then linearly down to zero."""
        self.step += 1
        part = min(self.step / (0.05 * self.steps), (self.steps - self.step) / (0.95 * self.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * max(0.0, part)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        if not averaging:
            return
        if self.average is None:
            self.average = copy.deepcopy(self.model).eval()
        with torch.no_grad():
            for mine, theirs in zip(
                self.average.parameters(), self.model.parameters(), strict=True
            ):
                mine.lerp_(theirs, 1 - self.keep)


def probabilities(
    model: BertForSequenceClassification, ids: list[list[int]], size: int = 128
) -> np.ndarray:
    """Return P(positive) of every row, in order."""
    found = np.empty(len(ids))
    order = np.argsort([len(row) for row in ids])
    with torch.inference_mode():
        for rows in np.array_split(order, max(1, len(ids) // size)):
            tokens = pad(ids, rows)
            logits = model(input_ids=tokens, attention_mask=(tokens != PAD).long()).logits
            found[rows] = logits.double().softmax(-1)[:, 1].numpy()
    return found


def measure(probability: np.ndarray, sentences: Sentences, rows: np.ndarray) -> tuple[float, float]:
    """Return cross-entropy against the soft labels, and accuracy outside the neutral zone."""
    p, soft, hard = probability.clip(1e-6, 1 - 1e-6), sentences.soft[rows], sentences.hard[rows]
    loss = -(soft * np.log(p) + (1 - soft) * np.log(1 - p)).mean()
    return float(loss), float(((p > 0.5) == hard)[hard >= 0].mean())


def train(args: argparse.Namespace) -> None:
    sentences = build(args.data, seed=args.split_seed)
    rows = sentences.where("train")
    texts = [sentences.texts[i] for i in rows]
    tokenizer = make_tokenizer(texts, args.vocabulary, args.longest)

    def encode(numbers: np.ndarray) -> list[list[int]]:
        picked = [sentences.texts[i] for i in numbers]
        return tokenizer(picked, truncation=True, max_length=args.longest)["input_ids"]

    ids, soft = encode(rows), torch.from_numpy(sentences.soft[rows]).float()
    inner = sentences.where("inner")
    inner_ids = encode(inner)
    rng = np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)
    per_epoch = max(1, len(ids) // args.batch)
    learner = Learner(
        make_config(args, len(tokenizer)), args, per_epoch * (args.warm_epochs + args.epochs)
    )
    count = sum(p.numel() for p in learner.model.parameters())
    print(f"{count:,} parameters, {len(tokenizer):,} pieces, {len(ids):,} sentences", flush=True)
    best, kept, start, log = 0.0, None, time.perf_counter(), []
    for epoch in range(args.warm_epochs + args.epochs):
        warm, losses, fills = epoch < args.warm_epochs, [], []
        for batch in batches(ids, args.batch, rng):
            tokens = pad(ids, batch)
            target = soft[torch.from_numpy(batch)]
            most = 0.4 if warm else args.word_dropout
            share = rng.random(len(batch)) * most
            blank = rng.random(len(batch)) < (0.0 if warm else args.blank)
            masked, gaps = corrupt(tokens, np.where(blank, 1.0, share), rng)
            gaps[torch.from_numpy(blank)] = -100
            hidden = learner.model.bert(input_ids=masked, attention_mask=(tokens != PAD).long())
            filling = learner.fill(hidden.last_hidden_state, gaps)
            loss = filling if warm else args.side * filling
            if not warm:
                target = torch.where(torch.from_numpy(blank), 0.5, target)
                logits = learner.model.classifier(learner.model.dropout(hidden.pooler_output))
                spoken = torch.stack([1 - target, target], -1)
                classifying = -(spoken * log_softmax(logits, -1)).sum(-1).mean()
                loss = loss + classifying
                losses.append(classifying.item())
            fills.append(filling.item())
            learner.update(loss, averaging=not warm)
        line = f"epoch {epoch + 1} filling {np.mean(fills):.3f}"
        if learner.average is not None:
            found = probabilities(learner.average, inner_ids)
            loss, accuracy = measure(found, sentences, inner)
            line += f" loss {np.mean(losses):.4f} inner loss {loss:.4f} accuracy {accuracy:.4f}"
            if accuracy > best:
                best, kept = accuracy, copy.deepcopy(learner.average)
                log = [epoch + 1, loss, accuracy]
        print(f"{line} {time.perf_counter() - start:.0f} s", flush=True)
    assert kept is not None
    save(kept, tokenizer, args, log, time.perf_counter() - start)


def save(
    model: BertForSequenceClassification, tokenizer: BertTokenizerFast,
    args: argparse.Namespace, log: list[float], seconds: float,
) -> None:  # fmt: skip
    """Write the folder that `from_pretrained` reads, and how it was made."""
    args.out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    settings = {k: v for k, v in vars(args).items() if k not in ("data", "out")}
    settings |= {"kept_epoch": log[0], "inner_loss": log[1], "inner_accuracy": log[2]}
    settings |= {"training_seconds": round(seconds)}
    (args.out / "training.json").write_text(json.dumps(settings, indent=1) + "\n")
    size = sum(file.stat().st_size for file in args.out.iterdir())
    print(f"epoch {log[0]} kept; {size / 1e6:.2f} MB in {args.out}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, default=Path("build/zoo/sentiment"))
    parser.add_argument("--vocabulary", type=int, default=6000, help="pieces of the tokenizer")
    parser.add_argument("--longest", type=int, default=128, help="tokens, specials included")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--inner-size", type=int, default=256, help="of the feed-forward part")
    parser.add_argument("--dropout", type=float, default=0.15)
    parser.add_argument("--head-dropout", type=float, default=0.4)
    parser.add_argument("--word-dropout", type=float, default=0.3, help="highest share masked")
    parser.add_argument("--blank", type=float, default=0.02, help="share of sentences all masked")
    parser.add_argument("--side", type=float, default=0.2, help="weight of the filling task")
    parser.add_argument("--warm-epochs", type=int, default=4, help="filling alone")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--keep", type=float, default=0.998, help="of the running average, a step")
    parser.add_argument("--decay", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split-seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    train(args)


if __name__ == "__main__":
    main()
