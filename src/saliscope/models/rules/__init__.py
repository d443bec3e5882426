"""Rules: what a backward pass sends through an operation in place of its derivative.

A fold that names a rule (`saliscope.core.ask.Fold.rule`) is answered by that rule. A rule runs the
model as it is and acts on the graph that autograd has built (`saliscope.models.rules.tape`), so
that it sees operations, however they were called, and changes nothing in the model.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from saliscope.core.errors import RefusedError
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
    "trees_interventional": "saliscope.models.table.trees:Interventional",
    "trees_path": "saliscope.models.table.trees:ByPath",
}
"""Where each rule lives; imported on first use."""


class Rule(Protocol):
    """Answers the readers of one batch, as `TorchModel.run` does for plain gradients.

    Attributes
    ----------
    follows : tuple of int
        The most rows, and streams, of the module that it goes back through for one input
        (`saliscope.models.layout.Layout.kind`).
    """

    follows: ClassVar[tuple[int, int]]

    def run(
        self, model: TorchModel, pieces: Sequence[Piece], readers: Sequence[Reader]
    ) -> list[Pass]:
        """Run one batch, all of whose readers ask for this rule."""
        ...


def find_rule(name: str, pieces: Sequence[Piece]) -> Rule:
    """Return the rule of that name, for some pieces.

    Raises
    ------
    RefusedError
        An input reaches the module in more parts than the rule goes back through.
    """
    module, _, attribute = RULES[name].partition(":")
    found: Rule = getattr(importlib.import_module(module), attribute)()
    layouts = [piece.sample.context.get("layout") for piece in pieces]
    for parts in [layout.kind for layout in layouts if layout is not None]:
        if parts[0] > found.follows[0] or parts[1] > found.follows[1]:
            what = "two outputs side by side" if parts[1] == 1 else "an encoder and a decoder"
            msg = (
                f"{name} follows one pass over one text, and this target takes {what}; use "
                "deeplift, a gradient, integrated gradients, masking or Shapley values"
            )
            raise RefusedError(msg)
    return found
