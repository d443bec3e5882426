"""A catalog of TPMT: all missense changes and the GRCh37 panel, beside bare forward passes.

In turn: `build_catalog`; the bare forward passes of the same distinct proteins, at the best of
several batch sizes, as anybody and as Saliscope runs them; one call per sequence, as a loop over
every sequence would do it (timed on a sample and extrapolated). Memory is the peak of resident
bytes above the loaded model, in a fresh process. Usage::

    python benchmarks/catalog.py [--rounds 3] [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

import saliscope
from saliscope.core.target import Together
from saliscope.models.protein import ProteinModel
from saliscope.variants.calls.panel import Panel, panel
from saliscope.variants.calls.samples import read_samples
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.catalog.build import build_catalog
from saliscope.variants.catalog.entries import collect
from saliscope.variants.catalog.forward import protein_model
from saliscope.variants.coding.files import read_transcript
from saliscope.variants.coding.transcript import Transcript

SIZES = (1, 2, 4, 8, 16, 32)
SAMPLE = 48
TRIES = 4


def gene(data: Path) -> tuple[Transcript, Panel]:
    """Return TPMT and its panel of 2,504 people."""
    folder = data / "variants"
    home = folder / "genes" / "TPMT"
    transcript = read_transcript(home / "TPMT.GRCh37.gff3", sequence=home / "TPMT.cds.fa")
    calls = read_calls(folder / "1000g" / "pypgx_1kgp_GRCh37_TPMT.vcf.gz", transcript)
    table = folder / "1000g" / "integrated_call_samples_v3.20130502.ALL.panel"
    return transcript, panel(calls, read_samples(table))


def build(transcript: Transcript, people: Panel, model: ProteinModel) -> tuple[float, float]:
    """Return wall and processor seconds of one build into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), time.process_time()
        build_catalog(transcript, model, folder, panel=people)
        return time.perf_counter() - start, time.process_time() - used


def bare(
    model: ProteinModel, proteins: list[str], size: int, *, inside: bool = False
) -> tuple[float, float]:
    """Return seconds of the module's own forward passes, longest first, in batches of one size.

    The module is run as anybody would run it, or `inside`, as Saliscope runs it: ESM with its GELU
    in one operation.
    """
    rows = [model.prepare(p)[0].context["ids"] for p in sorted(proteins, key=len, reverse=True)]
    cut = [model.arguments(rows[i : i + size]) for i in range(0, len(rows), size)]
    start, used = time.perf_counter(), time.process_time()
    module = model.module.eval()
    with model.quiet(0) if inside else nullcontext(), torch.no_grad():
        for arguments in cut:
            module(**arguments)
    return time.perf_counter() - start, time.process_time() - used


def each(model: ProteinModel, proteins: list[str]) -> tuple[float, float]:
    """Return seconds of one call per sequence, of the same numbers, on a sample; per sequence."""
    target = Together((saliscope.Likelihood(each=True), saliscope.Embedding()))
    places = np.linspace(0, len(proteins) - 1, SAMPLE).astype(int)
    start, used = time.perf_counter(), time.process_time()
    for place in places:
        saliscope.measure(model, proteins[place], target)
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    return seconds / SAMPLE, cpu / SAMPLE


def peak(transcript: Transcript, people: Panel, model: ProteinModel) -> int:
    """Return the peak bytes of a build above the loaded model."""
    from attention_received import Peak

    saliscope.measure(model, ["MKR", "MKW"], Together((saliscope.Embedding(),)))
    with tempfile.TemporaryDirectory() as folder, Peak() as watch:
        build_catalog(transcript, model, folder, panel=people)
    return watch.grown


def main() -> None:
    """Run the sides in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--peak", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transcript, people = gene(options.data)
    model = protein_model("zoo:protein")
    if options.peak:
        print(json.dumps(peak(transcript, people, model)))
        return
    wanted = collect(transcript, panel=people)
    proteins = sorted(wanted.proteins)
    sequences = sum(e.protein is not None for e in wanted.entries.values() if e.what == "missense")
    sequences += int(people.counts.sum())
    sample = proteins[: len(proteins)]
    few = proteins[:: max(1, len(proteins) // (4 * max(SIZES)))]
    tries = [(bare(model, few, size)[1], size) for _ in range(TRIES) for size in SIZES]
    best = min(tries)[1]  # the least of several: what disturbs only slows down
    rounds: list[dict[str, tuple[float, float]]] = []
    for _ in range(options.rounds):
        one = each(model, sample)
        rounds.append({
            "catalog": build(transcript, people, model),
            "bare": bare(model, proteins, best),
            "inside": bare(model, proteins, best, inside=True),
            "distinct": (one[0] * len(proteins), one[1] * len(proteins)),
            "sequences": (one[0] * sequences, one[1] * sequences),
        })  # fmt: skip
    report(rounds, best, len(wanted.entries), len(proteins), sequences, options.threads)
    command = [sys.executable, __file__, "--peak", "--data", str(options.data)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    print(f"peak memory above the model: {int(done.stdout.split()[-1]) / 2**20:.0f} MiB")


def report(
    rounds: list[dict[str, Any]], best: int, entries: int, distinct: int, sequences: int,
    threads: int,
) -> None:  # fmt: skip
    """Print medians, and ratios within each round."""
    print(f"TPMT on zoo:protein, threads {threads}: {entries:,} entries, {distinct:,} distinct")
    names = {
        "catalog": "build_catalog",
        "bare": f"bare forward passes of the distinct proteins, batches of {best}",
        "inside": "the same passes as Saliscope runs them",
        "distinct": "one call per distinct protein (extrapolated)",
        "sequences": f"one call per sequence, {sequences:,} of them (extrapolated)",
    }
    print(f"{'wall s':>9} {'CPU s':>9} {'/ catalog':>9}")
    for side, text in names.items():
        wall, cpu = (statistics.median(r[side][i] for r in rounds) for i in (0, 1))
        ratio = statistics.median(r[side][1] / r["catalog"][1] for r in rounds)
        print(f"{wall:9.2f} {cpu:9.2f} {ratio:9.2f}  {text}")
    over = statistics.median(r["catalog"][1] / r["bare"][1] for r in rounds)
    print(f"catalog / bare, processor time: {over:.3f} (at most 1.1 is asked)")


if __name__ == "__main__":
    main()
