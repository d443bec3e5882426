"""The two ways in which a network says what it reads: at frames of the line, or step by step.

A head turns what the network gives for some lines (`memory`) into outputs along an axis of *steps*,
and into the log-probabilities of whole strings. A connectionist head (`FrameHead`) has one step per
frame, whatever the string; a decoder (`StepHead`) has the steps of every string, one string behind
the other, each given what was written before (teacher forcing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import nn

from saliscope.core.errors import InputError, ModelError, OptionError, RefusedError
from saliscope.core.model import Said
from saliscope.models.layers import main_tensor
from saliscope.models.vision import ctc
from saliscope.models.vision.alphabet import Alphabet

__all__ = [
    "LAYOUTS",
    "OUTPUTS",
    "FrameHead",
    "Head",
    "Layout",
    "OutputKind",
    "Spelling",
    "StepHead",
]

Ids = tuple[int, ...]
Layout = Literal["TNC", "NTC", "NCT"]
OutputKind = Literal["logits", "log_probs", "probs"]
LAYOUTS: tuple[Layout, ...] = ("TNC", "NTC", "NCT")
OUTPUTS: tuple[OutputKind, ...] = ("logits", "log_probs", "probs")
_NEVER = 1e-16  # posterior from which on a frame says a character: sums do not see less
_NORMALIZED = 1e-2  # by which probabilities may miss a sum of 1, in half precision


class Spelling(Protocol):
    """How outputs stand for text: an `Alphabet`, or a tokenizer's pieces."""

    direction: Literal["ltr", "rtl"]

    def encode(self, text: str) -> Ids:
        """Return the outputs that spell a text, as the model says them."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that outputs spell."""
        ...

    def logical(self, count: int) -> range:
        """Return the places of outputs as said, in the order in which they are read."""
        ...


class Head(Protocol):
    """What reads."""

    @property
    def kind(self) -> Literal["ctc", "decoder"]:
        """What it is."""
        ...

    @property
    def spelling(self) -> Spelling:
        """How its outputs stand for text."""
        ...

    def memory(self, images: torch.Tensor) -> Any:
        """Return what the network gives for lines, (rows, channels, height, width)."""
        ...

    def steps(self, memory: Any, strings: Sequence[Ids]) -> torch.Tensor:
        """Return the outputs along steps, (rows, steps, outputs); logits."""
        ...

    def scores(self, steps: torch.Tensor, strings: Sequence[Ids]) -> torch.Tensor:
        """Return the log-probability of each string, (rows, strings)."""
        ...

    def said(self, steps: torch.Tensor, strings: Sequence[Ids], which: int) -> list[Said]:
        """Return where the characters of a string are said, in logical order."""
        ...

    def read(self, memory: Any) -> Ids:
        """Return what is read in the one line of `memory`."""
        ...

    def check(self, memory: Any, ids: Ids, text: str, name: str) -> Ids:
        """Return the outputs of a text in this line, or refuse what cannot be said."""
        ...


class FrameHead:
    """Connectionist temporal classification: a symbol or the blank at each frame.

    Parameters
    ----------
    module : callable
        From images, (rows, channels, height, width), to the outputs.
    alphabet : Alphabet
    layout : {"TNC", "NTC", "NCT"}
        The axes of the outputs: frames (T), lines (N), symbols (C).
    output : {"logits", "log_probs", "probs"}
    """

    kind: Literal["ctc", "decoder"] = "ctc"

    def __init__(
        self, module: Callable[[torch.Tensor], Any], alphabet: Alphabet, layout: Layout = "TNC",
        output: OutputKind = "logits",
    ) -> None:  # fmt: skip
        for value, known, word in ((layout, LAYOUTS, "layout"), (output, OUTPUTS, "output")):
            if value not in known:
                msg = f"{word}={value!r} does not exist; use {', '.join(map(repr, known))}"
                raise OptionError(msg)
        self.module, self.spelling, self.layout, self.output = module, alphabet, layout, output
        self.blank = alphabet.blank

    def memory(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits along frames, (rows, frames, symbols)."""
        given = main_tensor(self.module(images))
        shape = None if given is None else tuple(given.shape)
        if given is None or given.ndim != 3:
            msg = f"a recognizer gives frames x lines x symbols in some order, not {shape}"
            raise ModelError(msg)
        frames = given.permute(*(self.layout.index(axis) for axis in "NTC"))
        if len(frames) != len(images) or frames.shape[2] != len(self.spelling):
            raise ModelError(self._misfit(tuple(given.shape), len(images)))
        if self.output == "probs":
            frames = frames.clamp_min(torch.finfo(frames.dtype).tiny).log()
        return frames

    def _misfit(self, shape: tuple[int, ...], rows: int) -> str:
        """Return why outputs do not fit to what was declared, and what would."""
        symbols = len(self.spelling)
        sizes = dict(zip(self.layout, shape, strict=True))
        fits = [
            layout
            for layout in LAYOUTS
            if shape[layout.index("N")] == rows and shape[layout.index("C")] == symbols
        ]
        if fits and self.layout not in fits:
            return (
                f"the model gives {shape} for {rows} line(s), which is not {self.layout}; use "
                f"layout={fits[0]!r}"
            )
        if sizes["N"] != rows:
            return (
                f"the model gives {shape} for {rows} line(s): with layout={self.layout!r} these "
                f"are {sizes['N']} lines; check layout="
            )
        return (
            f"the model gives {sizes['C']} symbols per frame, and the alphabet has "
            f"{symbols - 1} and a blank ({symbols}); give one symbol per output, without the blank"
        )

    def verify(self, frames: torch.Tensor) -> None:
        """Refuse outputs that are not what was declared."""
        total = frames.double().logsumexp(-1)
        if self.output != "logits" and float(total.abs().max()) > _NORMALIZED:
            msg = (
                f"output={self.output!r}, but the symbols of a frame have probabilities that sum "
                f"to {float(total.exp().flatten()[0]):.3g}; use output='logits' for raw scores"
            )
            raise ModelError(msg)

    def steps(self, memory: torch.Tensor, strings: Sequence[Ids]) -> torch.Tensor:
        """Return the frames: they are the same for every string."""
        return memory

    def scores(self, steps: torch.Tensor, strings: Sequence[Ids]) -> torch.Tensor:
        """Run the forward algorithm on all strings at once."""
        return ctc.log_probs(steps.double().log_softmax(-1), strings, self.blank)

    def said(self, steps: torch.Tensor, strings: Sequence[Ids], which: int) -> list[Said]:
        """Return each character's frames, weighted with the posterior that they say it."""
        string = strings[which]
        weights = ctc.occupancies(steps[0].double().log_softmax(-1), string, self.blank)
        return [
            Said(
                self.spelling.decode([string[place]]),
                tuple(
                    (int(t), string[place], float(weights[t, place]))
                    for t in (weights[:, place] > _NEVER).nonzero()[0]
                ),
            )
            for place in self.spelling.logical(len(string))
        ]  # fmt: skip

    def read(self, memory: torch.Tensor) -> Ids:
        """Return what the best path says."""
        path = ctc.best_path(memory[0].detach().cpu().double().numpy(), self.blank)
        return tuple(run.symbol for run in path)

    def check(self, memory: torch.Tensor, ids: Ids, text: str, name: str) -> Ids:
        """Refuse a string that has no alignment with so few frames."""
        needed, frames = ctc.frames_needed(ids), memory.shape[1]
        if needed > frames:
            repeats = needed - len(ids)
            why = f" and a blank in each of {repeats} repeats" if repeats else ""
            msg = (
                f"{name}: CTC cannot emit {text!r}: {len(ids)} characters{why} need {needed} "
                f"frames, and the line has {frames}; give a shorter text, or check the line"
            )
            raise RefusedError(msg)
        return ids


class StepHead:
    """A decoder: one character (or piece of a word) after the other, until it ends the line.

    Parameters
    ----------
    encode : callable
        From images, (rows, channels, height, width), to one tensor that leads with rows.
    decode : callable
        From that and what was written (rows, length) to logits (rows, length, outputs). Given a
        dict besides, it may keep there what it needs to go on from this text, and then return the
        logits of what is new alone.
    spelling : Spelling
    start, end : int
        Outputs that begin and end what is written.
    limit : int
        Most steps.
    silent : frozenset of int
        Outputs that may stand before the text and are no part of it.
    """

    kind: Literal["ctc", "decoder"] = "decoder"

    def __init__(
        self, encode: Callable[[torch.Tensor], torch.Tensor],
        decode: Callable[..., torch.Tensor], spelling: Spelling, *,
        start: int, end: int, limit: int, silent: frozenset[int] = frozenset(),
    ) -> None:  # fmt: skip
        self.encode, self.decode, self.spelling = encode, decode, spelling
        self.start, self.end, self.limit, self.silent = start, end, limit, silent

    def memory(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the encoder gives."""
        return self.encode(images)

    def steps(self, memory: torch.Tensor, strings: Sequence[Ids]) -> torch.Tensor:
        """Return the logits of all steps of all strings, the end of each included."""
        rows, count = len(memory), len(strings)
        longest = max(map(len, strings))
        written = torch.full((count, longest + 1), self.end, device=memory.device)
        written[:, 0] = self.start
        real = torch.zeros(written.shape, dtype=torch.bool, device=memory.device)
        for number, string in enumerate(strings):
            ids = torch.tensor(string, dtype=torch.long, device=memory.device)
            written[number, 1 : len(string) + 1] = ids
            real[number, : len(string) + 1] = True
        repeated = memory if count == 1 else memory.repeat_interleave(count, 0)
        logits = self.decode(repeated, written.repeat(rows, 1))
        return logits.reshape(rows, -1, logits.shape[-1])[:, real.flatten()]

    def scores(self, steps: torch.Tensor, strings: Sequence[Ids]) -> torch.Tensor:
        """Add up the log-probabilities of the steps of each string."""
        wanted = torch.tensor([i for string in strings for i in (*string, self.end)])
        each = steps.double().log_softmax(-1).gather(
            -1, wanted.to(steps.device).expand(len(steps), -1)[..., None]
        )[..., 0]  # fmt: skip
        return torch.stack(
            [part.sum(1) for part in each.split([len(s) + 1 for s in strings], 1)], 1
        )

    def said(self, steps: torch.Tensor, strings: Sequence[Ids], which: int) -> list[Said]:
        """Return the one step of each character."""
        begin = sum(len(string) + 1 for string in strings[:which])
        spoken = [
            (begin + t, output)
            for t, output in enumerate(strings[which])
            if output not in self.silent
        ]  # fmt: skip
        return [
            Said(self.spelling.decode([spoken[place][1]]), ((*spoken[place], 1.0),))
            for place in self.spelling.logical(len(spoken))
        ]

    def read(self, memory: torch.Tensor) -> Ids:
        """Write the most probable output after what was written, until the end."""
        written = [self.start]
        kept: dict[str, Any] = {}
        with torch.no_grad():
            while len(written) <= self.limit:
                given = torch.tensor([written], device=memory.device)
                best = int(self.decode(memory, given, kept)[0, -1].argmax())
                if best == self.end:
                    break
                written.append(best)
        return tuple(written[1:])

    def check(self, memory: torch.Tensor, ids: Ids, text: str, name: str) -> Ids:
        """Put before a text what the model writes before any, and refuse what is too long."""
        with torch.no_grad():
            given = torch.tensor([[self.start]], device=memory.device)
            first = int(self.decode(memory, given)[0, -1].argmax())
        if first in self.silent and ids[:1] != (first,):
            ids = (first, *ids)
        if len(ids) > self.limit:
            msg = (
                f"{name}: {text!r} takes {len(ids)} steps, and the decoder writes at most "
                f"{self.limit}; give a shorter text"
            )
            raise InputError(msg)
        return ids


def recurrent(module: nn.Module) -> bool:
    """Return whether a module has recurrent layers."""
    return any(isinstance(part, nn.RNNBase) for part in module.modules())
