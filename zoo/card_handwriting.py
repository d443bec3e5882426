"""Measure the shipped `zoo:handwriting` and write its card.

    python zoo/card_handwriting.py --data DATA --model src/saliscope/zoo/handwriting

Every number of the card is measured or read by this command; nothing is typed in. The test lines of
Copiste are by writers of whom no line was trained on; Peraire is another writer altogether. Allow
five minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from handwriting_data import Line, read_lines
from handwriting_measures import Readings, commonest, constant, rate, readings, shuffled
from saliscope.models.vision.line_model import load_line

CARD = """# zoo:handwriting

This is a demonstration model: a small recognizer of handwritten French lines with two heads on one
encoder, trained from scratch on {train:,} lines, good enough to show where a recognizer looks and
why it errs, and no more.

**It must not be used to transcribe documents that matter, to identify or judge writers, to check
signatures, or for any decision about a person.** It gets about one character in ten wrong on modern
hands it has not met, and far more on one of another collection (see Peraire below). It reads
French as it was written by hand in recent years: {characters} characters, no other script, lines
only (no pages), dark ink on light paper. It never says that it cannot read something. It was not
checked for hands of children, of people with tremor, or of people who learned to write in another
script.

## What it is

`LineNetwork` (`saliscope.models.vision.line_network`): gray lines brought to {height} pixels, a
convolutional encoder with one frame per {stride:g} pixels, a linear head for connectionist temporal
classification, and an attention decoder of {decoder_layers} layers and {decoder_heads} heads that
writes character by character. {parameters:,} parameters; weights in half precision
{weights:.2f} MB. No recurrent layer and no normalization along the line: what a frame says depends
on {sight} (measured). `saliscope.load("zoo:handwriting")` reads with the CTC head,
`saliscope.load("zoo:handwriting", head="decoder")` with the decoder.

## Data and licenses

* *Copiste d'un jour*, Bibliothèque et Archives nationales du Québec (BAnQ): line images cut from
  pages along their ALTO polygons, with transcripts; **CC BY 4.0**. {writers} writers;
  {train:,} lines for training, {val:,} for validation, {test:,} for the test, no writer in two of
  them. Some texts were copied by several people: {seen_share:.1%} of the test lines have a text
  that also stands in the training set, {fresh:,} ({fresh_share:.1%}) do not. They are
  measured apart, because a decoder can know a text by heart.
* *Peraire*, ground truth by Chagué and Perez (2023), the {peraire:,} test lines of one French
  writer; **CC BY 4.0**. Only for this card: nothing of it was trained on.

The weights are a work made from Copiste d'un jour: keep that name and BAnQ's when you pass them on.

## Errors

Edits (substitutions, insertions, deletions) over the length of the true texts, all lines together;
Unicode NFC, spaces counted, upper and lower case apart; words are what spaces separate, with their
punctuation. Greedy readings, no lexicon, no beam. 95 % intervals from 2,000 redraws of whole
writers (of Peraire, one writer: of its pages). The decoder writes until it ends the line, 200
characters at most; what it writes too much counts in full, so that an error rate can exceed 100 %.

| lines | n | CTC characters | CTC words | decoder characters | decoder words |
|---|---|---|---|---|---|
{errors}

## Does it look?

A decoder also knows the language, and could write without looking. Given the true characters
before it, how often is the next one right?

| the decoder sees | next character right | of texts that training did not have |
|---|---|---|
{guesses}

Paper without ink leaves it what it knows of the language; another line contradicts the text.

What it then writes on its own, beside an answer that never looks:

| reading | character error on every fourth test line ({part:,}) |
|---|---|
{controls}

## How to make it again

Settings: {settings}. Trained for {minutes:g} minutes on one data-center GPU, in bfloat16; the
weights are those after {steps_done:,} steps (a moving average), and were not chosen by the test
lines. `python zoo/train_handwriting.py --data DATA --out build/zoo/handwriting`, then
`zoo/card_handwriting.py`. See `zoo/README.md`. A GPU does not add up in the same order twice, so a
rerun gives other weights of the same quality.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--model", type=Path, default=Path("src/saliscope/zoo/handwriting"))
    parser.add_argument("--out", type=Path, help="the card to write (card.md of the model)")
    args = parser.parse_args()

    torch.set_num_threads(1)
    start = time.perf_counter()
    made = json.loads((args.model / "training.json").read_text())
    recognizer = load_line(args.model, "zoo:handwriting", device=torch.device("cpu"))
    model = recognizer.module
    lines = read_lines(args.data / "handwriting")
    train, val, test = ([x for x in lines if x.split == s] for s in ("train", "val", "test"))
    foreign = [x for x in read_lines(args.data / "handwriting", "peraire_fr") if x.split == "test"]
    writers = [{x.writer for x in part} for part in (train, val, test)]
    if any(a & b for a, b in zip(writers, (*writers[1:], writers[0]), strict=True)):
        parser.error("a writer stands in two splits")

    images, texts = [x.image for x in test], [x.text for x in test]
    hands = [x.writer for x in test]
    known = {x.text for x in train}
    fresh = [i for i, text in enumerate(texts) if text not in known]
    some = range(0, len(test), 4)  # for the controls, which take long to read
    rng = np.random.default_rng(0)
    mixed = [shuffled(images[i], rng) for i in some]
    blank = [np.full_like(images[i], np.median(images[i])) for i in some]

    def row(name: str, chosen: list[Line], found: Readings, keep: list[int]) -> str:
        true = [chosen[i].text for i in keep]
        groups = [chosen[i].writer or chosen[i].page for i in keep]
        cells = [
            str(rate([read[i] for i in keep], true, groups, split))
            for read in (found.ctc, found.decoder) for split in (list, str.split)
        ]  # fmt: skip
        line = f"| {name} | {len(keep):,} | " + " | ".join(cells) + " |"
        print(f"{time.perf_counter() - start:.0f} s {line}", flush=True)
        return line

    read = readings(model, images, texts)
    every = list(range(len(test)))
    errors = [
        row(f"**test, {len(writers[2])} writers not met**", test, read, every),
        row("of them texts that training did not have", test, read, fresh),
    ]
    pages = readings(model, [x.image for x in foreign], [x.text for x in foreign])
    errors.append(row("Peraire, a foreign hand", foreign, pages, list(range(len(foreign)))))
    part = [texts[i] for i in some]
    without = readings(model, mixed, part)
    nothing = readings(model, blank, part)

    def share(right: np.ndarray, chosen: list[str]) -> str:
        return f"{right.sum() / sum(map(len, chosen)):.1%}"

    new = [texts[i] for i in fresh]
    guesses = {
        "the line": (share(read.right, texts), share(read.right[fresh], new)),
        "another line of similar width": (
            share(read.elsewhere, texts), share(read.elsewhere[fresh], new)
        ),
        "the line, its columns shuffled in strips of 4 pixels (every fourth line)": (
            share(without.right, part), ""
        ),
        "paper without ink (every fourth line)": (share(nothing.right, part), ""),
        "(no decoder: the character that most often follows the one before)": (
            f"{commonest(train, texts):.1%}", f"{commonest(train, new):.1%}"
        ),
    }  # fmt: skip
    print(guesses, flush=True)
    always = constant(train)
    hand = [hands[i] for i in some]
    controls = {
        "decoder, the line": rate([read.decoder[i] for i in some], part, hand),
        "decoder, columns shuffled in strips of 4 pixels": rate(without.decoder, part, hand),
        "CTC, columns shuffled in strips of 4 pixels": rate(without.ctc, part, hand),
        f"always “{always}”": rate([always] * len(part), part, hand),
        "nothing": rate([""] * len(part), part, hand),
    }
    print(controls, f"{time.perf_counter() - start:.0f} s", flush=True)

    sight = recognizer.sight
    seen = f"the {sight.field} pixels around it, 95 % of it on {sight.effective} of them"
    hidden = ("minutes", "steps_done")
    config = model.config
    text = CARD.format(
        train=len(train), val=len(val), test=len(test), part=len(part), peraire=len(foreign),
        writers=sum(map(len, writers)), characters=len(config.alphabet), height=config.height,
        stride=sight.stride, decoder_layers=config.decoder_layers,
        decoder_heads=config.decoder_heads, sight=seen,
        parameters=sum(p.numel() for p in model.parameters()),
        weights=(args.model / "model.safetensors").stat().st_size / 1e6,
        fresh=len(fresh), fresh_share=len(fresh) / len(test), seen_share=1 - len(fresh) / len(test),
        errors="\n".join(errors),
        guesses="\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in guesses.items()),
        controls="\n".join(f"| {name} | {found} |" for name, found in controls.items()),
        settings=", ".join(f"{k} {v}" for k, v in made.items() if k not in hidden), **{
            k: made[k] for k in hidden
        },
    )  # fmt: skip
    out = args.out or args.model / "card.md"
    beside = out.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(out)
    print(f"{out} written in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
