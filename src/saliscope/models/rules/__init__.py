"""Rules: what a backward pass sends through an operation in place of its derivative.

A fold that names a rule (`saliscope.core.ask.Fold.rule`) is answered by that rule. A rule runs the
model as it is and acts on the graph that autograd has built (`saliscope.models.rules.tape`), so
that it sees operations, however they were called, and changes nothing in the model.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from saliscope.core.model import Pass, Piece, Reader

if TYPE_CHECKING:
    from saliscope.models.torch_model import TorchModel

__all__ = ["RULES", "Rule", "find_rule"]

RULES = {
    "deeplift": "saliscope.models.rules.deeplift:DeepLift",
    "attnlrp": "saliscope.models.rules.attnlrp:AttnLRP",
    "attention": "saliscope.attention.rules:Received",
    "attention_flow": "saliscope.attention.rules:Flow",
    "relevance": "saliscope.attention.rules:Relevance",
    "rollout": "saliscope.attention.rules:Rollout",
}
"""Where each rule lives; imported on first use."""


class Rule(Protocol):
    """Answers the readers of one batch, as `TorchModel.run` does for plain gradients."""

    def run(
        self, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]
    ) -> list[Pass]:
        """Run one batch, all of whose readers ask for this rule."""
        ...


def find_rule(name: str) -> Rule:
    """Return the rule of that name."""
    module, _, attribute = RULES[name].partition(":")
    found: Rule = getattr(importlib.import_module(module), attribute)()
    return found
