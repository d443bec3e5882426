"""Recognizers of handwriting and print: models that read one line of text in a picture.

Whatever reads (`saliscope.models.vision.heads`), a recognizer is an image model whose outputs are
strings and steps. The input space is the pixels of the line at the model's height, from 0 to 1.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from saliscope.core.defaults import DEFAULTS
from saliscope.core.errors import (
    ModelError,
    OptionError,
    OutOfMemoryError,
    SaliscopeError,
)
from saliscope.core.failures import is_out_of_memory
from saliscope.core.health import Finding, finding
from saliscope.core.model import Piece, Said, Sample
from saliscope.core.perturbation import Baseline
from saliscope.core.render import renderer
from saliscope.core.units import FloatArray, Grouping
from saliscope.models.patches.covered import settled
from saliscope.models.torch_model import Batch
from saliscope.models.vision.classifier import ImageModel
from saliscope.models.vision.heads import FrameHead, Head, recurrent
from saliscope.models.vision.images import Picture
from saliscope.models.vision.line_batch import LineBatch, joined, runs
from saliscope.models.vision.lines import check_line, paper
from saliscope.models.vision.reader import searched, told
from saliscope.models.vision.reading import Reading

if TYPE_CHECKING:
    from saliscope.core.ask import Layer
    from saliscope.models.vision.sight import Sight

__all__ = ["Recognizer"]

Ids = tuple[int, ...]


class Recognizer(ImageModel):
    """A model that reads a line of text.

    Made by `saliscope.recognizer`, or by `load` from a TrOCR checkpoint or the zoo.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
    preparation : Preparation
    head : Head
        What reads: a connectionist head, or a decoder.
    others : mapping of str to Head
        Further heads of the same module, by their kind; see `with_head`.
    eye : str, optional
        Name of the part of the module that looks at the picture: layers are looked for there.
    layer_name : str, optional
        Name of its last layer with a grid of positions, where that is known.
    writer : torch.nn.Module, optional
        Takes pictures and what was written, as keyword arguments `pixel_values` and
        `decoder_input_ids`: the module through which attention is read. Default: the module.
    """

    heads = frozenset({"strings", "steps"})
    class_scale = DEFAULTS["line"].scale

    def __init__(
        self, module: nn.Module, name: str, preparation: Any, head: Head, *,
        others: Mapping[str, Head] | None = None, eye: str | None = None,
        layer_name: str | None = None, writer: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__(module, name, preparation)
        self.head, self.others = head, {**(others or {}), head.kind: head}
        self.eye, self.layer_name, self.writer = eye, layer_name, writer or module
        # Fused recurrent layers of cuDNN have no backward pass in evaluation mode.
        self._slow_recurrence = self.device.type == "cuda" and recurrent(module)

    def with_head(self, kind: str) -> Recognizer:
        """Return the recognizer that reads by another head of the same network.

        Parameters
        ----------
        kind : {"ctc", "decoder"}
        """
        if kind not in self.others:
            msg = f"head={kind!r} does not exist; {self.name} has {' and '.join(self.others)}"
            raise OptionError(msg)
        if kind == self.head.kind:
            return self
        other = Recognizer(
            self.module, self.name, self.preparation, self.others[kind], others=self.others,
            eye=self.eye, layer_name=self.layer_name, writer=self.writer,
        )  # fmt: skip
        other.noticed = self.noticed
        return other

    # -- inputs --------------------------------------------------------------------------------

    def _look_at(self, one: torch.Tensor, built: Hashable) -> None:
        """Do not look: a recognizer says what it gives when it reads."""
        self._shape = ()

    def try_out(self) -> None:
        """Run two blank lines, and refuse what does not fit to what was declared."""
        high = getattr(self.preparation, "height", None) or (self.preparation.size or (48,))[0]
        wide = self.preparation.size[1] if self.preparation.size else 6 * high
        lines = torch.ones(2, high, wide, self.preparation.channels, device=self.device)
        with self.quiet(0), torch.no_grad():
            memory = self.alone(lines.to(self.kind))
        if isinstance(self.head, FrameHead):
            self.head.verify(memory)

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Read a picture of a line.

        Raises
        ------
        InputError
            What is no picture; a page, with the remedy.
        """
        (sample,) = super().prepare(raw, name=name)
        picture: Picture = sample.context["source"]
        check_line(picture)
        high, wide = sample.units.shape
        step = max(1, round(self.sight.stride)) if self.head.kind == "ctc" else self.patch
        columns = np.broadcast_to(np.arange(wide) // step, (high, wide)).astype(np.int64)
        grid = ((0,), tuple(range(0, wide, step)))
        groupings = {
            "column": Grouping("column", labels=columns, grid=grid), **sample.units.groupings
        }  # fmt: skip
        units = replace(sample.units, groupings=groupings, window=(high, min(2 * step, wide)))
        return [replace(sample, units=units, context={**sample.context, "strings": ()})]

    def see(self, pixels: torch.Tensor) -> Any:
        """Return what the network gives for pixels (rows, y, x, channels)."""
        calm = torch.backends.cudnn.flags(enabled=False) if self._slow_recurrence else nullcontext()
        with calm:
            try:
                return settled(self.head.memory(self.given(pixels)))
            except SaliscopeError:
                raise
            except Exception as error:  # whatever a user's module raises, told in one line
                if is_out_of_memory(error):
                    raise
                reason = (str(error).splitlines() or [""])[0] or type(error).__name__
                high, wide = pixels.shape[1:3]
                msg = (
                    f"{self.name} does not take a line of {wide} x {high} pixels: {reason}; check "
                    "height=, channels= and preprocess="
                )
                raise ModelError(msg) from error

    def alone(self, pixels: torch.Tensor) -> Any:
        """Return what the network gives for rows that cannot be fewer.

        Raises
        ------
        OutOfMemoryError
        """
        try:
            return self.see(pixels)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            msg = (
                f"{self.name}: memory ran out on a single row, a line of {pixels.shape[2]:,} x "
                f"{pixels.shape[1]:,} pixels; shorten the line or use a smaller model"
            )
            raise OutOfMemoryError(msg) from error

    def _memory(self, sample: Sample) -> Any:
        """Return what the network gives for the line as it is."""
        with self.quiet(0), torch.no_grad():
            return self.alone(sample.value[None])

    def continued(
        self, sample: Sample, outputs: Sequence[str | Sequence[int] | None], tokens: int = 0
    ) -> Sample:
        """Return a line with strings that are to be read off it; None is what the model reads.

        Raises
        ------
        InputError, RefusedError
            Characters that the alphabet does not have; a string that cannot be said in this line.
        """
        memory = sample.context.get("memory")
        if memory is None:
            memory = self._memory(sample)
        texts: dict[Any, str] = dict(sample.context.get("texts", {}))
        ids: dict[str, Ids] = dict(sample.context.get("ids", {}))
        with self.quiet(0):
            for given in outputs:
                if given is None:
                    own = self.head.read(memory)
                    texts[None] = self.head.spelling.decode(own)
                    ids[texts[None]] = own
                elif isinstance(given, str):
                    text = texts[given] = unicodedata.normalize("NFC", given)
                    if text not in ids:
                        spelled = self.head.spelling.encode(text)
                        ids[text] = self.head.check(memory, spelled, text, sample.name)
                else:
                    msg = f"a recognizer reads texts, not {given!r}"
                    raise OptionError(msg)
            fresh = [texts[given] for given in outputs]
            reading, said = told(self, sample, memory, ids[fresh[0]])
        context = {
            **sample.context, "memory": memory, "texts": texts, "ids": ids, "strings": tuple(ids),
            "reading": asdict(reading), "said": {fresh[0]: said},
        }  # fmt: skip
        known = {item.code for item in sample.findings}
        noticed = self._noticed_in(sample, memory, ids[fresh[0]], reading.log_prob)
        found = (*sample.findings, *(item for item in noticed if item.code not in known))
        key = (sample.key, self.head.kind, tuple(ids.items()))
        return replace(sample, context=context, key=key, findings=found)

    def _noticed_in(self, sample: Sample, memory: Any, ids: Ids, log_prob: float) -> list[Finding]:
        from saliscope.models.vision.doubts import language_memory, unlikely_blank

        if isinstance(self.head, FrameHead):
            return unlikely_blank(self.head, memory)
        return language_memory(self, sample, ids, log_prob)

    def said(self, sample: Sample, text: str) -> Sequence[Said]:
        """Return where the characters of a string are said: with which frames, or at which step."""
        known: Mapping[str, Sequence[Said]] = sample.context["said"]
        if text in known and sample.context["strings"][0] == text:  # steps begin with its own
            return known[text]
        strings = self._strings(sample)
        with self.quiet(0), torch.no_grad():
            steps = self.head.steps(sample.context["memory"], strings)
            return self.head.said(steps, strings, sample.context["strings"].index(text))

    def _strings(self, sample: Sample) -> tuple[Ids, ...]:
        # A function of the output brings no string: then a decoder says how it would begin.
        return tuple(sample.context["ids"][text] for text in sample.context["strings"]) or ((),)

    # -- rows ----------------------------------------------------------------------------------

    def realize(self, pieces: Sequence[Piece]) -> Batch:
        """Move the rows of each piece, and note which strings they bring."""
        made = super().realize(pieces)
        strings = tuple(self._strings(piece.sample) for piece in pieces)
        return LineBatch(made.arguments, made.leaf, made.starts, strings)

    def forward(
        self, batch: Batch, heads: Set[str], *, gradients: bool
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Run the network once for all rows, and its head for the strings of each."""
        assert isinstance(batch, LineBatch)
        leaf = settled(batch.leaf) if torch.is_grad_enabled() else batch.leaf
        assert leaf is not None
        leaf.requires_grad_(gradients)
        memory = self.see(leaf.clone() if gradients else leaf)
        steps: list[torch.Tensor] = []
        scores: list[torch.Tensor] = []
        for begin, end, strings in runs(batch):
            part = memory if end - begin == len(leaf) else memory[begin:end]
            said = self.head.steps(part, strings)
            steps.append(said)
            if "strings" in heads:
                scores.append(self.head.scores(said, strings))
        outputs: dict[str, Any] = dict.fromkeys(heads & {"steps", "call"}, joined(steps, 1))
        if scores:
            outputs["strings"] = joined(scores, 1)
        return outputs, leaf

    def layer(self, sample: Sample, name: str | None = None) -> Layer:
        """Return the layer of a name, or the last of the part that looks at the picture."""
        from saliscope.models.vision.sight import last_layer

        return super().layer(sample, name) if name else last_layer(self, sample)

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return a line that stands in place of pixels.

        As of an `ImageModel`, and "paper": the tone of this line's paper everywhere. "blur" is out
        of focus by an eighth of the line's height.
        """
        choice = DEFAULTS["line"].baseline if given is None else given
        value: torch.Tensor = sample.value
        if choice == "paper":
            return Baseline("paper", paper(value).expand(value.shape).clone())
        if choice == "blur":
            from scipy.ndimage import gaussian_filter

            sigma = value.shape[0] / 8
            moved = gaussian_filter(value.cpu().numpy(), (sigma, sigma, 0), mode="nearest")
            return Baseline("blur", torch.from_numpy(moved).to(value))
        return super().baseline(sample, choice)

    def fill(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of masked pixels, as `baseline`."""
        return super().fill(sample, DEFAULTS["line"].fill if given is None else given)

    # -- reading -------------------------------------------------------------------------------

    @cached_property
    def sight(self) -> Sight:
        """What a frame stands for and how far it sees, measured."""
        from saliscope.models.vision.sight import measured

        return measured(self)

    def read(
        self, image: object, *, beam_width: int | None = None,
        words: Iterable[str] | None = None, between: str | None = None, count: int = 5,
        name: str | None = None,
    ) -> Reading:  # fmt: skip
        """Read a line.

        Parameters
        ----------
        image : object
            A file, a Pillow image, an array or a tensor.
        beam_width : int, optional
            Search the most probable string with a beam of so many prefixes (CTC only). None: the
            best path, or of a decoder always the most probable step.
        words : iterable of str, optional
            Read only these: whole lines, or with `between` words that it separates (CTC only).
        between : str, optional
            The symbol between words, such as " ".
        count : int
            How many strings of the beam are kept as alternatives.
        name : str, optional

        Returns
        -------
        Reading
        """
        (sample,) = self.prepare(image, name=name)
        memory = self._memory(sample)
        found: list[tuple[float, Ids]] = []
        if beam_width is not None or words is not None:
            found = searched(
                self.head, memory, beam_width or 64, words, between, count, sample.name
            )
        with self.quiet(0):
            ids = found[0][1] if found else self.head.read(memory)
            reading, _ = told(self, sample, memory, ids)
        others = tuple((self.head.spelling.decode(other), value) for value, other in found)
        return replace(reading, alternatives=others)

    def get_attention(self, image: object, *, per_character: bool = False) -> FloatArray:
        """Return where a decoder looked while it wrote its own text, over the picture.

        Cross-attention, the mean over layers and heads; `saliscope.attention` tells them apart. A
        network with two heads is asked for its decoder.

        Parameters
        ----------
        image : object
            As of `read`.
        per_character : bool
            One map per character, in place of their mean.

        Returns
        -------
        numpy.ndarray, shape (y, x) or (characters, y, x)
            In pixels of the picture: the share of its cell in the encoder's grid, 0 to 1.

        Raises
        ------
        RefusedError
            The model has a connectionist head alone, which has no attention.
        """
        found: FloatArray = renderer("attention")(self, image, per_character=per_character)
        return found

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was noticed of the model; with a connectionist head also how far a frame sees."""
        found = super().findings
        if self.head.kind != "ctc" or not self.sight.whole:
            return found
        about = {"share": self.sight.beyond, "distance": self.sight.near}
        return (*found, finding("global_frames", **about))

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model."""
        about = {**super().describe(), "head": self.head.kind}
        if isinstance(self.head, FrameHead):
            about |= {
                "symbols": len(self.head.spelling) - 1, "blank": self.head.blank,
                "direction": self.head.spelling.direction, "layout": self.head.layout,
                "output": self.head.output, "sight": self.sight.describe(),
            }  # fmt: skip
        return about
