"""A Keras model as a torch module whose parts are the model's layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from saliscope.core.errors import ModelError
from saliscope.models.keras.backend import differentiator, import_keras, to_torch
from saliscope.models.keras.parts import Embeds, KerasAttention, Part, grow, rebound

__all__ = ["KerasModule", "Output"]

_PROBE = 4  # tokens of the pass by which a model of any length is looked at
_MISSING = object()


class _Config(SimpleNamespace):
    """What is asked of the configuration of a transformers model."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything in it."""
        return dict(vars(self))


class Output(NamedTuple):
    """What a model on token ids gives."""

    logits: torch.Tensor


class KerasModule(nn.Module):
    """A Keras model; its parts are called as Keras calls its layers.

    Where the last step of the model is a softmax or sigmoid, the output is what goes into it: the
    logits, of which targets take probabilities themselves.

    Parameters
    ----------
    model : keras.Model or keras.Layer
        Built, with one input.

    Raises
    ------
    ModelError
        It is not built, or has several inputs.
    """

    model: Any
    config = _Config(
        model_type="keras", is_encoder_decoder=False, max_position_embeddings=None,
        id2label={}, num_labels=0,
    )  # fmt: skip

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.__dict__["model"] = model
        label = str(model.name)
        if not model.built:
            msg = f"{label} is not built yet, so it has no weights; call it once on an example"
            raise ModelError(msg)
        inputs = getattr(model, "inputs", None) or []
        if len(inputs) > 1:
            names = ", ".join(str(tensor.name) for tensor in inputs)
            msg = (
                f"{label} has {len(inputs)} inputs ({names}); wrap it in a model with one input, "
                "and give 'package.module:factory'"
            )
            raise ModelError(msg)
        self.training = False
        self._inside: list[Part] = []
        grow(self, model, self._inside, {id(model)})
        self._own = Part(model)  # variables of its own, outside any layer
        self.differentiate = differentiator()
        self.length, self.dtype_in = _declared(inputs)
        self.__dict__["_end"] = _MISSING  # on torch a layer is a module, and this one is no part
        self.ids_part: Part | None = None
        self.embedding: nn.Module | None = None

    @property
    def attends(self) -> bool:
        """Whether a layer returns attention scores when asked."""
        return any(isinstance(part, KerasAttention) for part in self._inside)

    # -- token ids -----------------------------------------------------------------------------

    def find_embedding(self) -> bool:
        """Look for the layer that embeds the input, by one pass on ids; return whether there is.

        Raises
        ------
        ModelError
            The input is whole numbers, and no embedding layer takes them.
        """
        embeds = [part for part in self._inside if _is_a(part.layer, "Embedding")]
        if not embeds or ("float" in self.dtype_in and self.length == 0):
            return self._refuse_numbers()
        ids = np.ones((1, self.length or _PROBE), dtype="int32")
        seen: list[Part] = []
        handles = [
            part.register_forward_pre_hook(
                lambda own, args: seen.append(own) if _equal(args[0], ids) else None
            )
            for part in embeds
        ]
        try:
            with torch.no_grad():
                self._run(import_keras().ops.convert_to_tensor(ids))
        except Exception as error:
            if "float" in self.dtype_in:
                return False
            reason = (str(error).splitlines() or [""])[0]
            msg = f"{self.model.name} does not take token ids of shape {ids.shape}: {reason}"
            raise ModelError(msg) from error
        finally:
            for handle in handles:
                handle.remove()
        if not seen:
            return self._refuse_numbers()
        self.ids_part = seen[0]
        self.embedding = Embeds(seen[0].layer)
        return True

    def _refuse_numbers(self) -> bool:
        if "int" in self.dtype_in:
            msg = (
                f"{self.model.name} takes whole numbers, and no Embedding layer takes them; such "
                "an input has no gradients: give the part of the model behind it"
            )
            raise ModelError(msg)
        return False

    @property
    def vocabulary_size(self) -> int:
        """How many token ids the embedding knows."""
        assert self.ids_part is not None
        return int(self.ids_part.layer.input_dim)

    @property
    def ends_in(self) -> str:
        """What the last layer ends in and the output leaves out: "softmax", "sigmoid" or ""."""
        layer = None if self._end is _MISSING else self._end
        if layer is None:
            return ""
        if _is_a(layer, "Softmax"):
            return "softmax"
        name = getattr(layer.__dict__.get("activation"), "__name__", "")
        return name if name in {"softmax", "sigmoid"} else ""

    def get_input_embeddings(self) -> nn.Module | None:
        """Return the module that embeds token ids."""
        return self.embedding

    # -- passes --------------------------------------------------------------------------------

    def forward(
        self, rows: torch.Tensor | None = None, *, input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor | Output:  # fmt: skip
        """Run the model on rows of a tensor, or on token ids.

        The model makes its mask from the ids itself; `attention_mask` is for those who look on.
        """
        if input_ids is None:
            assert rows is not None
            return self.differentiate(self._run, rows)
        assert self.embedding is not None
        assert self.ids_part is not None
        embedded = self.embedding(input_ids)
        layer = self.ids_part.layer
        ids = import_keras().ops.convert_to_tensor(
            input_ids if isinstance(layer.embeddings.value, torch.Tensor) else
            input_ids.cpu().numpy().astype("int32")
        )  # fmt: skip

        def behind(moved: Any) -> Any:
            return self._run(ids, moved)

        return Output(self.differentiate(behind, embedded))

    def _run(self, given: Any, embedded: Any = None) -> Any:
        """Run the model, the calls of its layers going through the parts."""
        with _plainly(), ExitStack() as inside:
            for part in self._inside:
                if embedded is None or part is not self.ids_part:
                    inside.enter_context(part.standing_in())
            if embedded is not None:
                assert self.ids_part is not None
                inside.enter_context(
                    rebound(self.ids_part.layer, "call", lambda *_args, **_kwargs: embedded)
                )
            if self._end is _MISSING:
                self._find_end(given)
            inside.enter_context(_without_activation(self._end))
            return self.model(given, training=False)

    def _find_end(self, given: Any) -> None:
        """See by one more pass which layer gives the output, to find what ends in a softmax."""
        gave: list[tuple[Any, Any]] = []
        handles = [
            part.register_forward_hook(lambda own, _args, out: gave.append((own.layer, out)))
            for part in self._inside
        ]
        try:
            with torch.no_grad():
                output = self.model(given)
        finally:
            for handle in handles:
                handle.remove()
        self.__dict__["_end"] = next((layer for layer, out in gave if out is output), None)

    def refresh(self) -> None:
        """Copy the weights of another backend as they are now; on torch they are the same."""
        for part in [self._own, *self._inside]:
            part.refresh()


def _declared(inputs: list[Any]) -> tuple[int, str]:
    """Return the number of tokens that a model declares (0: any), and the type of its input."""
    if not inputs:
        return 0, ""
    shape = tuple(inputs[0].shape)
    return (int(shape[1]) if len(shape) == 2 and shape[1] else 0), str(inputs[0].dtype)


def _is_a(layer: Any, name: str) -> bool:
    return isinstance(layer, getattr(import_keras().layers, name))


def _equal(value: Any, ids: Any) -> bool:
    return tuple(value.shape) == ids.shape and bool((to_torch(value).cpu().numpy() == ids).all())


@contextmanager
def _plainly() -> Iterator[None]:
    """Let exceptions pass Keras as they are: it would write the arguments of calls into them."""
    config = import_keras().config
    filtering = config.is_traceback_filtering_enabled()
    config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtering:
            config.enable_traceback_filtering()


@contextmanager
def _without_activation(layer: Any) -> Iterator[None]:
    """Leave a softmax or sigmoid out, where that is what a layer ends in."""
    keras = import_keras()
    ends = (keras.activations.softmax, keras.activations.sigmoid)
    if layer is not None and _is_a(layer, "Softmax"):
        with rebound(layer, "call", lambda inputs, *_args, **_kwargs: inputs):
            yield
    elif layer is not None and layer.__dict__.get("activation") in ends:
        with rebound(layer, "activation", keras.activations.linear):
            yield
    else:
        yield
