"""Keras models as models that can be explained: on tensors, on token ids, on proteins and texts.

The input space of a model on token ids is the output of its embedding layer, substituted in place
while the ids are still passed, so that masks which Keras makes from the ids are the model's own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saliscope.core.errors import InputError, ModelError, OptionError
from saliscope.core.files import write_beside
from saliscope.core.model import Sample
from saliscope.core.perturbation import Baseline, Perturbation
from saliscope.core.units import Units
from saliscope.models.keras.backend import import_keras
from saliscope.models.keras.files import read_model, words_beside
from saliscope.models.keras.folders import read_folder
from saliscope.models.keras.module import KerasModule, Output
from saliscope.models.keras.vocabulary import Vocabulary
from saliscope.models.protein import ProteinModel, is_protein_vocabulary
from saliscope.models.tensor import TensorModel
from saliscope.models.text import TextModel
from saliscope.models.tokens import TokenModel
from saliscope.models.torch_model import TorchModel, as_device

__all__ = ["KerasModel", "from_file", "from_folder", "from_object"]


class KerasModel(TorchModel):
    """What Keras models have in common."""

    module: KerasModule

    def __init__(self, module: KerasModule, *args: Any) -> None:
        super().__init__(module, *args)
        if not self._on_torch():
            self.offers = frozenset({"values", "gradients"})
            self.dtype = getattr(torch, str(module.model.compute_dtype), None)

    @staticmethod
    def _on_torch() -> bool:
        return str(import_keras().backend.backend()) == "torch"

    def to_keras(self, path: str | Path) -> None:
        """Write the model as a ``.keras`` file; tokens and labels in text files beside it.

        Parameters
        ----------
        path : str or pathlib.Path
            With the ending ``.keras``.

        Raises
        ------
        InputError
            Another ending.

        Examples
        --------
        >>> import saliscope, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saliscope.load("zoo:ancestry").to_keras(f"{folder}/ancestry.keras")
        ...     saliscope.load(f"{folder}/ancestry.keras").modality
        'protein'
        """
        place = Path(path)
        if place.suffix != ".keras":
            msg = f"{path}: give a name that ends in .keras"
            raise InputError(msg)
        self.module.model.save(place)
        tokens = getattr(self, "tokenizer", None)
        known = {i: t for t, i in tokens.get_vocab().items()} if tokens is not None else {}
        if known:
            rows = [known.get(i, f"[unused{i}]") for i in range(max(known) + 1)]
            write_beside(place.with_suffix(".vocab.txt"), "\n".join([*rows, ""]).encode())
        if self.labels is not None:
            write_beside(place.with_suffix(".labels.txt"), "\n".join([*self.labels, ""]).encode())

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model: also its class, and who computes."""
        self.module.refresh()
        keras, model = import_keras(), self.module.model
        return {
            **super().describe(),
            "class": type(model).__name__,
            "parameters": int(model.count_params()),
            "keras": str(keras.__version__),
            "backend": str(keras.backend.backend()),
        }


class KerasTensor(KerasModel, TensorModel):
    """A Keras model on floating-point columns, signals or images (features last)."""

    offers = frozenset({"values", "gradients", "operations"})


class _Ids(KerasModel, TokenModel):
    """A Keras model on token ids."""

    def __init__(self, module: KerasModule, tokenizer: Any, name: str) -> None:
        super().__init__(module, tokenizer, name)
        self.limit = module.length or self.limit
        with self.quiet(0), torch.no_grad():
            self._see(name)

    def _see(self, name: str) -> None:
        """See by passes on ids what the output is, and whether padding changes it."""
        width = self.module.length or 4
        ids = torch.ones((1, width), dtype=torch.long, device=self.device)
        logits = self._logits(ids)
        if logits.ndim == 2 and len(logits) == 1:
            self.heads = frozenset({"classes"})
            self.labels = tuple(map(str, range(logits.shape[1])))
            several = logits.shape[1] > 1 and self.module.ends_in != "sigmoid"
            self.class_scale = "logit" if several else "raw"
            self.labels = self.labels if len(self.labels) > 1 else ("output",)
        elif logits.ndim == 3 and tuple(logits.shape[:2]) == (1, width):
            vocabulary = len(self.tokenizer.get_vocab())
            says_tokens = vocabulary and logits.shape[2] > max(self.tokenizer.get_vocab().values())
            self.heads = frozenset({"tokens" if says_tokens else "tags"})
            self.labels = None if says_tokens else tuple(map(str, range(logits.shape[2])))
        else:
            msg = (
                f"{name} gives {tuple(logits.shape)} for one input of {width} tokens; its output "
                "must be (rows, classes) or (rows, tokens, classes)"
            )
            raise ModelError(msg)
        self.hides = False  # padding, whatever stands behind the embedding
        if not self.module.length:
            longer = torch.nn.functional.pad(ids, (0, 2), value=self.pad_id)
            try:
                padded = self._logits(longer)
            except Exception:  # noqa: BLE001 - whatever a model raises for a length or id
                return
            padded = padded[:, :width] if padded.ndim == 3 else padded
            self.hides = torch.allclose(padded, logits, rtol=1e-4, atol=1e-5)

    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        output = self.module(input_ids=ids)
        if not isinstance(output, Output) or not isinstance(output.logits, torch.Tensor):
            msg = f"{self.name} gives several outputs; wrap it in a model with one output"
            raise ModelError(msg)
        return output.logits

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return as other token models do; without a mask token "X", or zero embeddings.

        Padding would be hidden by the model's own mask, so that nothing would be left to explain.
        """
        if given is None and self.mask_id is None:
            given = "X" if "X" in self.tokenizer.get_vocab() else "zero"
        return super().baseline(sample, given)

    def fill(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of masked units; "delete" only where padding is hidden."""
        if given == "delete" and not self.hides:
            why = (
                f"takes exactly {self.module.length} tokens" if self.module.length else
                "does not hide padding (mask_zero=True)"
            )  # fmt: skip
            msg = f"{self.name} {why}, so nothing can be deleted; use fill='zero' or a token"
            raise OptionError(msg)
        return super().fill(sample, given)

    def pack_key(self, sample: Sample, perturbation: Perturbation) -> Hashable:
        """Let inputs of different lengths share a batch only where padding is hidden."""
        key = super().pack_key(sample, perturbation)
        return key if self.hides else (key, sample.length)

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Turn a sequence, or an array of token ids, into one sample.

        A model of one length gets what is short filled up with padding, which counts as special.
        """
        if isinstance(raw, str):
            return [self._filled_up(sample) for sample in self._said(raw, name)]
        array = np.asarray(raw.detach().cpu() if isinstance(raw, torch.Tensor) else raw)
        label = name or "ids"
        if array.dtype.kind not in "iu" or array.ndim != 1 or not array.size or array.min() < 0:
            msg = (
                f"{label}: {self.name} takes token ids, a whole-number array along one axis, not "
                f"{array.dtype} of shape {array.shape}"
            )
            raise InputError(msg)
        if self.limit is not None and len(array) > self.limit:
            msg = f"{label}: has {len(array):,} tokens; {self.name} takes at most {self.limit:,}"
            raise InputError(msg)
        known = int(self.module.vocabulary_size)
        if array.max() >= known:
            place = int(array.argmax())
            msg = (
                f"{label}: id {array[place]} at token {place + 1} is out of range; "
                f"{self.name} embeds ids 0 to {known - 1}"
            )
            raise InputError(msg)
        letters = {i: t for t, i in self.tokenizer.get_vocab().items()}
        ids = array.astype(np.int64)
        keep = ids != self.pad_id if (ids != self.pad_id).any() else np.ones(len(ids), bool)
        tokens = [letters.get(i) or str(i) for i in ids.tolist()]
        units = _units(tokens, keep, "residue" if self.modality == "protein" else "token")
        context = {"ids": ids, "unknown": frozenset[int](), "width": self.width}
        return [self._filled_up(Sample(label, "", units, None, context, ids.tobytes()))]

    def _said(self, raw: str, name: str | None) -> Sequence[Sample]:
        if isinstance(self, ProteinModel | TextModel):
            return super().prepare(raw, name=name)
        msg = (
            f"{self.name} takes token ids, and its tokens are not known; declare them with "
            "tokenizer= (letters, a list or a mapping to ids), or one per line in a file "
            "model.vocab.txt beside model.keras"
        )
        raise InputError(msg)

    def _filled_up(self, sample: Sample) -> Sample:
        more = self.module.length - sample.length
        if self.module.length == 0 or more <= 0:
            return sample
        ids = np.pad(sample.context["ids"], (0, more), constant_values=self.pad_id)
        units = sample.units
        keep = np.ones(sample.length, dtype=bool) if units.keep is None else units.keep
        coords = {
            name: (dim, [*labels, *([type(labels[0])()] * more)])
            for name, (dim, labels) in units.coords.items()
        }
        longer = Units(units.dims, (len(ids),), units.kind, coords, np.pad(keep, (0, more)))
        context = {**sample.context, "ids": ids}
        return replace(sample, units=longer, context=context, key=ids.tobytes())


class KerasTokens(_Ids):
    """A Keras model on token ids whose tokens nobody has declared."""

    modality = "text"


class KerasProtein(_Ids, ProteinModel):
    """A Keras model on the residues of a protein."""


class KerasText(_Ids, TextModel):
    """A Keras model on the ids of a Hugging Face tokenizer."""


def _units(tokens: Sequence[str], keep: np.ndarray[Any, Any], kind: str) -> Units:
    numbers = np.where(keep, np.cumsum(keep), 0).tolist()
    shown = [token if kept else "" for token, kept in zip(tokens, keep, strict=True)]
    ends = np.cumsum([len(token) + 1 for token in shown])
    coords: dict[str, Any] = {
        "position": ("position", numbers), kind: ("position", shown),
    }  # fmt: skip
    if kind == "token":
        coords["start"] = (
            "position",
            [int(e) - len(t) - 1 for e, t in zip(ends, shown, strict=True)],
        )
        coords["end"] = ("position", [int(e) - 1 for e in ends])
    return Units(("position",), (len(tokens),), kind, coords, keep)


def from_object(
    model: Any, tokenizer: Any = None, name: str | None = None, device: str | None = None
) -> KerasModel:
    """Return the adapter of a Keras model.

    Parameters
    ----------
    model : keras.Model
        Built, with one input and one output.
    tokenizer : object, optional
        What token ids stand for: letters, a list, a mapping (see `Vocabulary`), or a tokenizer
        of transformers.
    name, device : str, optional
        Keras has put the model somewhere; a `device` only checks that.

    Raises
    ------
    ModelError, OptionError
    """
    label = name or str(model.name)
    module = KerasModule(model)
    takes_ids = module.find_embedding()
    if not takes_ids:
        if tokenizer is not None:
            msg = f"{label} takes numbers, not token ids; leave tokenizer= out"
            raise OptionError(msg)
        made: KerasModel = KerasTensor(module, label)
    else:
        tokens = tokenizer if tokenizer is not None else _inside(model)
        if tokens is None:
            made = KerasTokens(module, Vocabulary({"": 0}), label)
        elif hasattr(tokens, "get_vocab") and not isinstance(tokens, Vocabulary):
            protein = is_protein_vocabulary(tokens.get_vocab())
            made = (KerasProtein if protein else KerasText)(module, tokens, label)
        else:
            known = tokens if isinstance(tokens, Vocabulary) else Vocabulary(tokens)
            protein = is_protein_vocabulary(known.get_vocab())
            made = (KerasProtein if protein else KerasTokens)(module, known, label)
    if device not in {None, "auto"} and as_device(device).type != made.device.type:
        msg = (
            f"{label} is on {made.device.type}, where Keras put it; put it elsewhere with "
            "keras.device(...) around the code that builds it"
        )
        raise OptionError(msg)
    return made


def _inside(model: Any) -> list[str] | None:
    """Return the vocabulary of a layer of the model that turns text into ids, if there is one."""
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "get_vocabulary"):
            return [str(token) for token in layer.get_vocabulary()]
    return None


def from_folder(path: Path, name: str | None = None, device: str | None = None) -> KerasModel:
    """Return the adapter of a folder with a Keras model; see `saliscope.models.keras.folders`."""
    model, tokens, labels = read_folder(path)
    return _labeled(from_object(model, tokens, name or path.name, device), labels)


def _labeled(model: KerasModel, labels: Sequence[str]) -> KerasModel:
    """Name the classes of a model on token ids, where as many names are given as it has."""
    if model.labels is not None and len(model.labels) == len(labels):
        model.labels = tuple(labels)
    return model


def from_file(
    path: Path, tokenizer: Any = None, name: str | None = None, device: str | None = None
) -> KerasModel:
    """Return the adapter of a ``.keras`` or ``.h5`` file; see `from_object` and `read_model`."""
    tokens = tokenizer if tokenizer is not None else words_beside(path, "vocab")
    made = from_object(read_model(path), tokens, name or path.name, device)
    return _labeled(made, words_beside(path, "labels") or [])
