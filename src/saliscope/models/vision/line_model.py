"""The line network of the zoo as a recognizer: two heads on one encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from saliscope.core.errors import ModelError
from saliscope.models.vision.alphabet import Alphabet
from saliscope.models.vision.heads import FrameHead, StepHead
from saliscope.models.vision.line_network import LineConfig, LineNetwork, Written
from saliscope.models.vision.lines import LinePreparation
from saliscope.models.vision.recognizer import Recognizer

__all__ = ["is_line", "line_recognizer", "load_line"]

_LIMIT = 200  # characters of a line


class LineWriter(nn.Module):
    """The network from a picture and what was written to the next characters."""

    def __init__(self, network: LineNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, pixel_values: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: tuple[torch.Tensor] | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Take a picture, or what the encoder gave for one; return logits of next characters."""
        assert decoder_input_ids is not None
        if encoder_outputs is None:
            assert pixel_values is not None
            encoder_outputs = self.network.encode(pixel_values, _widths(pixel_values))[:1]
        (memory,) = encoder_outputs
        return self.network.decode(memory, _frames(memory), decoder_input_ids)


def _widths(images: torch.Tensor) -> torch.Tensor:
    return torch.full((len(images),), images.shape[-1], device=images.device)


def _frames(memory: torch.Tensor) -> torch.Tensor:
    return torch.full((len(memory),), memory.shape[1], device=memory.device)


def line_recognizer(
    network: LineNetwork, name: str, head: Literal["ctc", "decoder"] = "ctc"
) -> Recognizer:
    """Return a line network as a recognizer.

    Parameters
    ----------
    network : LineNetwork
    name : str
    head : {"ctc", "decoder"}
        What reads; the other one is reached by `Recognizer.with_head`.

    Examples
    --------
    >>> config = LineConfig(tuple("ab"), channels=(4, 4, 4, 4), width=8, blocks=1,
    ...                     decoder_width=8, decoder_heads=2)
    >>> model = line_recognizer(LineNetwork(config).eval(), "tiny")
    >>> model.head.kind, model.with_head("decoder").head.kind
    ('ctc', 'decoder')
    """
    config = network.config
    alphabet = Alphabet(config.alphabet)
    layers: Any = network.layers
    for layer in layers:
        layer.self_attention.is_causal = True  # tells whose attention it is (attention/layers.py)

    def see(images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(images, _widths(images))
        return logits

    def encode(images: torch.Tensor) -> torch.Tensor:
        memory, _ = network.encode(images, _widths(images))
        return memory

    def decode(
        memory: torch.Tensor, written: torch.Tensor, kept: dict[str, Any] | None = None
    ) -> torch.Tensor:
        known = None if kept is None else kept.setdefault("written", Written(len(network.layers)))
        return network.decode(memory, _frames(memory), written, known)

    frames = FrameHead(see, alphabet, "NTC")
    steps = StepHead(encode, decode, alphabet, start=0, end=0, limit=_LIMIT)
    made = Recognizer(
        network, name, LinePreparation(height=config.height, colors="L"), frames,
        others={"decoder": steps}, layer_name=f"stages.{len(network.stages) - 1}",
        writer=LineWriter(network).train(network.training),
    )  # fmt: skip
    return made.with_head(head)


def is_line(folder: Path) -> bool:
    """Return whether a folder holds a line network."""
    try:
        about = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("model_type") == "saliscope_line"


def load_line(
    folder: Path, name: str, head: Literal["ctc", "decoder"] = "ctc", *,
    device: torch.device, dtype: torch.dtype | None = None,
) -> Recognizer:  # fmt: skip
    """Load a line network from a folder with config.json and model.safetensors.

    Raises
    ------
    ModelError
        Weights that are missing, or are those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = LineConfig.from_dict(json.loads((folder / "config.json").read_text("utf-8")))
        weights = load_file(folder / "model.safetensors")
        network = LineNetwork(config)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, TypeError, KeyError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        msg = f"{name}: cannot be loaded ({reason[:160]}); its folder holds another network"
        raise ModelError(msg) from error
    network = network.to(device, dtype or torch.float32).eval()
    return line_recognizer(network, name, head)
