"""The sentences of the report that are the same for everybody, and how numbers are set."""

from __future__ import annotations

import re
from collections.abc import Mapping

from saliscope.variants.effects.record import BackgroundShift, Effect, Interpretation
from saliscope.variants.statistics.common import signed

__all__ = [
    "ACMG",
    "BLIND",
    "COUNTED_TWICE",
    "DEMONSTRATION",
    "PHASES",
    "PRIMARY_SET",
    "SOURCES",
    "how_to_read",
    "is_demonstration",
    "limits",
    "minus",
    "one_background",
    "shift_text",
    "uses_population",
]

ACMG = "nothing here is evidence for ACMG PP3/BP4 until calibrated"
COUNTED_TWICE = "contains population information, do not count again as frequency evidence"
DEMONSTRATION = (
    "a small demonstration model: its numbers show how the tool works, not how this protein works"
)
BLIND = "splicing, regulation, dosage (how much protein is made), synonymous changes"
PRIMARY_SET = (
    "The quantile compares first-in with first-in: this change and every single-nucleotide "
    "missense change of the transcript, each alone on the reference, without population "
    "information. Sigma is a unit of display, the quantile with its interval is the statement."
)

PHASES = {
    "phased": "phased in the file, and taken from there: which changes share a copy is known",
    "homozygous": "homozygous: both copies are the same, and phase is known",
    "hemizygous": "hemizygous: there is one copy",
    "phase sets": "phased in sets: within a set it is known which changes share a copy, between "
    "sets it is not",
    "unphased": "unphased: which changes share a copy is not known",
}

SOURCES = {
    "carriers observed": "Source: carriers observed. Counts are haplotypes of the panel that carry "
    "this change, by the rest of their protein. One background has one value, in whomever it "
    "occurs.",
    "implanted on the panel": "Source: implanted on the panel. Nobody in the panel carries this "
    "change; it was put on the panel's haplotypes. Counts are haplotypes with that background, "
    "not carriers. One background has one value, in whomever it occurs.",
    "expected from frequencies": "Source: expected from frequencies. Backgrounds were put together "
    "from allele frequencies as if variants were independent (linkage equilibrium), for their "
    "linkage is not known; this change was put on them. Counts are chromosomes on which the "
    "background is to be expected, not people seen, and not carriers.",
    "reference only": "Source: reference only. No haplotypes of a population were given, so there "
    "is no background to compare with but the reference.",
}

_MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")


def minus(text: str) -> str:
    """Return `text` with true minus signs before numbers; names and ranges stay as they are.

    Examples
    --------
    >>> minus("from -1.26 to +0.4 [-3, 6-24], c.-12A>G")
    'from −1.26 to +0.4 [−3, 6-24], c.-12A>G'
    """
    return _MINUS.sub("−", text)


def shift_text(value: float | None) -> str:
    """Return a shift as the page shows it; an en dash where there is none.

    Examples
    --------
    >>> shift_text(-1.264), shift_text(None)
    ('−1.26', '–')
    """
    return "–" if value is None else minus(signed(value))


def one_background(background: BackgroundShift) -> str:
    """Say that there is one background only, so that nothing can differ."""
    count = f"{background.total:,} haplotype{'s' if background.total != 1 else ''}"
    return minus(
        f"One background ({background.label}): {signed(background.shift)} in all {count}; there is "
        "no spread to show."
    )


def is_demonstration(model: Mapping[str, object]) -> bool:
    """Return whether the model is one of those that come with the package."""
    return str(model.get("name", "")).startswith("zoo:")


def _informed(effect: Effect) -> bool:
    return bool(effect.backgrounds or effect.carriers or effect.presence or effect.observed)


def uses_population(interpretation: Interpretation) -> bool:
    """Return whether anything on the page comes from a population."""
    return bool(
        interpretation.frequent
        or any(_informed(effect) for effect in interpretation.effects)
        or any(copy.support is not None for copy in interpretation.copies)
    )


def how_to_read(interpretation: Interpretation) -> list[tuple[str, str]]:
    """Return the terms of the page, each with what it means."""
    n = len(interpretation.reference_set)
    norm = interpretation.settings.get("readout") == "norm"
    sign = (
        "It is a length and has no sign."
        if norm
        else "Below zero, the model finds the protein less usual with the change than without."
        if interpretation.settings.get("readout") == "likelihood"
        else "Its sign is that of the given axis."
    )
    terms = [
        ("copy, haplotype", "A person carries two copies of the gene, numbered here. A haplotype "
                            "is what the copies of many people are counted by: one sequence, "
                            "however many carry it."),
        ("shift", f"The score ({interpretation.readout}) with the change minus without it. {sign} "
                  "It is a number of the model, not of the clinic."),
        ("last-out", "The shift on this person's own copy: the copy as it is, minus the copy with "
                     "only this change taken out."),
        ("first-in", "The shift alone on the reference: the reference protein with only this "
                     "change, minus the reference. Last-out and first-in are equal where changes "
                     "add up in the model."),
        ("quantile", f"(rank + 1) / (n + 1) among the {n:,} first-in shifts of all "
                     "single-nucleotide missense changes of this transcript; 0.02 means that about "
                     "2 % of them are lower. This is the statement. All such changes were scored, "
                     "so that the rank itself is exact; the bracket says how finely a set of this "
                     "size can place a value (the 95 % interval of Clopper and Pearson, as if the "
                     f"{n:,} were drawn from more changes of their kind)."),
        ("sigma", "(shift − median) / (1.4826 × median absolute deviation) of the same set. Sigma "
                  "is a unit of display: the set is skewed, so it is no probability."),
        ("background", "The rest of the protein on the same copy: the other changes beside this "
                       "one. Carriers in different groups differ in how often each background "
                       "occurs, not in what the model says of one background."),
        ("model interaction", "What two changes do together minus the sum of what each does alone, "
                              "ranked among pairs of this transcript with like effects and "
                              "distance. It is a statement about this model, not about biology."),
        ("rank (p), q", "p is the share of matched pairs whose model interaction is at least as "
                        "large in size, of either sign (two-sided): (1 + how many) / (1 + matched "
                        "pairs), so that it is never zero. q is p corrected for all pairs that "
                        "were tested (Benjamini-Hochberg). After a rank transform: the same with "
                        "ranks in place of scores, which asks whether the interaction is only a "
                        "bend of the scale."),
        ("saliency check", "The slope of the score at this copy, in the direction that takes the "
                           "change out, against what taking it out does. A slope agrees with the "
                           "ablation of its own model as far as the response is straight; whether "
                           "that needs trained weights is what the control asks."),
        ("linkage (r², D′)", "How far two variants are found on the same haplotypes of the panel: "
                             "r² is the squared correlation, 1 where each is never without the "
                             "other; D′ is 1 where the rarer one is never without the other, −1 "
                             "where they are never together."),
        ("path attribution", "Integrated gradients from the reference to this copy, summed over "
                             "the residues of the change. All of a copy sum to its score against "
                             "the reference, up to the gap shown."),
        ("cosine, length ratio", "Direction and length of the embedding's shift in this person "
                                 "against the same change's shift on a background: 1 and 1 mean "
                                 "the same shift."),
        ("numeric noise floor", f"{interpretation.noise:.2g}: how far the score of one sequence "
                                "moves with the batch it is computed in. Smaller shifts are not "
                                "shifts."),
    ]  # fmt: skip
    left_out = {
        "quantile": not n,
        "sigma": not n,
        "rank (p), q": not interpretation.pairs,
        "saliency check": interpretation.control is None,
        "linkage (r², D′)": interpretation.linkage is None,
    }
    return [(name, told) for name, told in terms if not left_out.get(name)]


def limits(interpretation: Interpretation) -> list[str]:
    """Return what the page does not say."""
    found = [
        f"{ACMG[0].upper()}{ACMG[1:]}: no threshold on these numbers has been tied to clinical "
        "outcome.",
        f"Not assessed: {BLIND}. The model sees a sequence of residues and nothing else.",
        "A model gives a number for any sequence. That carriers of one change on one background "
        "agree says nothing: they are one sequence, computed once.",
        "Groups are the labels of the panel's sample table. They tell where people were sampled, "
        "not what their proteins do.",
        "Whether the call itself is right is not checked: look at the reads.",
    ]
    if uses_population(interpretation):
        found.insert(1, f"This report {COUNTED_TWICE} (PM2, BA1, BS1).")
    return found
