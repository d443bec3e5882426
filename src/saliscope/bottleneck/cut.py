"""An encoder-decoder, cut at its bottleneck: what goes in, what comes out, and what if it differed.

A cut is three names of modules. The bottleneck's numbers are what its module gives; to ask what
other numbers would have written, they are put in their place in a pass of the whole model, so that
nothing of a decoder is imitated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from saliscope.attention.make import attention_map
from saliscope.attention.map import AttentionMap
from saliscope.bottleneck.feeding import Feed, feed_of
from saliscope.core.errors import ModelError, OptionError, SaliscopeError, nearest
from saliscope.core.units import FloatArray
from saliscope.models.dual_llama import DualLlama
from saliscope.models.loading import load
from saliscope.models.quiet import quiet
from saliscope.models.readout import as_numpy
from saliscope.models.rewriting import RewritingModel
from saliscope.models.torch_model import TorchModel
from saliscope.models.vision.line_network import LineNetwork
from saliscope.models.vision.recognizer import Recognizer

__all__ = ["Cut", "Pressed", "cut_of"]


class Pressed(NamedTuple):
    """What a pass gave.

    Parameters
    ----------
    numbers : numpy.ndarray, shape (slots, width)
        The bottleneck.
    states : numpy.ndarray, shape (length, width)
        What the encoder gave.
    decoded : numpy.ndarray, shape (length, width)
        What the decoder made of it.
    written : numpy.ndarray, shape (length, tokens), optional
        Log-probabilities of the output, where it has logits.
    """

    numbers: FloatArray
    states: FloatArray
    decoded: FloatArray
    written: FloatArray | None


@dataclass(frozen=True, eq=False)
class Cut:
    """A model and the names of its three parts; made by `cut_of`.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
    encoder, bottleneck, decoder : str
        Names of modules. A list of blocks stands for its last one.
    feed : callable
        From one input to a `Feed`.
    letters : bool
        Whether inputs are proteins.
    alone : bool
        Whether the decoder is shown nothing of the input but the bottleneck.
    limit : int, optional
        The longest input that the model was made for.
    """

    module: nn.Module
    name: str
    encoder: str
    bottleneck: str
    decoder: str
    feed: Callable[[Any], Feed]
    letters: bool
    alone: bool
    limit: int | None = None

    def press(self, raw: Any) -> Pressed:
        """Return what a pass gives for one input."""
        fed = self.feed(raw)
        kept: dict[str, torch.Tensor] = {}

        def keep(word: str) -> Callable[..., None]:
            def hook(_module: nn.Module, _args: Any, output: Any) -> None:
                kept[word] = _tensor(output)

            return hook

        parts = {"states": self.encoder, "numbers": self.bottleneck, "decoded": self.decoder}
        with ExitStack() as inside:
            for word, part in parts.items():
                inside.enter_context(self._hooked(part, keep(word)))
            whole = self._run(fed)
        for word, part in parts.items():
            if word not in kept:
                msg = f"{part} of {self.name} did not run; name a module that is called"
                raise ModelError(msg)
        numbers, states, decoded = (_slots(kept[w]) for w in ("numbers", "states", "decoded"))
        return Pressed(numbers, states, decoded, _written(whole))

    def write(self, raw: Any, numbers: FloatArray) -> FloatArray:
        """Return what is written where the bottleneck holds other numbers.

        Parameters
        ----------
        raw : object
            An input: its length, and what the decoder is shown, are those of the pass.
        numbers : numpy.ndarray, shape (slots, width)

        Returns
        -------
        numpy.ndarray, shape (length, tokens)
            Log-probabilities.

        Raises
        ------
        ModelError
            The module writes no logits.
        """

        def put(_module: nn.Module, _args: Any, output: Any) -> Any:
            old = _tensor(output)
            new = torch.from_numpy(np.ascontiguousarray(numbers)).to(old).reshape(1, *old.shape[1:])
            return _replaced(output, new)

        fed = self.feed(raw)
        with self._hooked(self.bottleneck, put):
            found = _written(self._run(fed))
        if found is None:
            msg = f"{self.name} gives no logits (rows, length, tokens); it cannot be rewritten"
            raise ModelError(msg)
        return found

    def attention(self, raw: Any, kind: str, reduce: str = "full") -> AttentionMap | None:
        """Return the attention of a kind in one pass; None where the model has none to read."""
        try:
            return attention_map(self.module, self.feed(raw).arguments, kind=kind, reduce=reduce)
        except SaliscopeError:
            return None

    def read(self, raw: Any, pressed: Pressed) -> FloatArray | None:
        """Return what each place of the output reads from the bottleneck, (length, numbers).

        Slots weighted by the decoder's cross-attention, every head of every layer; the slot itself
        where there is one per place. None where neither can be said.
        """
        said = self.feed(raw).said
        length = len(said) if said is not None else len(pressed.states)
        if len(pressed.numbers) == length:
            return pressed.numbers
        seen = self.attention(raw, "cross")
        if seen is None:
            return None
        weights = seen.values.to_numpy()
        if weights.shape[-2:] != (length, len(pressed.numbers)):
            return None
        gathered = np.einsum("lhqk,kw->qlhw", weights.astype(np.float64), pressed.numbers)
        found: FloatArray = gathered.reshape(length, -1)
        return found

    def double(self) -> Cut:
        """Return the same cut of a copy in double precision: the measure of numeric noise."""
        import copy

        with quiet(self.module, 0):
            module = copy.deepcopy(self.module).double()
        return replace(self, module=module)

    # -- hooks ---------------------------------------------------------------------------------

    @contextmanager
    def _hooked(self, name: str, hook: Callable[..., Any]) -> Iterator[None]:
        handle = _part(self.module, name).register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    def _run(self, fed: Feed) -> Any:
        arguments = {
            k: v.to(self._kind) if torch.is_tensor(v) and v.is_floating_point() else v
            for k, v in fed.arguments.items()
        }
        positional = [arguments.pop("")] if "" in arguments else []
        with quiet(self.module, 0), torch.no_grad():
            return self.module(*positional, **arguments)

    @property
    def _kind(self) -> torch.dtype:
        floating = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        return next(floating, torch.float32)


def _part(module: nn.Module, name: str) -> nn.Module:
    """Return a module by its name; of a list of blocks, which is never called, the last one."""
    part = module.get_submodule(name)
    return part[-1] if isinstance(part, nn.ModuleList) else part


def _tensor(output: Any) -> torch.Tensor:
    found = output if torch.is_tensor(output) else next(iter(_values(output)), None)
    if not torch.is_tensor(found) or found.ndim < 2:
        msg = f"a part of the cut gives {type(output).__name__}, not numbers (rows, slots, width)"
        raise ModelError(msg)
    return found.detach()


def _values(output: Any) -> Any:
    return output.values() if isinstance(output, Mapping) else output


def _replaced(output: Any, tensor: torch.Tensor) -> Any:
    if torch.is_tensor(output):
        return tensor
    if isinstance(output, ModelOutput):
        first = next(iter(output))
        return type(output)(**{**output, first: tensor})
    return (tensor, *output[1:])


def _slots(tensor: torch.Tensor) -> FloatArray:
    """Return (slots, width) of one row; numbers without slots are one slot."""
    row = tensor[0]
    return as_numpy(row[None] if row.ndim == 1 else row.flatten(1))


def _written(whole: Any) -> FloatArray | None:
    logits = getattr(whole, "logits", whole)
    if not torch.is_tensor(logits) or logits.ndim != 3:
        return None
    return as_numpy(logits[0].double().log_softmax(-1))


# -- which parts, and how inputs get in ------------------------------------------------------------


def cut_of(
    model: object, *, encoder: str | None = None, bottleneck: str | None = None,
    decoder: str | None = None, feed: Callable[[Any], Feed] | None = None,
    alone: bool = True,
) -> Cut:  # fmt: skip
    """Return a model, cut at its bottleneck.

    Parameters
    ----------
    model : object
        Anything that `saliscope.load` takes. The parts of encoder-decoders of transformers (T5,
        BART, vision encoder-decoders), of `zoo:bottleneck` and of `zoo:handwriting#decoder` are
        known.
    encoder, bottleneck, decoder : str, optional
        Names of modules, as `named_modules` gives them. The bottleneck is where numbers are taken
        from, and put: its first output, (rows, slots, width) or (rows, width).
    feed : callable, optional
        From one input to a `Feed`; needed for a module of your own.
    alone : bool
        With `feed`: whether the decoder is shown nothing of the input but the bottleneck.

    Raises
    ------
    OptionError
        A module that does not exist, in one line with the nearest name; parts that are not known.

    Examples
    --------
    >>> cut = cut_of("zoo:bottleneck")
    >>> cut.bottleneck, cut.press("MVHLTPEEKS").numbers.shape
    ('bottleneck', (32, 40))
    >>> cut_of("zoo:bottleneck", bottleneck="botleneck")
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: bottleneck='botleneck': zoo:bottleneck has no module of \
that name: did you mean 'bottleneck'?
    """
    adapter: Any = None
    module = model
    if not isinstance(model, nn.Module) or feed is None:
        adapter = load(model)
        if not isinstance(adapter, TorchModel) or "gradients" not in adapter.offers:
            msg = f"{adapter.name} is a function, which has no parts; give a torch module"
            raise OptionError(msg)
        module = adapter.writer if isinstance(adapter, Recognizer) else adapter.module
    assert isinstance(module, nn.Module)
    name = str(getattr(adapter, "name", type(module).__name__))
    known = _known(module)
    given = {"encoder": encoder, "bottleneck": bottleneck, "decoder": decoder}
    names = {**known, **{word: part for word, part in given.items() if part is not None}}
    missing = [word for word in given if word not in names]
    if missing:
        some = [n for n, _ in module.named_modules() if n and n.count(".") == 0]
        msg = (
            f"the parts of {name} are not known; declare {', '.join(f'{m}=' for m in missing)} "
            f"by names of its modules: {', '.join(some[:12])}"
        )
        raise OptionError(msg)
    _check(module, name, names)
    if feed is None:
        feed, alone = feed_of(adapter, name), isinstance(adapter, RewritingModel)
    letters = adapter is None or getattr(adapter, "modality", "") == "protein"
    limit = getattr(adapter, "limit", None)
    return Cut(
        module, name, names["encoder"], names["bottleneck"], names["decoder"], feed, letters,
        alone, limit,
    )  # fmt: skip


def _check(module: nn.Module, name: str, names: Mapping[str, str]) -> None:
    there = [n for n, _ in module.named_modules() if n]
    for word, part in names.items():
        if part not in there:
            hint = nearest(part, there)
            msg = f"{word}={part!r}: {name} has no module of that name: {hint}"
            raise OptionError(msg)


def _known(module: nn.Module) -> dict[str, str]:
    """Return the names of the parts of a model whose family says them."""
    if isinstance(module, DualLlama):
        return {"encoder": "encoder", "bottleneck": "bottleneck", "decoder": "decoder"}
    found: dict[str, str] = {}
    for prefix, part in module.named_modules():
        if isinstance(part, LineNetwork):
            named = {"encoder": "norm", "bottleneck": "norm", "decoder": "layers"}
            return {word: f"{prefix}.{own}".removeprefix(".") for word, own in named.items()}
        if not isinstance(part, PreTrainedModel):
            continue
        if getattr(part.config, "is_encoder_decoder", False) is not True:
            continue
        names = {id(m): n for n, m in module.named_modules()}
        sides: dict[str, Any] = {"encoder": part.get_encoder(), "decoder": part.get_decoder()}
        found = {word: names[id(side)] for word, side in sides.items() if id(side) in names}
        between = getattr(part, "enc_to_dec_proj", None)
        if isinstance(between, nn.Module):
            found["bottleneck"] = f"{prefix}.enc_to_dec_proj".removeprefix(".")
        elif "encoder" in found:
            found["bottleneck"] = found["encoder"]
        break
    return found
