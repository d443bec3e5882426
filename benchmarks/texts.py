"""The texts that the rows explain: short and long, plain and mixed."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["REVIEWS", "SENTENCES", "TEXT", "TEXTS"]

SENTENCES = (
    "The salad had just the right amount of sauce to not over power the scallop, which was "
    "perfectly cooked, and although we waited far too long for a table nobody at the door was rude "
    "about it.",
    "The soup was cold.",
    "I would come back for the fish alone, but the noise, the prices and a waiter who forgot half "
    "of what we asked for made this an evening of mixed feelings.",
)
TEXT = " ".join(SENTENCES)
SAMPLES = tuple((files("saliscope") / "samples/reviews.txt").read_text("utf-8").splitlines())
REVIEWS = (
    *SAMPLES,
    "The room was clean, the bed was soft and the man at the desk told us where to eat, but the "
    "lift was broken on all three days and nobody seemed to mind that we lived on the sixth floor.",
    "Two hours that feel like four, and not one of them is funny.",
    "I bought this kettle as a gift, and my mother has not stopped praising it since; it is quiet, "
    "quick and it has not leaked a drop.",
    "Nothing about the plot makes sense, yet the two leads are so good together that I stopped "
    "asking why anybody did anything and simply enjoyed the ride.",
    "The battery died after a week and the shop refused to take the phone back.",
)
TEXTS = (
    *REVIEWS, *SENTENCES,
    "A gentle, slow and honest film about two brothers who have forgotten how to talk.",
    "My fish was dry, my rice was burnt, and the bill was twice what the menu had promised us.",
    "We came for one beer, stayed for dinner, and have been back every Friday since.",
    "The acting is fine and the music is lovely, but the ending undoes everything before it.",
    "It works.",
)  # fmt: skip
