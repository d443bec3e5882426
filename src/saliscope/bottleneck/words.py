"""The document *Bottleneck architecture analysis*: an audit in about five hundred words.

Every number in it is written by `Numbers`, which keeps it: `Document.numbers` is the table of what
was written, with the value that it rounds and the table that it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from saliscope.bottleneck.numbers import Numbers
from saliscope.bottleneck.record import Audit
from saliscope.bottleneck.verdicts import passed, standing

__all__ = ["Document", "document"]

TITLE = "Bottleneck architecture analysis"
_ALONE = 0.9  # of a change: what brings more does it by itself


@dataclass(frozen=True, eq=False)
class Document:
    """A text in Markdown, and every number in it.

    Parameters
    ----------
    text : str
    numbers : pandas.DataFrame
        written, value, table, what.
    """

    text: str = field(repr=False)
    numbers: pd.DataFrame


def document(audit: Audit) -> Document:
    """Return the document about an audit.

    What it says follows from the tables: that a task can be read is said where the intervals of its
    value and of its selectivity are above chance; that something reads more, or a group of places
    is lost more, where the intervals do not overlap.

    Parameters
    ----------
    audit : Audit

    Examples
    --------
    >>> from saliscope import bottleneck
    >>> found = bottleneck.audit("zoo:bottleneck", ["MVHLTPEEKSAVTALWGKV", "MKTAYIAKQRQISFVKSHF"],
    ...                          rival=None, probes=(), variants=0)
    >>> bottleneck.document(found).text.splitlines()[0]
    '# Bottleneck architecture analysis'
    """
    n = Numbers()
    parts = [
        _short(audit), _what(audit, n), _through(audit, n), _fails(audit, n), _moved(audit, n),
        _read(audit, n), _variants(audit, n), _beside(audit, n), _limits(audit),
    ]  # fmt: skip
    text = f"# {TITLE}\n\n" + "\n".join(part for part in parts if part)
    return Document(text, pd.DataFrame(n.rows))


def _section(title: str, *sentences: str) -> str:
    body = " ".join(s for s in sentences if s)
    return f"## {title}\n\n{body}\n" if body else ""


def _short(audit: Audit) -> str:
    """Return the answers to the questions that one asks first, without a number."""
    said = []
    own = audit.accuracy()
    if own is not None:
        said.append({
            "everything": "Nearly the whole input can be written again from the bottleneck.",
            "part": "Part of the input can be written again from the bottleneck.",
            "nothing": "No more can be written from the bottleneck than from a wrong one.",
        }[passed(audit)])  # fmt: skip
    tasks = list(dict.fromkeys(audit["probes"].get("task", ())))
    asked = {
        "folding": ("secondary structure", "contacts"),
        "phenotype": (
            "conservation", "binding", *(t for t in tasks if t.startswith("effect of variants")),
        ),
    }  # fmt: skip
    verdicts: dict[str, list[str]] = {}
    for what, names in asked.items():
        known = [task for task in names if task in tasks]
        if not known:
            continue
        found = [standing(audit, task) for task in known]
        word = f"{what} ({', '.join(dict.fromkeys(t.partition(',')[0] for t in known))})"
        can, more = (any(one[k] for one in found) for k in (0, 1))
        verdict = (
            "cannot be read off it above chance" if not can
            else "can be read off it, some better than off anything else here" if more
            else "can be read off it in part, never better than off the best alternative"
        )  # fmt: skip
        verdicts.setdefault(verdict, []).append(word)
    said += [f"Signals of {' and '.join(words)} {v}." for v, words in verdicts.items()]
    return _section("In short", *said)


def _what(audit: Audit, n: Numbers) -> str:
    meta = audit.meta
    fixed = not isinstance(meta["slots"], str)
    width = n(meta["width"], "count", "audit.json", "width")
    count = n(meta["slots"], "count", "audit.json", "slots") if fixed else ""
    slots = f"{count} slots of" if fixed else "as many slots as places, of"
    shown = (
        "the decoder is shown nothing else" if meta["alone"]
        else "the decoder is also shown what stands before each place"
    )  # fmt: skip
    given = f"{n(meta['inputs'], 'count', 'audit.json', 'inputs')} inputs"
    if meta["residues"]:
        given += f" of {n(meta['families'], 'count', 'audit.json', 'families')} families"
    return _section(
        "What was cut",
        f"{audit.model} was cut at its module {audit.parts['bottleneck']}: {slots} {width} "
        f"numbers; {shown}. Through it went {given}; intervals are of redrawn families.",
    )


def _share(n: Numbers, row: pd.Series, what: str) -> str:
    return n(row["accuracy"], "share", "rebuilt.csv", what)


def _through(audit: Audit, n: Numbers) -> str:
    own = audit.accuracy()
    if own is None:
        return ""
    said = _share(n, own, "all, bottleneck")
    low, high = (
        n(own[k], "share", "rebuilt.csv", f"all, bottleneck, {k}") for k in ("low", "high")
    )
    names = {
        "slots in another order": "from its slots in another order",
        "another input's bottleneck": "from another input's bottleneck",
        "composition": "by the commonest alone",
    }
    rows = {k: audit.accuracy(source=k) for k in names}
    known = {k: r for k, r in rows.items() if r is not None}
    beside = [f"{names[k]} {_share(n, r, f'all, {k}')}" for k, r in known.items()]
    unit = "residues" if audit.meta["residues"] else "places"
    meaning = {
        "nothing": "That is no more than a wrong bottleneck or composition gives.",
        "part": "That is more than chance, and far from everything: it is a summary.",
        "everything": "",
    }[passed(audit)] or _capacity(audit, n)
    return _section(
        "How much goes through",
        f"From the bottleneck {said} of {unit} are rebuilt ({low} to {high}); {', '.join(beside)}.",
        meaning,
    )  # fmt: skip


def _capacity(audit: Audit, n: Numbers) -> str:
    meta = audit.meta
    text = (
        "It keeps a code of the sequence, not a summary: nothing forced a choice of what matters."
    )
    if isinstance(meta["slots"], str) or not meta["residues"]:
        return text
    numbers = meta["slots"] * meta["width"]
    mean = meta["residues"] / meta["inputs"]
    each = n(numbers / mean, "one", "audit.json", "numbers of the bottleneck per residue")
    return (
        f"{text} {n(numbers, 'count', 'audit.json', 'slots times width')} numbers stand for "
        f"{n(mean, 'count', 'audit.json', 'mean residues')} residues on average, {each} for each."
    )


def _fails(audit: Audit, n: Numbers) -> str:
    table = audit["rebuilt"]
    if table.empty:
        return ""
    own = table[table["from"] == "bottleneck"]
    said = []
    every, even = audit.accuracy(), []
    for group, few, word in (
        ("residue", 20, "kind of residue"), ("position", 200, "stretch along the chain"),
        ("length", 200, "length"),
    ):  # fmt: skip
        rows = own[(own["group"] == group) & (own["places"] >= few)]
        if len(rows) < 2 or every is None:
            continue
        worst = rows.iloc[int(np.argmin(rows["accuracy"].to_numpy()))]
        share = _share(n, worst, f"{group}, worst")
        label = _numbered(n, str(worst["label"]), group)
        if float(worst["high"]) < float(every["low"]):
            said.append(f"The {word} that is lost most is {label}: {share} right.")
        else:
            even.append(f"no {word} ({label}: {share})")
    if even:
        listed = ", ".join(even)
        said.append(f"{listed[0].upper()}{listed[1:]} is surely worse than the rest.")
    for group, word in (("conservation", "conserved"), ("binding", "binding")):
        halves = [audit.accuracy(group, label) for label in (word, f"not {word}")]
        if halves[0] is None or halves[1] is None:
            continue
        one, other = (_share(n, h, f"{group}, {h['label']}") for h in halves if h is not None)
        apart = halves[0]["low"] > halves[1]["high"] or halves[0]["high"] < halves[1]["low"]
        told = "" if apart else " (alike)"
        said.append(f"{word.capitalize()} residues: {one}, the rest: {other}{told}.")
    far = own[own["group"] == "beyond the limit"]
    if len(far) == 2:
        inside, outside = (_share(n, r, f"longer, {r['label']}") for _, r in far.iterrows())
        limit = n(audit.meta["limit"], "count", "audit.json", "limit")
        said.append(
            f"Proteins beyond the {limit} residues of its training break it: {inside} of their "
            f"first {limit} positions are right, and {outside} of those behind."
        )
    return _section("Where it fails", *said)


def _numbered(n: Numbers, label: str, group: str) -> str:
    """Write the numbers of a label, so that they are kept."""
    words = [n(w, "count", "rebuilt.csv", f"{group}, label") if w.isdigit() else w
             for w in label.split()]  # fmt: skip
    return " ".join(words)


def _moved(audit: Audit, n: Numbers) -> str:
    table = audit["kept"]
    said = []
    if not table.empty:
        middle = table.groupby("change")["distance"].median()
        order = n(middle["order"], "two", "kept.csv", "order, median distance")
        letters = n(middle["letters"], "two", "kept.csv", "letters, median distance")
        what = {
            "both": "both order and composition are kept",
            "order": "the order is kept and the composition is not",
            "composition": "the composition is kept and the order is not",
            "neither": "neither is kept",
        }[audit.keeps]
        said.append(
            f"The same residues in another order move it by {order} of its size, other letters in "
            f"the same order by {letters}: {what}."
        )
    ranks = audit["rank"]
    row = ranks[ranks["what"] == "bottleneck, slots"].iloc[0]
    said.append(
        f"Its slots use {n(row['effective rank'], 'one', 'rank.csv', 'slots, effective rank')} of "
        f"{n(row['numbers'], 'count', 'rank.csv', 'slots, numbers')} directions (effective rank)."
    )
    slots = audit["slots"]
    if not slots.empty:
        top = slots["share"].sort_values(ascending=False)
        half = int(np.searchsorted(top.cumsum().to_numpy(), 0.5) + 1)
        said.append(
            f"Half of the decoder's cross-attention goes to "
            f"{n(half, 'count', 'slots.csv', 'slots of half the attention')} of "
            f"{n(len(slots), 'count', 'slots.csv', 'slots')} slots."
        )
    return _section("What moves it", *said)


def _read(audit: Audit, n: Numbers) -> str:
    table = audit["probes"]
    if table.empty:
        return ""
    said = []
    for task in dict.fromkeys(table["task"]):
        own = table[table["task"] == task]
        mine = own[own["features"] == "bottleneck"]
        others = own[
            ~own["features"].str.contains("bottleneck") & (own["features"] != "composition")
        ]
        if mine.empty:
            continue
        best = mine.iloc[int(np.argmax(mine["value"].to_numpy()))]
        there, _ = standing(audit, task)
        value = n(best["value"], "two", "probes.csv", f"{task}, bottleneck")
        gain = n(best["selectivity"], "signed", "probes.csv", f"{task}, bottleneck, selectivity")
        text = f"{task} {value} ({gain}{'' if there else ', may be chance'})"
        if not others.empty:
            rival = others.iloc[int(np.argmax(others["value"].to_numpy()))]
            value = n(rival["value"], "two", "probes.csv", f"{task}, {rival['features']}")
            surely = (
                float(rival["value low"]) > float(best["value high"])
                or float(rival["value high"]) < float(best["value low"])
            )  # fmt: skip
            text += f" beside {rival['features']} {value}{'' if surely else ' (alike)'}"
        said.append(text)
    dimension = n(table["dimension"].iloc[0], "count", "probes.csv", "dimension")
    head = (
        f"At {dimension} dimensions, by the better of two probes, families held out (classes: area "
        "under the curve, numbers: rank correlation; in brackets: beyond the control), beside the "
        "best other representation:"
    )
    views = ("bottleneck", "decoder, from the bottleneck")
    rows = [audit.best("residue", view) for view in views]
    tail = ""
    if rows[0] is not None and rows[1] is not None and rows[1]["value low"] > rows[0]["value high"]:
        value = n(rows[1]["value"], "two", "probes.csv", "residue, decoder")
        tail = (
            f"The decoder makes residues of it ({value}) better than probes do: the code needs its "
            "decoder."
        )
    return _section("What can be read off it", head, "; ".join(said) + ".", tail)


def _variants(audit: Audit, n: Numbers) -> str:
    table = audit["variants"]
    if table.empty:
        return ""
    alive = n(table["survives"].mean(), "share", "variants.csv", "survive")
    count = n(len(table), "count", "variants.csv", "variants")
    said = [f"Of {count} missense variants, {alive} are written as the variant."]
    if table["times noise"].notna().any():
        times = n(table["times noise"].median(), "times", "variants.csv", "median times noise")
        said.append(f"They move the bottleneck by a median of {times} times numeric noise.")
    if "slots" in table and table["slots"].notna().any():
        held = n(table["slots"].median(), "whole", "variants.csv", "median slots of the change")
        one = n(table["share of slot"].median(), "share", "variants.csv", "median share of a slot")
        said.append(
            f"Nine tenths of the change are spread over a median of {held} slots; swapping the "
            f"one that carries most brings {one} of the change in log odds"
            f"{', so the decoder heeds few' if table['share of slot'].median() > _ALONE else ''}."
        )
        said.append("To survive is not to matter.")
    return _section("Does a variant survive", *said)


def _beside(audit: Audit, n: Numbers) -> str:
    said = []
    table = audit["similarity"]
    for part in dict.fromkeys(table.get("part", ())):
        own = table[table["part"] == part]
        best = own.iloc[int(np.argmax(own["cka"].to_numpy()))]
        said.append(
            f"The {part} aligns most with layer "
            f"{n(best['layer'], 'count', 'similarity.csv', f'{part}, layer')}: "
            f"{n(best['cka'], 'two', 'similarity.csv', f'{part}, CKA')} (chance "
            f"{n(best['chance'], 'two', 'similarity.csv', f'{part}, chance')})."
        )
    both = audit["agreement"]
    if not both.empty:
        same = n(both["same of ten"].mean(), "one", "agreement.csv", "mean of the same ten")
        chance = n(both["by chance"].mean(), "one", "agreement.csv", "mean by chance")
        rho = n(both["received"].mean(), "signed", "agreement.csv", "mean rank correlation")
        said.append(
            f"On the same variants, what residues receive in both encoders correlates by {rho}; of "
            f"the ten that change most, {same} are the same (chance {chance})."
        )
    return _section(f"Beside {audit.rival}", *said) if said else ""


def _limits(audit: Audit) -> str:
    demo = ""
    if audit.meta["demo"]:
        demo = f"{audit.model} is a demonstration model: it shows how an audit reads, not biology."
    return _section(
        "What this does not say",
        "A probe shows that something can be read, not that the decoder reads it.", demo,
    )  # fmt: skip
