"""Do the maps of a recognizer land on the right character? Measured on `zoo:handwriting`.

    python -m benchmarks.landing --data DATA [--parts "a;c"] [--ways "LayerCAM;Grad-CAM"]

Three questions, each beside three controls (a network of random weights, the map of another
character of the same line, and the character's number alone):

(a) lines pasted from words whose seams are known: does 90 % of a character's positive map mass lie
    in its own word?
(b) glyphs of MNIST and Omniglot side by side: is the map's center in the glyph's box, plus half a
    width on either side?
(c) real lines: does painting the 10 % of columns where the map is highest with paper lower the
    character's own log-probability more than that of any character three or more away?

Characters that were read right are drawn at random, two of each line that stand apart (in (a) in
different words). What was counted is kept in `--keep` as it is counted, so that parts can be run
one by one, or side by side, and one that is stopped leaves what it reached.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import saliscope
from benchmarks.composed import Composed, digits, letters, pasted, real
from saliscope.models.vision.line_model import line_recognizer
from saliscope.models.vision.line_network import LineNetwork
from saliscope.models.vision.lines import paper
from saliscope.models.vision.recognizer import Recognizer
from saliscope.reading import align
from saliscope.reading.measures import center, columns, within

__all__ = ["CONTROLS", "QUESTIONS", "WAYS", "Way", "landed", "profiles", "right_ones", "score"]

Profile = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """How a map is made.

    Parameters
    ----------
    method : str
        Of `saliscope.explain`, or "cross_attention".
    head : str
    costly : bool
        Whether it takes many passes: then it is measured on fewer lines.
    options : dict
    """

    method: str
    head: str = "ctc"
    costly: bool = False
    options: dict[str, Any] = field(default_factory=dict)


WAYS = {
    "gradient x input": Way("input_x_gradient"),
    "integrated gradients from paper": Way(
        "integrated_gradients", costly=True, options={"baseline": "paper", "steps": 8}
    ),
    "Grad-CAM": Way("grad_cam", costly=True),
    "LayerCAM": Way("layer_cam", costly=True),
    "occlusion by columns": Way(
        "occlusion", options={"fill": "paper", "window": (48, 8), "stride": (48, 8)}
    ),
    "decoder: cross-attention": Way("cross_attention", "decoder"),
    "decoder: cross-attention, last layer": Way(
        "cross_attention", "decoder", options={"layers": [-1]}
    ),
    "decoder: gradient x input": Way("input_x_gradient", "decoder", costly=True),
}
CONTROLS = ("random weights", "another character's map", "number alone")
QUESTIONS = {
    "a": "90 % of the mass in its own word (pasted lines)",
    "b digits": "center in the box (MNIST digits)",
    "b letters": "center in the box (Omniglot letters)",
    "c": "painting hits it hardest (real lines)",
}


def right_ones(read: str, line: Composed) -> list[tuple[int, int]]:
    """Return the characters read right: number in the reading (from 1), index in the truth."""
    found, index = [], -1
    for pair in align(read, line.text):
        index += bool(pair.truth)
        if pair.right and pair.read != " ":
            found.append((pair.at, index))
    return found


def profiles(
    model: Recognizer, way: Way, image: npt.NDArray[np.uint8], text: str, numbers: Sequence[int]
) -> list[Profile]:
    """Return the positive map mass per column of some characters of a text."""
    if way.method == "cross_attention":
        attended = _cross_attention(model, image, text, **way.options)
        return [attended[number - 1] for number in numbers]
    targets = [saliscope.Characters(text, at=number) for number in numbers]
    made = saliscope.explain(model, image, way.method, targets, **way.options)
    return list(columns(made.values.transpose("target", "y", "x").values))


@torch.no_grad()
def _cross_attention(
    model: Recognizer, image: npt.NDArray[np.uint8], text: str, layers: Sequence[int] | None = None
) -> Profile:
    """Return (characters, columns): mean over layers and heads at the step that writes each.

    The mean over layers of `saliscope.attention(model, image, kind="cross", reduce="mean")`, which
    is about the text that the model reads; here of any text, so that random weights can be asked
    about the same one.
    """
    network = model.module
    assert isinstance(network, LineNetwork)
    (sample,) = model.prepare(image)
    given = model.given(sample.value[None])
    memory, frames = network.encode(given, torch.tensor([given.shape[-1]]))
    seen: list[torch.Tensor] = []
    every: Any = network.layers
    hooks = [
        every[i].cross_attention.tap.register_forward_hook(lambda *a: seen.append(a[2]))
        for i in layers or range(len(every))
    ]
    try:
        ids = model.head.spelling.encode(text)
        network.decode(memory, frames, torch.tensor([[0, *ids]]))
    finally:
        for hook in hooks:
            hook.remove()
    mean = torch.stack(seen).mean((0, 2))[0].double().numpy()
    whole: Profile = np.repeat(mean, network.stride, axis=1)[:, : given.shape[-1]]
    return whole


def by_number(count: int, number: int, width: int) -> Profile:
    """Return what a character's number alone says: a line of even characters."""
    middles = np.arange(width) + 0.5
    pitch = width / count
    made: Profile = ((middles >= (number - 1) * pitch) & (middles < number * pitch)).astype(float)
    return made


@torch.no_grad()
def drops(
    model: Recognizer, image: npt.NDArray[np.uint8], maps: Sequence[Profile], share: float = 0.1
) -> npt.NDArray[np.float64]:
    """Return by how much each character's log-probability falls, (maps, characters).

    The columns where a map is highest are painted with the tone of the line's paper. Of a CTC head
    the log-probabilities of the character at the frames that say it in the unpainted line.
    """
    (sample,) = model.prepare(image)
    sample = model.continued(sample, [None])
    ids = sample.context["ids"][sample.context["texts"][None]]
    rows = sample.value[None].repeat(len(maps) + 1, 1, 1, 1)
    for row, profile in zip(rows[1:], maps, strict=True):
        most = np.argsort(-profile, kind="stable")[: max(1, round(share * len(profile)))]
        row[:, torch.from_numpy(most)] = paper(sample.value)
    steps = model.head.steps(model.head.memory(model.given(rows)), [ids])
    logs = steps.double().log_softmax(-1)
    said = model.head.said(steps[:1], [ids], 0)
    each = torch.stack(
        [torch.stack([w * logs[:, t, out] for t, out, w in one.terms]).sum(0) for one in said], 1
    )  # fmt: skip
    fell: npt.NDArray[np.float64] = (each[:1] - each[1:]).numpy()
    return fell


def landed(
    question: str, model: Recognizer, line: Composed, chosen: Sequence[tuple[int, int]],
    maps: Sequence[Profile], share: float = 0.1,
) -> list[bool]:  # fmt: skip
    """Return whether each map answers the question with yes."""
    if question == "c":
        fell = drops(model, line.image, maps, share)
        places = np.arange(1, fell.shape[1] + 1)
        return [
            bool(row[number - 1] > row[np.abs(places - number) >= 3].max(initial=-np.inf))
            for row, (number, _) in zip(fell, chosen, strict=True)
        ]  # fmt: skip
    answers = []
    for profile, (_, index) in zip(maps, chosen, strict=True):
        left, right = line.places[index]
        if question == "a":
            answers.append(within(profile, left, right) >= 0.9)
        else:
            more = (right - left) / 2
            answers.append(bool(left - more <= center(profile) <= right + more))
    return answers


def untrained(model: Recognizer, seed: int = 0) -> Recognizer:
    """Return the same network with the weights that it began with."""
    network = model.module
    assert isinstance(network, LineNetwork)
    torch.manual_seed(seed)
    return line_recognizer(LineNetwork(network.config).eval(), "random")


def two(
    right: Sequence[tuple[int, int]], line: Composed, draw: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw two characters that stand apart: in different words, or four characters or more."""
    order = [right[i] for i in draw.permutation(len(right))]
    for second in order[1:]:
        first = order[0]
        apart = abs(first[0] - second[0]) >= 4
        if line.places:
            apart = line.places[first[1]] != line.places[second[1]]
        if apart:
            return sorted([first, second])
    return []


def ask(
    question: str,
    lines: Sequence[Composed],
    way: Way,
    model: Recognizer,
    random: int,
    seed: int = 0,
    share: float = 0.1,
) -> Iterator[dict[str, Any]]:
    """Yield a row per character: the writer, and yes or no of the map and each control."""
    model = model.with_head(way.head)
    blank = untrained(model).with_head(way.head)
    draw = np.random.default_rng(seed)
    for place, line in enumerate(lines):
        read = model.read(line.image).text
        every = right_ones(read, line)
        chosen = two(every, line, draw)
        if len(chosen) < 2:
            continue
        numbers = [number for number, _ in chosen]
        width = round(line.image.shape[1] * 48 / line.image.shape[0])
        maps = profiles(model, way, line.image, read, numbers)
        sets = {
            "map": maps,
            "another character's map": maps[::-1],
            "number alone": [by_number(len(read), number, width) for number in numbers],
        }
        if place < random:
            sets["random weights"] = profiles(blank, way, line.image, read, numbers)
        every_map = [profile for some in sets.values() for profile in some]
        answers = landed(question, model, line, chosen * len(sets), every_map, share)
        for n in (0, 1):
            yield {"writer": line.writer, **dict(zip(sets, answers[n::2], strict=True))}


def score(rows: Sequence[dict[str, Any]], seed: int = 0) -> dict[str, Any]:
    """Return shares of yes, and what the map has above its best control, by writers redrawn."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["writer"]].append(row)
    names = ("map", *CONTROLS)
    sums = np.array([
        [[sum(r.get(n, False) for r in g) for n in names], [sum(n in r for r in g) for n in names]]
        for g in groups.values()
    ], dtype=float)  # fmt: skip
    draw = np.random.default_rng(seed).integers(0, len(sums), (2000, len(sums)))
    yes, of = sums[draw].sum(1).transpose(1, 0, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(of > 0, yes / of, 0.0)
        whole = sums.sum(0)[0] / np.maximum(sums.sum(0)[1], 1)
    best = 1 + int(whole[1:].argmax())
    above = np.quantile(shares[:, 0] - shares[:, 1:].max(1), [0.025, 0.975])
    low, high = np.quantile(shares[:, 0], [0.025, 0.975])
    return {
        "n": len(rows), "writers": len(groups), "share": whole[0], "low": low, "high": high,
        "controls": dict(zip(CONTROLS, whole[1:], strict=True)), "best": names[best],
        "above": whole[0] - whole[best], "above_low": above[0], "above_high": above[1],
    }  # fmt: skip


HEAD = (
    "| map | characters (writers) | lands | random weights | another character's map "
    "| number alone | above the best control |\n|---|---|---|---|---|---|---|"
)


def table(counted: dict[str, list[dict[str, Any]]]) -> str:
    """Return the row of each way to make a map."""
    lines = [HEAD]
    for name, rows in counted.items():
        s = score(rows)
        controls = " | ".join(f"{s['controls'][c]:.0%}" for c in CONTROLS)
        lines.append(
            f"| {name} | {s['n']} ({s['writers']}) | **{s['share']:.0%}** ({s['low']:.0%} to "
            f"{s['high']:.0%}) | {controls} | {100 * s['above']:+.0f} points "
            f"({100 * s['above_low']:+.0f} to {100 * s['above_high']:+.0f}) |"
        )
    return "\n".join(lines)


def kept_in(folder: Path, question: str, name: str) -> Path:
    """Return the file that keeps what was counted about one way to make a map."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / ("".join(c if c.isalnum() else "_" for c in f"{question} {name}") + ".json")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--parts", default=";".join(QUESTIONS), help="which, with semicolons")
    parser.add_argument("--ways", default=";".join(WAYS), help="which maps, with semicolons")
    parser.add_argument("--lines", type=int, default=300, help="pasted lines")
    parser.add_argument("--glyphs", type=int, default=60, help="lines of glyphs, of each kind")
    parser.add_argument("--real", type=int, default=60, help="real lines")
    parser.add_argument("--costly", type=int, default=100, help="lines for maps of many passes")
    parser.add_argument("--random", type=int, default=60, help="lines for random weights")
    parser.add_argument("--widest", type=int, default=400, help="of the real lines, in pixels")
    parser.add_argument("--share", type=float, default=0.1, help="of the columns, painted in (c)")
    parser.add_argument("--keep", type=Path, default=Path("build/landing"), help="folder")
    args = parser.parse_args()

    torch.set_num_threads(1)
    start = time.perf_counter()
    model = saliscope.load("zoo:handwriting")
    assert isinstance(model, Recognizer)
    test = real(args.data)
    whole = [x for x in test if x.image.shape[1] <= args.widest and len(x.text) >= 10]
    order = np.random.default_rng(0).permutation(len(whole))
    sets = {
        "a": pasted(test, args.lines), "b digits": digits(args.data, args.glyphs),
        "b letters": letters(args.data, args.glyphs), "c": [whole[i] for i in order[: args.real]],
    }  # fmt: skip
    for question, lines in sets.items():
        if question not in args.parts.split(";"):
            continue
        for name in args.ways.split(";"):
            way = WAYS[name]
            some = lines[: args.costly] if way.costly else lines
            rows: list[dict[str, Any]] = []
            for row in ask(question, some, way, model, args.random, share=args.share):
                rows.append(row)
                kept_in(args.keep, question, name).write_text(json.dumps(rows))
            print(
                f"{time.perf_counter() - start:.0f} s {question}\n{table({name: rows})}", flush=True
            )
    for question, words in QUESTIONS.items():
        files = {name: kept_in(args.keep, question, name) for name in WAYS}
        known = {name: json.loads(f.read_text()) for name, f in files.items() if f.exists()}
        if known:
            print(f"\n{words}\n\n{table(known)}")


if __name__ == "__main__":
    main()
