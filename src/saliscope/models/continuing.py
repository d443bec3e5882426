"""An input with an output behind it: what a text model is given to write, or writes itself."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.model import Sample
from saliscope.core.units import Units
from saliscope.core.words import TextGroupings
from saliscope.models.layout import Layout

if TYPE_CHECKING:
    from saliscope.models.text import TextModel

__all__ = ["continued", "trimmed"]

Ids = npt.NDArray[np.int64]
Span = tuple[int, int]


@dataclass(frozen=True)
class _Output:
    """Token ids, the text that they stand for, and where each stands in it."""

    ids: list[int]
    text: str
    spans: list[Span]


def trimmed(text: str, start: int, end: int) -> Span:
    """Leave out white space that some tokenizers count to the token behind it."""
    while start < end and text[start].isspace():
        start += 1
    return start, end


def continued(
    model: TextModel, sample: Sample, outputs: Sequence[str | Sequence[int] | None], tokens: int
) -> Sample:
    """Return a prepared text with outputs behind it, all on one axis of tokens.

    Parameters
    ----------
    model : TextModel
    sample : Sample
        Of the input alone.
    outputs : sequence
        One, or two that stand in each other's place: a text, token ids, or None for what the model
        writes.
    tokens : int
        How many tokens the model writes.

    Raises
    ------
    InputError
        An output has no token, or there are more than the model can take.
    OptionError
        Ids that are not of its vocabulary, or two outputs that are the same.
    """
    ids: Ids = sample.context["ids"]
    kept = sample.units.kept
    # Whatever a tokenizer puts at the end of an input ("this is all") is not continued.
    prompt = ids if model.apart else ids[: int(kept[-1]) + 1]
    begin = [_start(model)] if model.apart else []
    made = [_output(model, sample, prompt, given, tokens) for given in outputs]
    if len({tuple(output.ids) for output in made}) < len(made):
        msg = "a contrast needs two different outputs; these are the same tokens"
        raise OptionError(msg)
    longest = max(len(output.ids) for output in made) + (len(begin) or len(prompt))
    if model.limit is not None and longest > model.limit:
        msg = (
            f"{sample.name}: has {longest:,} tokens with its output; {model.name} takes at most "
            f"{model.limit:,}; shorten the input or the output"
        )
        raise InputError(msg)
    return _joined(model, sample, prompt, begin, made)


def _joined(
    model: TextModel, sample: Sample, prompt: Ids, begin: list[int], made: list[_Output]
) -> Sample:
    """Return one sample of an input and its outputs."""
    own = sample.units
    last = int(own.kept[-1]) + 1
    starts, ends = own.coords["start"][1], own.coords["end"][1]
    spans = [(int(str(a)), int(str(b))) for a, b in zip(starts, ends, strict=True)][:last]
    names = [str(token) for token in own.coords["token"][1]][:last]
    streams = ["source" if model.apart else "prompt"] * last
    ids, text = [int(i) for i in prompt[:last]], sample.text
    places: list[Ids] = []
    borders: list[int] = []
    for number, output in enumerate(made):
        text += "\n" if number or model.apart else ""
        borders.append(shift := len(text))
        text += output.text
        places.append(np.arange(len(ids), len(ids) + len(output.ids)))
        ids += output.ids
        spans += [(a + shift, b + shift) for a, b in output.spans]
        names += _names(model, output)
        streams += ["instead" if number else "output"] * len(output.ids)
    # What gets no value stands at the end, so that windows run over what does.
    tail = [int(i) for i in prompt[last:]] + begin
    keep = np.array(np.isin(np.arange(last), own.kept).tolist() + [True] * (len(ids) - last))
    before = np.append(np.arange(last), np.arange(len(ids), len(ids) + len(tail)))
    keep = np.append(keep, np.zeros(len(tail), dtype=bool))
    ids += tail
    spans += [(0, 0)] * len(tail)
    names += [""] * len(tail)
    streams += [streams[0]] * (len(tail) - len(begin)) + ["output"] * len(begin)
    units = Units(
        ("position",), (len(ids),), "token",
        {"position": ("position", np.where(keep, np.cumsum(keep), 0).tolist()),
         "token": ("position", names),
         "start": ("position", [a for a, _ in spans]),
         "end": ("position", [b for _, b in spans]),
         "stream": ("position", streams)},
        keep, TextGroupings(text, spans, borders),
    )  # fmt: skip
    array = np.array(ids, dtype=np.int64)
    reads = np.full(len(ids), -1, dtype=np.int64)
    for own_places in places:
        reads[own_places] = np.append(before[-1], own_places[:-1])
    context = {
        **sample.context, "ids": array, "outputs": tuple(places), "reads": reads,
        "layout": _layout(model, before, places),
    }  # fmt: skip
    key = (sample.key, array.tobytes(), tuple(map(len, places)))
    return Sample(sample.name, text, units, None, context, key, sample.findings)


def _layout(model: TextModel, before: Ids, places: Sequence[Ids]) -> Layout | None:
    """Return how outputs reach the module; None where one just follows the input."""
    if model.apart:
        return Layout(tuple((before[:-1], np.append(before[-1], p)) for p in places))
    if len(places) == 1:
        return None
    return Layout(tuple((np.append(before, p),) for p in places))


def _names(model: TextModel, output: _Output) -> list[str]:
    """Return a label per token: its text, or its name where it has none of its own."""
    given = model.tokenizer.convert_ids_to_tokens(output.ids)
    return [
        output.text[a:b] or str(name)
        for (a, b), name in zip(output.spans, given, strict=True)
    ]  # fmt: skip


# -- outputs ---------------------------------------------------------------------------------------


def _output(
    model: TextModel, sample: Sample, prompt: Ids, given: str | Sequence[int] | None, tokens: int
) -> _Output:
    if given is None:
        return _decoded(model, prompt, _greedy(model, prompt, tokens))
    if not isinstance(given, str):
        return _decoded(model, prompt, _checked(model, given))
    found = _apart(model, given) if model.apart else _behind(model, sample, prompt, given)
    if not found.ids:
        msg = f"the output {given!r} has no token of {model.name}; give at least one word"
        raise InputError(msg)
    return found


def _checked(model: TextModel, given: Sequence[int]) -> list[int]:
    """Return ids that the model can write."""
    most = int(model.config.get_text_config().vocab_size)
    ids = list(given)
    whole = all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in ids)
    if not ids or not whole or not all(0 <= i < most for i in ids):
        msg = f"an output is a text, or ids from 0 to {most - 1}; got {given!r}"[:200]
        raise OptionError(msg)
    return [int(i) for i in ids]


def _behind(model: TextModel, sample: Sample, prompt: Ids, given: str) -> _Output:
    """Return the tokens of a text behind an input: of both together, where that only adds."""
    shift = len(sample.text)
    whole = sample.text + given
    coded = model.tokenizer(
        whole, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False
    )
    ids: list[int] = coded["input_ids"]
    if ids[: len(prompt)] != prompt.tolist():  # the two melt into one token where they meet
        return _apart(model, given)
    rest = range(len(prompt), len(ids))
    own = [i for i in rest if not coded["special_tokens_mask"][i]]
    spans = [trimmed(whole, *map(int, coded["offset_mapping"][i])) for i in own]
    return _Output([ids[i] for i in own], given, [(a - shift, b - shift) for a, b in spans])


def _apart(model: TextModel, given: str) -> _Output:
    """Return the tokens of a text by itself."""
    coded = model.tokenizer(
        text_target=given, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    spans = [trimmed(given, int(a), int(b)) for a, b in coded["offset_mapping"]]
    return _Output([int(i) for i in coded["input_ids"]], given, spans)


def _decoded(model: TextModel, prompt: Ids, ids: list[int]) -> _Output:
    """Return the text of ids, token by token as each adds to it.

    A decoder is told the last token of the input first, because it may owe a space to it.
    """

    def text_of(some: Sequence[int]) -> str:
        decoded: str = model.tokenizer.decode(
            some, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return decoded

    anchor = [] if model.apart else [int(prompt[-1])]
    before = len(text_of(anchor)) if anchor else 0
    text, ends = "", [0]
    for count in range(1, len(ids) + 1):
        text = text_of([*anchor, *ids[:count]])[before:]
        ends.append(max(ends[-1], len(text)))
    spans = [trimmed(text, a, min(b, len(text))) for a, b in itertools.pairwise(ends)]
    return _Output(ids, text, spans)


def _start(model: TextModel) -> int:
    """Return the id that a decoder starts with."""
    given: Any = getattr(model.module, "generation_config", None)
    for config in (model.config, given):
        for name in ("decoder_start_token_id", "bos_token_id"):
            found = getattr(config, name, None)
            if isinstance(found, int):
                return found
    msg = f"{model.name} names no decoder_start_token_id; set it in its config"
    raise ModelError(msg)


def _greedy(model: TextModel, prompt: Ids, tokens: int) -> list[int]:
    """Return the most probable token, the most probable one behind it, ... until an end."""
    ends: set[int] = set()
    for config in (model.config, getattr(model.module, "generation_config", None)):
        given = getattr(config, "eos_token_id", None)
        ends |= {given} if isinstance(given, int) else set(given or ())
    taken = 0 if model.apart else len(prompt)
    room = tokens if model.limit is None else min(tokens, model.limit - taken)
    written: list[int] = []
    module: Any = model.module
    with model.quiet(0), torch.no_grad():
        while len(written) < room and not (written and written[-1] in ends):
            tail = np.array(written, dtype=np.int64)
            arguments = model.arguments([prompt if model.apart else np.append(prompt, tail)])
            if model.apart:
                decoder = torch.tensor([[_start(model), *written]], device=model.device)
                arguments["decoder_input_ids"] = decoder
            written.append(int(module(**arguments).logits[0, -1].argmax()))
    if not written:
        msg = f"the input fills all {model.limit:,} tokens of {model.name}; shorten it"
        raise InputError(msg)
    return written
