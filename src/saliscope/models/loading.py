"""Loading: from what a user has to an adapter.

Nothing here runs code that came with a file: checkpoints are read as safetensors (or weights
only), `trust_remote_code` stays off, and the user's own code runs only when it is named as
``"package.module:factory"``.
"""

from __future__ import annotations

import importlib
import re
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from saliscope.core.errors import ModelError, OptionError, SaliscopeError, nearest
from saliscope.core.health import Finding, finding
from saliscope.core.model import Model
from saliscope.models.dual_llama import DualLlama
from saliscope.models.function import FunctionModel
from saliscope.models.hub import hub_answers, silent, why_not
from saliscope.models.keras.backend import is_keras
from saliscope.models.keras.files import is_keras_path
from saliscope.models.keras.folders import is_keras_folder
from saliscope.models.protein import ProteinModel, is_protein_vocabulary
from saliscope.models.rewriting import RewritingModel, is_dual_llama, load_dual_llama
from saliscope.models.table.declaring import table_model
from saliscope.models.table.estimators import is_estimator, load_skops
from saliscope.models.tensor import TensorModel
from saliscope.models.text import TextModel
from saliscope.models.torch_model import TorchModel, as_device, as_dtype
from saliscope.models.vision.classifier import classifier_of
from saliscope.models.vision.line_model import is_line, line_recognizer, load_line
from saliscope.models.vision.line_network import LineNetwork
from saliscope.models.vision.recognizer import Recognizer
from saliscope.models.vision.trocr import Processor, reads_lines, trocr
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
    dtype: str | torch.dtype | None = None, name: str | None = None, head: str | None = None,
) -> Model:  # fmt: skip
    """Return a model that can be explained.

    Parameters
    ----------
    source : object
        A hub name, a local folder written by ``save_pretrained``, ``"zoo:protein"``,
        ``"package.module:factory"``, a `torch.nn.Module`, a `transformers.PreTrainedModel` (with
        `tokenizer`), a fitted scikit-learn estimator or a ``.skops`` file of one, or a function on
        arrays (`table_model` makes models of functions and modules on named columns).
    tokenizer : transformers.PreTrainedTokenizerBase, optional
        For a `PreTrainedModel` that takes token ids; for one that takes images, its image
        processor; for one that reads lines of text (TrOCR), its processor.
    device : str, optional
        "auto" (CUDA where there is one), "cpu", "cuda:1", ... A module that you made stays
        where it is.
    dtype : str or torch.dtype, optional
        Precision of a loaded checkpoint; a module that you made keeps its own.
    name : str, optional
        What results call the model.
    head : {"ctc", "decoder"}, optional
        Of a model that reads lines by either of two heads, the one that reads. It may also stand
        behind the name: ``"zoo:handwriting#decoder"``.

    Raises
    ------
    ModelError
        If nothing can be loaded, in one line with the remedy.
    """
    if head is None and isinstance(source, TorchModel):
        return source
    if isinstance(source, (str, Path)):
        place, head = _headed(str(source), head)
        model = _with_head(_from_text(place, tokenizer, device, dtype, name), head)
        if tokenizer is None:
            place = str(Path(place).resolve()) if Path(place).is_dir() else place
            place += "" if head is None else f"#{head}"
            _ORIGINS[model] = Origin(place, device, dtype, model.name)
        return model
    if head is not None:
        return _with_head(load(source, tokenizer=tokenizer, name=name), head)
    if is_keras(source):
        return _from_keras(source, tokenizer, device, dtype, name)
    if isinstance(source, nn.Module):
        return _from_module(source, tokenizer, name)
    if is_estimator(source):
        return table_model(source, name=name)
    if callable(source):
        return FunctionModel(source, name or str(getattr(source, "__name__", "function")))
    msg = (
        f"{type(source).__name__} is not a model; give a name, a folder, a torch module, a fitted "
        "scikit-learn estimator or a function on arrays"
    )
    raise ModelError(msg)


def _headed(text: str, head: str | None) -> tuple[str, str | None]:
    """Return the name of a model without the head that may stand behind it, and the head."""
    found = re.fullmatch(r"(.+)#(ctc|decoder)", text)
    return (text, head) if found is None else (found[1], head or found[2])


def _with_head(model: Model, head: str | None) -> Model:
    if head is None:
        return model
    if not isinstance(model, Recognizer):
        msg = f"head={head!r}: {model.name} does not read lines of text and has no such heads"
        raise OptionError(msg)
    return model.with_head(head)


def _from_text(
    text: str, tokenizer: Any, device: str | None, dtype: str | torch.dtype | None, name: str | None
) -> Model:
    if text.startswith("zoo:"):
        folder = zoo_folder(text.removeprefix("zoo:"))
        if is_keras_folder(folder):
            made = _from_keras(folder, tokenizer, device, dtype, name or text)
            made.noticed += (finding("demonstration_model", model=text),)
            return made
        # Shipped in half precision to be small, run in float32 unless asked otherwise.
        model = _pretrained(str(folder), name or text, tokenizer, device, dtype or torch.float32)
        model.noticed += (finding("demonstration_model", model=text),)
        return model
    if not text.strip():
        msg = "the name of the model is empty; give a hub name, a folder or a zoo model"
        raise ModelError(msg)
    path = Path(text)
    if is_keras_path(path) or is_keras_folder(path):
        return _from_keras(path, tokenizer, device, dtype, name)
    if path.is_dir():
        if not (path / "config.json").is_file():
            msg = f"{text}: has no config.json; give a folder written by save_pretrained()"
            raise ModelError(msg)
        return _pretrained(text, name or path.name, tokenizer, device, dtype)
    if path.suffix.lower() == ".skops":
        return table_model(load_skops(path), name=name or path.name)
    if path.suffix.lower() in _PICKLES and (path.exists() or "/" in text):
        msg = (
            f"{text}: is a pickled file, which could run code; save a torch model with "
            "save_pretrained() (safetensors) and give its folder, one of scikit-learn with "
            "skops.io.dump() and give the .skops file"
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
    if reads_lines(module):
        return trocr(module, tokenizer, label)
    if isinstance(module, LineNetwork):
        return line_recognizer(module, label)
    if isinstance(module, DualLlama):
        return RewritingModel(module, label)
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
) -> TorchModel:
    from saliscope.models.keras.adapters import from_file, from_folder, from_object

    if dtype is not None:
        msg = "a Keras model keeps the precision that it was made in; leave dtype= out"
        raise OptionError(msg)
    if isinstance(source, Path) and is_keras_folder(source):
        return from_folder(source, name, device)
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


def _auto_class(config: Any) -> Any:
    import transformers

    architecture = (getattr(config, "architectures", None) or [""])[0] or ""
    if config.is_encoder_decoder and architecture.endswith(("ForConditionalGeneration", "MTModel")):
        return transformers.AutoModelForSeq2SeqLM
    for ending, kind in _ENDINGS.items():
        if architecture.endswith(ending):
            return getattr(transformers, f"AutoModel{kind}")
    if config.model_type == "vision-encoder-decoder":
        return transformers.VisionEncoderDecoderModel
    if architecture.endswith("ForImageClassification"):
        return transformers.AutoModelForImageClassification
    return transformers.AutoModel


def _pretrained(
    source: str, label: str, tokenizer: Any, device: str | None, dtype: str | torch.dtype | None
) -> TorchModel:
    import transformers

    place, kind = as_device(device), as_dtype(dtype)
    if is_line(Path(source)):
        return load_line(Path(source), label, device=place, dtype=kind)
    if is_dual_llama(Path(source)):
        return load_dual_llama(Path(source), label, device=place, dtype=kind)
    # A folder never touches the network, and code that came with a checkpoint never runs.
    local = Path(source).is_dir() or not hub_answers()
    safe = {"trust_remote_code": False, "local_files_only": local}
    try:
        with silent():
            config = transformers.AutoConfig.from_pretrained(source, **safe)
            kind_of = _auto_class(config)
            reader: Any
            adapter: Callable[[nn.Module, Any, str], TorchModel]
            reader, adapter = transformers.AutoTokenizer, _for_tokens
            if kind_of is transformers.AutoModelForImageClassification:
                reader, adapter = transformers.AutoImageProcessor, classifier_of
            elif kind_of is transformers.VisionEncoderDecoderModel:
                reader, adapter = Processor, trocr
            tokenizer = tokenizer or reader.from_pretrained(source, **safe)
            module, info = kind_of.from_pretrained(
                source, config=config, dtype=kind or "auto", output_loading_info=True, **safe
            )
    except SaliscopeError:
        raise
    except Exception as error:  # transformers raises a dozen kinds, all to be told in one line
        raise ModelError(why_not(source, error)) from error
    module.to(place).eval()
    model = adapter(module, tokenizer, label)
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
