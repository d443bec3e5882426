"""Rows on an accelerator: Saliscope beside bare passes and peers, and the device's own ceiling.

    python -m benchmarks.gpu [--rounds 5]

Every time is the median of several rounds, sides in turn, the device synchronized around each;
ratios are taken within a round. Memory is the device's own count of the peak above what was
allocated before. Before anything is timed, every method is compared with the processor's numbers.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

import saliscope
from benchmarks.texts import REVIEWS

TPMT = (
    "MDGTRTSLDIEEYSDTEVQKNQVLTLEEWQDKWVNGKTAFHQEQGHQLLKKHLDTFLKGKSGLRVFFPLCGKAVEMKWFADRGHSVVGVEISELGIQEFFTE"
    "QNLSYSEEPITEIPGTKVFKSSSGNISLYCCSIFDLPRTNIGKFDMIWDRGALVAINPGDRKCYADTMFSLLGKKFQYLLCVLSYDPTKHPGPPFYVPHAEIER"
    "LFGKICNIRCLEKVDAFEERHKSWGIDCLFEKLYLLTEK"
)
FLOW = "attention_flow"
ROUNDING = 1e-5


def clock(run: Callable[[], Any]) -> float:
    """Return the seconds of one run, the device having finished."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(title: str, sides: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Print the medians of all sides, and their ratio to the first."""
    for run in sides.values():
        for _ in range(3):
            run()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            times[name].append(clock(run))
    first = next(iter(sides))
    for name, run in sides.items():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        grown = (torch.cuda.max_memory_allocated() - before) / 2**20
        ratio = statistics.median(a / b for a, b in zip(times[name], times[first], strict=True))
        middle = statistics.median(times[name]) * 1e3
        print(f"| {title} | {name} | {middle:.1f} | {ratio:.2f} | {grown:.0f} |", flush=True)


def ceiling() -> None:
    """Print what the device reaches in a large product of matrices."""
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(8192, 8192, device="cuda", dtype=dtype)
        for _ in range(3):
            a @ a
        seconds = min(clock(lambda a=a: a @ a) for _ in range(5))
        print(f"8192 x 8192 product, {dtype}: {2 * 8192**3 / seconds / 1e12:.0f} TFLOP/s")


def agreement() -> None:
    """Print how far each method's numbers on the device are from the processor's."""
    from saliscope.core.registry import methods

    for name, given in (("zoo:sentiment", REVIEWS[0]), ("zoo:protein", TPMT[:16])):
        here = saliscope.load(name, device="cpu")
        there = saliscope.load(name, device="cuda")
        wide = saliscope.load(name, device="cpu", dtype="float64")
        for method in sorted(set(methods()) - {FLOW}):
            try:
                a = saliscope.explain(here, given, method).to_numpy()
                b = saliscope.explain(there, given, method).to_numpy()
            except saliscope.SaliscopeError as error:
                print(f"{name} {method}: refused: {str(error)[:90]}")
                continue
            except Exception as error:  # noqa: BLE001  # the table goes on
                print(f"{name} {method}: FAILED {type(error).__name__}: {str(error)[:200]}")
                continue
            apart = np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)
            print(f"{name} {method}: {apart:.1e} of the largest value apart", flush=True)
            if apart > ROUNDING:
                c = saliscope.explain(wide, given, method).to_numpy()
                own = np.abs(a - c).max() / np.abs(c).max()
                print(f"  the processor's own float32 is {own:.1e} from its float64")


def esm(width: int, dtype: torch.dtype, attention: str) -> Any:
    """Return a model of the shape of ESM-2 with 33 layers and 20 heads."""
    torch.manual_seed(0)
    config = transformers.EsmConfig(
        vocab_size=33, hidden_size=width, num_hidden_layers=33, num_attention_heads=20,
        intermediate_size=4 * width, max_position_embeddings=1026, mask_token_id=32,
        position_embedding_type="rotary", pad_token_id=1, token_dropout=True,
        attn_implementation=attention,
    )  # fmt: skip
    return transformers.EsmForMaskedLM(config).eval().to("cuda", dtype)


def received(rounds: int) -> None:
    """Print attention received, streamed, beside `output_attentions` and the plain forward."""
    from saliscope.attention import stream

    ids = torch.randint(4, 24, (1, 1024), device="cuda")
    keep = torch.ones(1024, dtype=torch.bool)
    keep[0] = keep[-1] = False
    for width in (320, 1280):
        for dtype in (torch.float32, torch.bfloat16):
            ours, eager = esm(width, dtype, "sdpa"), esm(width, dtype, "eager")
            with torch.no_grad():
                values = stream(ours, {"input_ids": ids}, keep=keep).values[0]
                last = eager(ids, output_attentions=True).attentions[-1][0].float()
                last = last[:, keep.cuda()][:, :, keep.cuda()]
                true = (last / last.sum(-1, keepdim=True)).mean(1).cpu()
                found = torch.as_tensor(values[-1])[:, keep].float().cpu()
                print(f"H = {width} {dtype}: largest difference {(found - true).abs().max():.1e}")
                compiled = torch.compile(ours)
                compare(
                    f"attention received, 33 x 20 x 1,024, H = {width}, {dtype}",
                    {
                        "saliscope": lambda m=ours: stream(m, {"input_ids": ids}, keep=keep),
                        "output_attentions": lambda m=eager: m(ids, output_attentions=True),
                        "forward": lambda m=ours: m(ids),
                        "forward, compiled": lambda m=compiled: m(ids),
                    },
                    rounds,
                )


def integral(rounds: int) -> None:
    """Print integrated gradients on the trained sentiment model, and bare passes of its rows."""
    from captum.attr import LayerIntegratedGradients

    from benchmarks.plain import Plain

    texts = (REVIEWS * 8)[:64]
    texts = [f"{text} {i}" for i, text in enumerate(texts)]
    adapter = saliscope.load("zoo:sentiment", device="cuda")
    target = saliscope.Class("positive")
    plain = Plain.of(adapter, target, texts)
    method = LayerIntegratedGradients(plain.read, adapter.embedding)
    nodes: list[int] = []

    def ours() -> None:
        found = saliscope.explain(adapter, texts, "integrated_gradients", target)
        nodes[:] = [a.provenance["notes"]["nodes"] for a in found]

    def captum() -> None:
        method.attribute(plain.ids, plain.base, additional_forward_args=plain.extra, n_steps=50)

    def bare() -> None:
        order = np.argsort([-int(one.attention.sum()) for one in plain.each()])
        every = np.repeat(order, [nodes[i] for i in order])
        for start in range(0, len(every), 256):
            plain.rows(every[start : start + 256].tolist()).pass_()

    compare(
        "integrated gradients, zoo:sentiment, 64 reviews",
        {"saliscope": ours, "captum, n = 50, one batch": captum, "bare passes": bare}, rounds,
    )  # fmt: skip


def catalog(rounds: int) -> None:
    """Print the likelihood of 1,000 changed proteins: packed, bare, and one call each."""
    residues = "ACDEFGHIKLMNPQRSTVWY"
    generator = np.random.default_rng(0)
    places = generator.integers(1, len(TPMT), 1000)
    changed = [f"{TPMT[:p]}{residues[p % 20]}{TPMT[p + 1 :]}" for p in places]
    for dtype in ("float32", "bfloat16"):
        model = saliscope.load("zoo:protein", device="cuda", dtype=dtype)
        target = saliscope.Likelihood()
        rows = [model.prepare(p)[0].context["ids"] for p in dict.fromkeys(changed)]

        def bare(model: Any = model, rows: Any = rows) -> None:
            with torch.no_grad():
                for start in range(0, len(rows), 256):
                    model.module(**model.arguments(rows[start : start + 256]))

        def each(model: Any = model, target: Any = target) -> None:
            for protein in changed[:50]:
                saliscope.measure(model, protein, target)

        compare(
            f"1,000 changed proteins, {len(rows)} distinct, zoo:protein, {dtype}",
            {
                "saliscope": lambda m=model, t=target: saliscope.measure(m, changed, t),
                "bare forward passes, 256 at once": bare,
                "one call each (50 of them)": each,
            },
            rounds,
        )


class Tower(nn.Module):
    """A residual network of the size of ResNet-18, random weights."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 64, 128, 256, 512)
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, 1 if a == b else 2, 1) for a, b in itertools.pairwise(widths)
        )
        self.keep = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(b, b, 3, 1, 1) for _ in range(3)) for b in widths[1:]
        )
        self.head = nn.Linear(512, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class scores."""
        x = self.stem(x)
        for down, keep in zip(self.down, self.keep, strict=True):
            x = torch.relu(down(x))
            for conv in keep:
                x = x + 0.1 * torch.relu(conv(x))
        return self.head(x.mean((2, 3)))


def images(rounds: int) -> None:
    """Print Grad-CAM and occlusion of a 224 x 224 picture."""
    torch.manual_seed(0)
    net = Tower().eval().cuda().requires_grad_(False)
    image = torch.randn(1, 3, 224, 224, device="cuda")
    with torch.no_grad():
        compare(
            "Grad-CAM, 18 layers, 224 x 224",
            {
                "saliscope": lambda: saliscope.explain(net, image, "grad_cam", 3),
                "one forward": lambda: net(image),
            },
            rounds,
        )
        windows = ((224 - 16) // 8 + 1) ** 2 + 1
        batch = image.expand(256, -1, -1, -1).contiguous()

        def bare() -> None:
            for start in range(0, windows, 256):
                net(batch[: min(256, windows - start)])

    compare(
        "occlusion, window 16, stride 8",
        {
            "saliscope": lambda: saliscope.explain(
                net, image, "occlusion", 3, window=(3, 16, 16), stride=(3, 8, 8)
            ),
            "bare passes": bare,
        },
        rounds,
    )


def main() -> None:
    """Print every row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, "
          f"transformers {transformers.__version__}")  # fmt: skip
    ceiling()
    head = "| work | side | ms | time / saliscope | peak MiB on the device |\n|---|---|---|---|---|"
    if args.only in "agreement":
        agreement()
    print(head)
    for part in (received, integral, catalog, images):
        if args.only in part.__name__:
            part(args.rounds)


if __name__ == "__main__":
    main()
