"""All defaults that depend on the modality, in one table.

Adapters and `saliscope.explain` read their defaults from here, and `saliscope models --defaults`
prints it, so that what is documented is what happens.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULTS", "Defaults"]


@dataclass(frozen=True)
class Defaults:
    """What happens when nothing is said, and the option that changes it.

    Parameters
    ----------
    target, scale : str
        What is explained (``target=``) and on which scale (``saliscope.Class(..., scale=)``).
    baseline : str
        Where paths start (``baseline=``).
    fill : str
        What stands in place of a part that is taken away (``fill=``).
    unit : str
        What gets a value (``groups=``).
    features : str
        How the features of one unit become one number (``reduce=`` of gradient and its kin).
    """

    target: str
    scale: str
    baseline: str
    fill: str
    unit: str
    features: str


DEFAULTS: dict[str, Defaults] = {
    "protein": Defaults(
        target="likelihood of the whole sequence in one unmasked pass",
        scale="log_prob",
        baseline="mask",
        fill="mask",
        unit="residue",
        features="gradient, smoothgrad, vargrad: L2 norm over the embedding; else signed sum",
    ),
    "text": Defaults(
        target="predicted class (masked language model: likelihood; model that writes: its next "
        "token; that labels tokens: each label)",
        scale="logit",
        baseline="mask",
        fill="mask",
        unit="token (where groups are taken away: word)",
        features="gradient, smoothgrad, vargrad: L2 norm over the embedding; else signed sum",
    ),
    "image": Defaults(
        target="predicted class",
        scale="logit",
        baseline="zero",
        fill="mean",
        unit="pixel at the model's size (where groups are taken away: patch of 16 x 16, or the "
        "model's own)",
        features="signed sum over the channels (gradient, smoothgrad, vargrad: or L2 norm)",
    ),
    "line": Defaults(
        target="the whole text that a recognizer reads (its characters: target='characters')",
        scale="log_prob",
        baseline="paper",
        fill="paper",
        unit="pixel at the model's height (where groups are taken away: column as wide as a frame)",
        features="signed sum over the channels (gradient, smoothgrad, vargrad: or L2 norm)",
    ),
    "table": Defaults(
        target="predicted class (of regressors: the output)",
        scale="prob (decision values, functions and torch modules: raw)",
        baseline="each row of the background in turn (methods with one baseline: typical, the "
        "medians and most frequent values)",
        fill="each row of the background in turn (occlusion: typical)",
        unit="column",
        features="none: every column keeps its own signed value",
    ),
    "tensor": Defaults(
        target="predicted class (largest output)",
        scale="raw",
        baseline="zero",
        fill="zero",
        unit="element",
        features="none: every element keeps its own signed value",
    ),
}
