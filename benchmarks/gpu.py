"""Rows on an accelerator: Saliscope beside bare passes and peers, and the device's own ceiling.

    python -m benchmarks.gpu [--rounds 5] [--only received integral catalog large images agreement]
                             [--compiled]

Every time is the median of several rounds, sides in turn, the device synchronized around each;
ratios are taken within a round. Memory is the device's own count of the peak above what was
allocated before. Before anything is timed, every method is compared with the processor's numbers.
"""

from __future__ import annotations

import argparse
import copy
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
    with torch.device("cuda"):  # where weights are drawn much faster
        return transformers.EsmForMaskedLM(config).eval().to(dtype)


def received(rounds: int, *, compiled: bool = False) -> None:
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
                sides: dict[str, Callable[[], Any]] = {
                    "saliscope": lambda m=ours: stream(m, {"input_ids": ids}, keep=keep),
                    "output_attentions": lambda m=eager: m(ids, output_attentions=True),
                    "forward": lambda m=ours: m(ids),
                }
                if compiled:
                    quick = torch.compile(ours)
                    sides["forward, compiled"] = lambda m=quick: m(ids)
                compare(f"attention received, 33 x 20 x 1,024, H = {width}, {dtype}", sides, rounds)


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


def changed_proteins() -> list[str]:
    """Return 1,000 times one residue of TPMT changed, of which 225 are distinct."""
    residues = "ACDEFGHIKLMNPQRSTVWY"
    places = np.random.default_rng(0).integers(1, len(TPMT), 1000)
    return [f"{TPMT[:p]}{residues[p % 20]}{TPMT[p + 1 :]}" for p in places]


def measured(title: str, model: Any, rounds: int, at_once: int) -> None:
    """Print the likelihood of 1,000 changed proteins: packed, bare, and one call each."""
    changed, target = changed_proteins(), saliscope.Likelihood()
    rows = [model.prepare(p)[0].context["ids"] for p in dict.fromkeys(changed)]

    def bare() -> None:
        with torch.no_grad():
            for start in range(0, len(rows), at_once):
                model.module(**model.arguments(rows[start : start + at_once]))

    def each() -> None:
        for protein in changed[:50]:
            saliscope.measure(model, protein, target)

    compare(
        f"1,000 changed proteins, {len(rows)} distinct, {title}",
        {
            "saliscope": lambda: saliscope.measure(model, changed, target),
            f"bare forward passes, {at_once} at once": bare,
            "one call each (50 of them)": each,
        },
        rounds,
    )


def catalog(rounds: int) -> None:
    """Print the likelihood of many proteins by a small model."""
    for dtype in ("float32", "bfloat16"):
        model = saliscope.load("zoo:protein", device="cuda", dtype=dtype)
        measured(f"zoo:protein, {dtype}", model, rounds, 256)


def large(rounds: int) -> None:
    """Print the same and integrated gradients by a model of 650 million parameters (random)."""
    small = saliscope.load("zoo:protein")
    config = copy.deepcopy(small.config)
    config.update({
        "hidden_size": 1280, "num_hidden_layers": 33, "num_attention_heads": 20,
        "intermediate_size": 5120,
    })  # fmt: skip
    torch.manual_seed(0)
    with torch.device("cuda"):
        module = type(small.module)(config).eval().to(torch.bfloat16)
    model = saliscope.load(module, tokenizer=small.tokenizer)
    title = "33 layers, H = 1280, bfloat16"
    measured(title, model, rounds, 64)
    proteins = list(dict.fromkeys(changed_proteins()))[:8]
    ids = [model.prepare(p)[0].context["ids"] for p in proteins for _ in range(16)]
    target = saliscope.Likelihood()
    table = model.embedding.weight

    def bare() -> None:
        for start in range(0, len(ids), 16):
            given = model.arguments(ids[start : start + 16])
            hold = table[given["input_ids"]].detach().requires_grad_()
            logits = model.module(inputs_embeds=hold, attention_mask=given["attention_mask"]).logits
            torch.autograd.grad(logits.float().log_softmax(-1)[..., 5].sum(), hold)

    for parameter in module.parameters():
        parameter.requires_grad_(False)
    compare(
        f"integrated gradients, 16 points, 8 proteins, {title}",
        {
            "saliscope": lambda: saliscope.explain(
                model, proteins, "integrated_gradients", target, steps=16, rule="gauss_legendre"
            ),
            "bare passes, 16 at once": bare,
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
    parts = {p.__name__: p for p in (received, integral, catalog, large, images)}
    parser.add_argument("--only", nargs="*", default=["agreement", *parts])
    parser.add_argument("--compiled", action="store_true", help="compile the plain forward, too")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, "
          f"transformers {transformers.__version__}")  # fmt: skip
    ceiling()
    head = "| work | side | ms | time / saliscope | peak MiB on the device |\n|---|---|---|---|---|"
    if "agreement" in args.only:
        agreement()
    print(head)
    for name, part in parts.items():
        if name in args.only:
            part(args.rounds, **({"compiled": args.compiled} if part is received else {}))


if __name__ == "__main__":
    main()
