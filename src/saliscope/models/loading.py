"""Loading: from what a user has to an adapter.

Nothing here runs code that came with a file: checkpoints are read as safetensors (or weights
only), `trust_remote_code` stays off, and the user's own code runs only when it is named as
``"package.module:factory"``.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import warnings
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from saliscope.core.errors import ModelError, OptionError, SaliscopeError, nearest
from saliscope.core.health import Finding, finding
from saliscope.core.model import Model
from saliscope.models.function import FunctionModel
from saliscope.models.keras.backend import is_keras
from saliscope.models.keras.files import is_keras_path
from saliscope.models.protein import ProteinModel, is_protein_vocabulary
from saliscope.models.tensor import TensorModel
from saliscope.models.text import TextModel
from saliscope.models.torch_model import TorchModel, as_device, as_dtype
from saliscope.models.vision.classifier import classifier_of
from saliscope.models.zoo import zoo_folder

__all__ = ["Origin", "load", "origin_of"]

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")
_ENDINGS = {
    "ForSequenceClassification": "ForSequenceClassification", "ForMaskedLM": "ForMaskedLM",
    "ForTokenClassification": "ForTokenClassification", "ForCausalLM": "ForCausalLM",
    "LMHeadModel": "ForCausalLM",
}  # fmt: skip
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
# By the module's id, which is its own as long as the adapter (and so the module) lives.
_SHARED: weakref.WeakValueDictionary[int, TorchModel] = weakref.WeakValueDictionary()
_ORIGINS: weakref.WeakKeyDictionary[Model, Origin] = weakref.WeakKeyDictionary()


class Origin(NamedTuple):
    """What a model was loaded from: enough to load it again, in another process."""

    source: str
    device: str | None
    dtype: str | torch.dtype | None
    name: str

    def again(self, about: Mapping[str, Any], threads: int) -> Model:
        """Load the model in another process, which then uses so many threads.

        Parameters
        ----------
        about : mapping
            What the model said of itself (`Model.describe`).
        threads : int

        Raises
        ------
        ModelError
            Another model is found there now: it was changed in one of the places.
        """
        torch.set_num_threads(threads)
        source, device, dtype, name = self
        model = load(source, device=device, dtype=dtype, name=name)
        found = model.describe()
        if found != about:
            msg = (
                f"{source}: a worker loads other weights or another device "
                f"({found['weights']}, {found['device']}) than are explained here "
                f"({about['weights']}, {about['device']}); save what was changed, and give its "
                "folder"
            )
            raise ModelError(msg)
        return model


def origin_of(model: Model) -> Origin:
    """Return what a model was loaded from.

    Raises
    ------
    OptionError
        It was made in this process, so that no other one could load it.

    Examples
    --------
    >>> origin_of(load("zoo:sentiment")).source
    'zoo:sentiment'
    """
    found = _ORIGINS.get(model)
    if found is None:
        msg = (
            f"workers load the model themselves, and {model.name} is an object of this process; "
            "give a name, a folder (written by save_pretrained()) or 'package.module:factory', or "
            "leave out workers= and engine="
        )
        raise OptionError(msg)
    return found


def load(
    source: object, *, tokenizer: Any = None, device: str | None = "auto",
    dtype: str | torch.dtype | None = None, name: str | None = None,
) -> Model:  # fmt: skip
    """Return a model that can be explained.

    Parameters
    ----------
    source : object
        A hub name, a local folder written by ``save_pretrained``, ``"zoo:protein"``,
        ``"package.module:factory"``, a `torch.nn.Module`, a `transformers.PreTrainedModel` (with
        `tokenizer`), or a function on arrays.
    tokenizer : transformers.PreTrainedTokenizerBase, optional
        For a `PreTrainedModel` that takes token ids; for one that takes images, its image
        processor.
    device : str, optional
        "auto" (CUDA where there is one), "cpu", "cuda:1", ... A module that you made stays
        where it is.
    dtype : str or torch.dtype, optional
        Precision of a loaded checkpoint; a module that you made keeps its own.
    name : str, optional
        What results call the model.

    Raises
    ------
    ModelError
        If nothing can be loaded, in one line with the remedy.
    """
    if isinstance(source, TorchModel):
        return source
    if isinstance(source, (str, Path)):
        model = _from_text(str(source), tokenizer, device, dtype, name)
        if tokenizer is None:
            place = str(Path(source).resolve()) if Path(source).is_dir() else str(source)
            _ORIGINS[model] = Origin(place, device, dtype, model.name)
        return model
    if is_keras(source):
        return _from_keras(source, tokenizer, device, dtype, name)
    if isinstance(source, nn.Module):
        return _from_module(source, tokenizer, name)
    if callable(source):
        return FunctionModel(source, name or str(getattr(source, "__name__", "function")))
    msg = (
        f"{type(source).__name__} is not a model; give a name, a folder, a torch module or a "
        "function on arrays"
    )
    raise ModelError(msg)


def _from_text(
    text: str, tokenizer: Any, device: str | None, dtype: str | torch.dtype | None, name: str | None
) -> Model:
    if text.startswith("zoo:"):
        folder = zoo_folder(text.removeprefix("zoo:"))
        # Shipped in half precision to be small, run in float32 unless asked otherwise.
        model = _pretrained(str(folder), name or text, tokenizer, device, dtype or torch.float32)
        model.noticed += (finding("demonstration_model", model=text),)
        return model
    if not text.strip():
        msg = "the name of the model is empty; give a hub name, a folder or a zoo model"
        raise ModelError(msg)
    path = Path(text)
    if is_keras_path(path):
        return _from_keras(path, tokenizer, device, dtype, name)
    if path.is_dir():
        if not (path / "config.json").is_file():
            msg = f"{text}: has no config.json; give a folder written by save_pretrained()"
            raise ModelError(msg)
        return _pretrained(text, name or path.name, tokenizer, device, dtype)
    if path.suffix.lower() in _PICKLES and (path.exists() or "/" in text):
        msg = (
            f"{text}: is a pickled file, which could run code; save the model with "
            "save_pretrained() (safetensors) and give its folder"
        )
        raise ModelError(msg)
    if path.is_file():
        msg = f"{text}: is a file, not a model that is known here; give a folder or a hub name"
        raise ModelError(msg)
    if _FACTORY.fullmatch(text):
        return load(_call_factory(text), tokenizer=tokenizer, device=device, name=name or text)
    if not _HUB.fullmatch(text) or text.startswith((".", "/")):
        msg = f"{text}: there is no such folder, and it is not a hub name (owner/name)"
        raise ModelError(msg)
    return _pretrained(text, name or text, tokenizer, device, dtype)


def _call_factory(text: str) -> object:
    module_name, _, attribute = text.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        msg = f"{text}: cannot import {module_name} ({error}); is it on the Python path?"
        raise ModelError(msg) from error
    factory = getattr(module, attribute, None)
    if factory is None:
        names = [n for n in vars(module) if not n.startswith("_")]
        msg = f"{text}: {module_name} has no {attribute!r}: {nearest(attribute, names)}"
        raise ModelError(msg)
    if isinstance(factory, nn.Module) or not callable(factory):
        made: object = factory
        return made
    try:
        return factory()
    except Exception as error:
        msg = f"{text}: the factory failed with {type(error).__name__}: {error}"
        raise ModelError(msg) from error


def _from_module(module: nn.Module, tokenizer: Any, name: str | None) -> Model:
    label = name or type(module).__name__
    if hasattr(tokenizer, "image_processor_type") or hasattr(tokenizer, "image_mean"):
        return classifier_of(module, tokenizer, label)
    takes_ids = getattr(module, "main_input_name", None) == "input_ids"
    if tokenizer is None and not takes_ids:
        return TensorModel(module, label)
    if tokenizer is None:
        msg = f"{label} takes token ids; give tokenizer= as well"
        raise ModelError(msg)
    known = _SHARED.get(id(module))
    if isinstance(known, (ProteinModel, TextModel)) and known.tokenizer is tokenizer:
        return known
    model = _for_tokens(module, tokenizer, label)
    _SHARED[id(module)] = model
    return model


def _from_keras(
    source: Any, tokenizer: Any, device: str | None, dtype: object, name: str | None
) -> Model:
    from saliscope.models.keras.adapters import from_file, from_object

    if dtype is not None:
        msg = "a Keras model keeps the precision that it was made in; leave dtype= out"
        raise OptionError(msg)
    if isinstance(source, Path):
        return from_file(source, tokenizer, name, device)
    known = _SHARED.get(id(source))
    if known is not None and tokenizer is None and name in {None, known.name}:
        return known
    model = from_object(source, tokenizer, name, device)
    if tokenizer is None:
        _SHARED[id(source)] = model
    return model


def _for_tokens(module: nn.Module, tokenizer: Any, label: str) -> ProteinModel | TextModel:
    if is_protein_vocabulary(tokenizer.get_vocab()):
        return ProteinModel(module, tokenizer, label)
    return TextModel(module, tokenizer, label)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
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


def _hub_answers() -> bool:
    """Ask the hub once: left to itself, a download without a network tries for half a minute."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except Exception:  # noqa: BLE001 - no network, no name, no proxy, or told to stay offline
        return False
    return True


def _auto_class(config: Any) -> Any:
    import transformers

    architecture = (getattr(config, "architectures", None) or [""])[0] or ""
    if config.is_encoder_decoder and architecture.endswith(("ForConditionalGeneration", "MTModel")):
        return transformers.AutoModelForSeq2SeqLM
    for ending, kind in _ENDINGS.items():
        if architecture.endswith(ending):
            return getattr(transformers, f"AutoModel{kind}")
    if architecture.endswith("ForImageClassification"):
        return transformers.AutoModelForImageClassification
    return transformers.AutoModel


def _pretrained(
    source: str, label: str, tokenizer: Any, device: str | None, dtype: str | torch.dtype | None
) -> TorchModel:
    import transformers

    place, kind = as_device(device), as_dtype(dtype)
    # A folder never touches the network, and code that came with a checkpoint never runs.
    local = Path(source).is_dir() or not _hub_answers()
    safe = {"trust_remote_code": False, "local_files_only": local}
    try:
        with _silent():
            config = transformers.AutoConfig.from_pretrained(source, **safe)
            kind_of = _auto_class(config)
            seen = kind_of is transformers.AutoModelForImageClassification
            reader = transformers.AutoImageProcessor if seen else transformers.AutoTokenizer
            tokenizer = tokenizer or reader.from_pretrained(source, **safe)
            module, info = kind_of.from_pretrained(
                source, config=config, dtype=kind or "auto", output_loading_info=True, **safe
            )
    except SaliscopeError:
        raise
    except Exception as error:  # transformers raises a dozen kinds, all to be told in one line
        raise ModelError(_why(source, error)) from error
    module.to(place).eval()
    model = (classifier_of if seen else _for_tokens)(module, tokenizer, label)
    model.noticed = _loading_findings(module, info)
    return model


def _loading_findings(module: nn.Module, info: dict[str, Any]) -> tuple[Finding, ...]:
    """Tell weights that the checkpoint did not have; poolers that nothing reads do not count."""
    missing = [n for n in info.get("missing_keys", ()) if "pooler" not in n or _pools(module)]
    missing = [n for n in missing if "position_ids" not in n and "contact_head" not in n]
    if not missing:
        return ()
    names = ", ".join(sorted(missing)[:3]) + (", ..." if len(missing) > 3 else "")
    return (finding("head_newly_initialized", names=names),)


def _pools(module: nn.Module) -> bool:
    return "ForSequenceClassification" in type(module).__name__


def _why(source: str, error: Exception) -> str:
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
