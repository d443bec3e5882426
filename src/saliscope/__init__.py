"""Saliscope: what a model looked at, and how far the picture can be trusted.

>>> import saliscope
>>> "explain" in dir(saliscope)
True
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

from saliscope.core import render
from saliscope.core.lazy import lazily

if TYPE_CHECKING:
    from saliscope.api.attending import attention
    from saliscope.api.explaining import explain
    from saliscope.api.inputs import Input, read_fasta, read_texts
    from saliscope.api.measuring import measure
    from saliscope.api.pages import read_lines
    from saliscope.api.trusting import trust
    from saliscope.attention.map import AttentionMap
    from saliscope.core.attribution import Attribution
    from saliscope.core.class_target import Class, Contrast, Output, Predicted
    from saliscope.core.defaults import DEFAULTS
    from saliscope.core.errors import (
        InputError,
        ModelError,
        OptionError,
        OutOfMemoryError,
        RefusedError,
        SaliscopeError,
        ToleranceError,
    )
    from saliscope.core.output_target import Continuation, Tag
    from saliscope.core.registry import methods
    from saliscope.core.sequence_target import (
        Embedding,
        Likelihood,
        Projection,
        Substitution,
        Token,
    )
    from saliscope.core.string_target import Characters, String
    from saliscope.core.target import Call, Many, Together
    from saliscope.models.loading import load
    from saliscope.models.table.declaring import table_model
    from saliscope.models.vision.classifier import image_model
    from saliscope.models.vision.declaring import recognizer

__version__ = "0.1.0"

_WHERE = {
    "attention": "api.attending",
    "explain": "api.explaining",
    "image_model": "models.vision.classifier",
    "read_lines": "api.pages",
    "recognizer": "models.vision.declaring",
    "load": "models.loading",
    "measure": "api.measuring",
    "trust": "api.trusting",
    "table_model": "models.table.declaring",
    "methods": "core.registry",
    "DEFAULTS": "core.defaults",
    "Attribution": "core.attribution",
    "AttentionMap": "attention.map",
    **dict.fromkeys(("Input", "read_fasta", "read_texts"), "api.inputs"),
    **dict.fromkeys(
        ("InputError", "ModelError", "OptionError", "OutOfMemoryError", "RefusedError",
         "SaliscopeError", "ToleranceError"), "core.errors"),
    **dict.fromkeys(("Class", "Contrast", "Output", "Predicted"), "core.class_target"),
    **dict.fromkeys(
        ("Embedding", "Likelihood", "Projection", "Substitution", "Token"),
        "core.sequence_target"),
    **dict.fromkeys(("Continuation", "Tag"), "core.output_target"),
    **dict.fromkeys(("Characters", "String"), "core.string_target"),
    **dict.fromkeys(("Call", "Many", "Together"), "core.target"),
}  # fmt: skip

__all__ = [
    "DEFAULTS", "AttentionMap", "Attribution", "Call", "Characters", "Class", "Continuation",
    "Contrast", "Embedding", "Input", "InputError", "Likelihood", "Many", "ModelError",
    "OptionError", "OutOfMemoryError", "Output", "Predicted", "Projection", "RefusedError",
    "SaliscopeError", "String", "Substitution", "Tag", "Together", "Token", "ToleranceError",
    "attention", "explain", "image_model", "load", "measure", "methods", "read_fasta", "read_lines",
    "read_texts", "recognizer", "table_model", "trust",
]  # fmt: skip

render.register("plot", "saliscope.show:plot")
render.register("html", "saliscope.show:html")
render.register("notebook", "saliscope.show:notebook")
render.register("attention", "saliscope.attention.lines:attention_over")


class _Package(types.ModuleType):
    """Keeps the subpackages `attention` and `methods` from hiding the functions of these names.

    Importing a subpackage sets it as an attribute of its package; the public function is meant to
    stand there. ``from saliscope.attention import ...`` is not touched by this.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _WHERE and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

_PARTS = dict.fromkeys(("audit", "bottleneck", "datasets", "sites", "study"), "")

__getattr__, __dir__ = lazily(__name__, {**_WHERE, **_PARTS})
