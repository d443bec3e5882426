"""Checkpoints of transformers: asking the hub once, loading quietly, and saying why not."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

__all__ = ["hub_answers", "silent", "why_not"]


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep transformers' own progress bars and advice off the screen while it loads."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def hub_answers() -> bool:
    """Ask the hub once: left to itself, a download without a network tries for half a minute."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except Exception:  # noqa: BLE001 - no network, no name, no proxy, or told to stay offline
        return False
    return True


def why_not(source: str, error: Exception) -> str:
    """Return why a checkpoint cannot be loaded, in one line."""
    text = str(error)
    if text.startswith("Can't load image processor"):
        return (
            f"{source}: has no preprocessor_config.json, so that size and normalization are "
            "unknown; save the image processor there, or declare them: "
            "saliscope.image_model(model, size=..., mean=..., std=...)"
        )
    if "weights only load failed" in text.lower() or "weights_only" in text.lower():
        return (
            f"{source}: its weights are pickled and hold more than numbers, which could run code; "
            "save the model with save_pretrained() (safetensors)"
        )
    if Path(source).is_dir():
        line = next((s for s in text.splitlines() if s.strip()), type(error).__name__)
        return f"{source}: cannot be loaded ({line.strip()[:160]})"
    lowered = text.lower()
    if "is not a valid model identifier" in lowered or "404" in lowered or "401" in lowered:
        return f"{source}: there is no such folder or hub model; check the name (owner/name)"
    return (
        f"{source}: there is no such folder, and the hub cannot be reached; check the name and "
        "the network, or give a local folder or a zoo model (see 'saliscope models')"
    )
