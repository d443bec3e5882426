"""`audit`: what goes through a bottleneck, what stays behind, and compared with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saliscope.api.inputs import Input
from saliscope.bottleneck.alike import Rival, agreement, similarity
from saliscope.bottleneck.cut import Cut, cut_of
from saliscope.bottleneck.feeding import Feed
from saliscope.bottleneck.missense import drawn_variants, follow, noise_of, read_variants
from saliscope.bottleneck.probes import PROBES, Setting
from saliscope.bottleneck.rebuilding import beyond, groups_of, rebuild
from saliscope.bottleneck.record import Audit
from saliscope.bottleneck.representing import Scan, protein_views, read_off, residue_views, whole
from saliscope.bottleneck.slots import (
    attention_table,
    kept_table,
    looked_at,
    rank_table,
    slot_table,
)
from saliscope.bottleneck.tasks import AMINO, Task, families_of, own_tasks
from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.units import FloatArray
from saliscope.models.protein import checked_letters
from saliscope.sites.placing import Placed

__all__ = ["audit"]

_LOOKED = 12  # inputs whose attention is looked at
_MOVED = 12  # proteins that are changed to see what moves the bottleneck

Say = Callable[[str], None]


def audit(
    model: object, inputs: Sequence[Any], *, encoder: str | None = None,
    bottleneck: str | None = None, decoder: str | None = None,
    feed: Callable[[Any], Feed] | None = None, alone: bool = True, tasks: Sequence[Task] = (),
    families: Sequence[int] | None = None, rival: object = "zoo:protein",
    variants: int | Sequence[str] = 24, scans: Sequence[Scan] = (),
    structures: Sequence[Placed] = (), longer: Sequence[str] = (),
    probes: Sequence[str] = PROBES, folds: int = 5, dimension: int | None = None, seed: int = 0,
    say: Say | None = None,
) -> Audit:  # fmt: skip
    """Audit the bottleneck of an encoder-decoder.

    Every claim stands beside what would make it empty: probes beside control tasks and other
    representations of equal dimension, rebuilt sequences beside wrong bottlenecks, changes beside
    numeric noise, alignment and agreement beside chance.

    Parameters
    ----------
    model : object
        Anything that `saliscope.load` takes.
    inputs : sequence
        Proteins (strings, or `saliscope.Input` with names); texts or pictures of lines for models
        of those, of which probes, variants and what needs a rival are left out.
    encoder, bottleneck, decoder, feed, alone
        How the model is cut, where its family is not known; see `cut_of`.
    tasks : sequence of Task
        Labels of these inputs; composition, length and residues are asked about always.
    families : sequence of int, optional
        Of each input; by default those that share words (`families_of`).
    rival : object
        A protein language model to compare with, or None.
    variants : int or sequence of str
        Missense variants to follow: so many by chance, or "E7V", "HBB:E7V".
    scans : sequence of Scan
        Measured effects of variants, asked about as a task of their own each.
    structures : sequence of Placed
        Proteins of known structure (`saliscope.sites.place`): contacts, with families held out.
    longer : sequence of str
        Proteins beyond the limit of the model, only rebuilt.
    probes : sequence of {"linear", "nonlinear"}
        Empty for none; they need scikit-learn.
    folds : int
        Parts that families are dealt to.
    dimension : int, optional
        To which every representation is cut; by default the numbers of a slot.
    seed : int
    say : callable, optional
        Is told what is done.

    Returns
    -------
    Audit

    Raises
    ------
    OptionError
        A part that does not exist (the nearest is named), an option out of range.
    InputError
        Too few inputs, labels that do not fit, a variant that does not fit its protein.

    Examples
    --------
    >>> from saliscope import bottleneck
    >>> found = bottleneck.audit("zoo:bottleneck", ["MVHLTPEEKSAVTALWGKV", "MKTAYIAKQRQISFVKSHF"],
    ...                          rival=None, probes=(), variants=["1:E7V"])
    >>> found.keeps, found["variants"]["written"].tolist()
    ('both', ['variant'])
    """
    tell = say or _silent
    for word in probes:
        if word not in PROBES:
            msg = f"probes: {word!r} does not exist: {nearest(word, PROBES)}"
            raise OptionError(msg)
    if folds < 2 or (dimension is not None and dimension < 1):
        msg = f"folds={folds} must be at least 2, and dimension={dimension} at least 1"
        raise OptionError(msg)
    cut = cut_of(
        model, encoder=encoder, bottleneck=bottleneck, decoder=decoder, feed=feed, alone=alone
    )
    named = _named(cut, inputs)
    for task in tasks:
        if len(task.values) != len(named):
            msg = f"task {task.name}: has {len(task.values)} proteins, and {len(named)} are given"
            raise InputError(msg)
    if families is not None and len(families) != len(named):
        msg = f"{len(families)} families are given for {len(named)} inputs"
        raise InputError(msg)
    return _Run(
        cut, named, list(tasks), families, rival if cut.letters else None, seed, tell
    ).audit(
        variants, scans, structures, longer,
        Setting(dimension or 0, tuple(probes), folds, seed),
    )  # fmt: skip


def _silent(_text: str) -> None:
    return None


def _named(cut: Cut, inputs: Sequence[Any]) -> list[Input]:
    if isinstance(inputs, str) or len(inputs) < 2:
        msg = "a bottleneck is audited on several inputs; give a list of at least two"
        raise InputError(msg)
    found = []
    for number, raw in enumerate(inputs, 1):
        one = raw if isinstance(raw, Input) else Input(str(number), raw)
        if cut.letters and isinstance(one.raw, str):
            letters = checked_letters(one.raw, one.name)
            if cut.limit is not None and len(letters) > cut.limit:
                msg = (
                    f"{one.name}: has {len(letters):,} residues; {cut.name} was made for at most "
                    f"{cut.limit:,}; give it as longer= to see what happens"
                )
                raise InputError(msg)
            one = Input(one.name, letters)
        found.append(one)
    return found


class _Run:
    """The steps of one audit, and what they share."""

    def __init__(
        self, cut: Cut, inputs: list[Input], tasks: list[Task], families: Sequence[int] | None,
        rival: object, seed: int, tell: Say,
    ) -> None:  # fmt: skip
        self.cut, self.inputs, self.tasks, self.tell, self.seed = cut, inputs, tasks, tell, seed
        self.raws = [one.raw for one in inputs]
        texts = [str(raw) for raw in self.raws]
        letters = cut.letters
        self.families = (
            list(families) if families is not None
            else families_of(texts) if letters else list(range(len(inputs)))
        )  # fmt: skip
        self.rival = Rival(rival) if rival is not None else None
        self.notes: list[str] = []
        self.tables: dict[str, pd.DataFrame] = {}

    def audit(
        self, variants: int | Sequence[str], scans: Sequence[Scan], structures: Sequence[Placed],
        longer: Sequence[str], setting: Setting,
    ) -> Audit:  # fmt: skip
        cut, tell = self.cut, self.tell
        tell(f"{len(self.raws)} inputs through {cut.bottleneck} of {cut.name}")
        self.pressed = [cut.press(raw) for raw in self.raws]
        numbers = self.pressed[0].numbers
        self.fixed = all(p.numbers.shape == numbers.shape for p in self.pressed)
        noise = noise_of(cut, self.raws, self.pressed)
        looked = looked_at(cut, self.raws[:_LOOKED])
        self._add("attention", attention_table(looked))
        self._add("slots", slot_table(looked))
        tell("rebuilding")
        self._rebuilt(longer)
        if cut.letters:
            count = min(_MOVED, len(self.raws))
            self._add("kept", kept_table(cut, self.raws[:count], self.pressed[:count], noise,
                                         self.seed))  # fmt: skip
            tell("following variants")
            self._variants(variants, noise)
            tell("reading representations")
            self._compared()
        self._ranks()
        width = numbers.shape[1]
        dimension = setting.dimension or self._dimension(width)
        setting = Setting(dimension, setting.kinds, setting.folds, setting.seed)
        if cut.letters and setting.kinds:
            self._probed(setting, scans, structures)
        meta = {
            "inputs": len(self.raws), "families": len(set(self.families)),
            "residues": sum(len(str(r)) for r in self.raws) if cut.letters else 0,
            "slots": len(numbers) if self.fixed else "as many as places", "width": width,
            "noise": noise, "dimension": dimension, "seed": self.seed, "alone": cut.alone,
            "limit": cut.limit, "longer": len(longer), "demo": cut.name.startswith("zoo:"),
            "folds": setting.folds,
        }  # fmt: skip
        if not cut.alone:
            self.notes.append(
                "the decoder is shown what stands before each place, so what it writes is not "
                "from the bottleneck alone; compare with the wrong bottlenecks"
            )
        parts = {"encoder": cut.encoder, "bottleneck": cut.bottleneck, "decoder": cut.decoder}
        rival = "" if self.rival is None else self.rival.name
        return Audit(cut.name, rival, parts, self.tables, meta, tuple(self.notes))

    def _add(self, name: str, table: pd.DataFrame) -> None:
        if not table.empty:
            self.tables[name] = table

    def _dimension(self, width: int) -> int:
        flat = self.pressed[0].numbers.size if self.fixed else width
        sizes = [max(width, min(flat, 40)) if width < 8 else width]
        if self.rival is not None:
            sizes.append(self.last[0].shape[1])
        return max(1, min(sizes))

    # -- rebuilding and variants ---------------------------------------------------------------

    def _rebuilt(self, longer: Sequence[str]) -> None:
        found = rebuild(self.cut, self.raws, self.pressed, self.seed)
        if found is None:
            self.notes.append("the model writes no logits, so nothing is rebuilt")
            return
        groups = groups_of(self.raws, found.said, self.tasks, letters=self.cut.letters)
        table = found.table(groups, self.families, self.seed)
        if longer and self.cut.letters and self.cut.limit is not None:
            raws = [checked_letters(r, "a longer protein") for r in longer]
            pressed = [self.cut.press(raw) for raw in raws]
            more = rebuild(self.cut, raws, pressed, self.seed)
            assert more is not None
            far = more.table(beyond(more.said, self.cut.limit), families_of(raws), self.seed)
            table = pd.concat([table, far], ignore_index=True)
        self._add("rebuilt", table)

    def _variants(self, given: int | Sequence[str], noise: float) -> None:
        chosen = (
            drawn_variants(self.raws, given, self.seed) if isinstance(given, int)
            else read_variants(given, self.inputs)
        )  # fmt: skip
        self.variants = chosen
        if chosen and self.pressed[0].written is not None:
            found = follow(self.cut, self.inputs, self.pressed, chosen, self.families, noise)
            self._add("variants", found)

    # -- representations -----------------------------------------------------------------------

    def _compared(self) -> None:
        cut, rival = self.cut, self.rival
        self.reads = [cut.read(r, p) for r, p in zip(self.raws, self.pressed, strict=True)]
        if any(r is None for r in self.reads):
            self.notes.append(
                "what each place reads from the bottleneck cannot be said (no cross-attention that "
                "can be read), so residues are not asked about"
            )
        self.last: list[FloatArray] = []
        if rival is None:
            return
        layers = [rival.layers(raw) for raw in self.raws]
        self.last = [own[-1] for own in layers]
        parts: dict[str, list[FloatArray]] = {}
        if all(len(p.states) == len(r) for p, r in zip(self.pressed, self.raws, strict=True)):
            parts["encoder"] = [p.states for p in self.pressed]
        known = [r for r in self.reads if r is not None and len(r)]
        if len(known) == len(self.raws):
            parts["bottleneck, as read"] = known
        if parts:
            self._add("similarity", similarity(parts, layers, seed=self.seed))
        names = [one.name for one in self.inputs]
        agree, beside = agreement(cut, rival, self.raws, names, self.variants)
        self._add("agreement", agree)
        self._add("beside", beside)

    def _ranks(self) -> None:
        named: dict[str, FloatArray] = {}
        if self.fixed:
            named["bottleneck, whole"] = np.stack([p.numbers.ravel() for p in self.pressed])
        named["bottleneck, slots"] = np.concatenate([p.numbers for p in self.pressed])
        named["encoder, mean over places"] = np.stack([p.states.mean(0) for p in self.pressed])
        if self.cut.letters and self.rival is not None:
            named[f"{self.rival.name}, mean over places"] = np.stack([x.mean(0) for x in self.last])
        self._add("rank", rank_table(named))

    # -- probes --------------------------------------------------------------------------------

    def _probed(
        self, setting: Setting, scans: Sequence[Scan], structures: Sequence[Placed]
    ) -> None:
        rows: list[dict[str, Any]] = []
        for task in [*self.tasks, *own_tasks(self.inputs)]:
            self.tell(f"probing {task.name}")
            views = self._of_residues() if task.level == "residue" else self._of_proteins(task)
            rows += read_off(task, views, self.families, self.raws, setting, self.notes)
        for scan in scans:
            self.tell(f"probing effects in {scan.name}")
            rows += self._scanned(scan, setting)
        if structures:
            self.tell("probing contacts")
            rows += self._contacts(structures, setting)
        self._add("probes", pd.DataFrame(rows))

    def _of_residues(self) -> dict[str, Sequence[FloatArray | None]]:
        return residue_views(
            self.raws, self.pressed, self.reads, self.last, self._rival_name, alone=self.cut.alone
        )

    @property
    def _rival_name(self) -> str:
        return "" if self.rival is None else self.rival.name

    def _of_proteins(self, task: Task) -> dict[str, Sequence[FloatArray | None]]:
        return protein_views(
            self.raws, self.pressed, self.last, self._rival_name, fixed=self.fixed, task=task.name
        )

    def _scanned(self, scan: Scan, setting: Setting) -> list[dict[str, Any]]:
        """Ask for measured effects, with positions of the protein as families."""
        cut, rival = self.cut, self.rival
        letters = checked_letters(scan.sequence, scan.name)
        variants = read_variants(list(scan.effects), [Input(scan.name, letters)])
        own = cut.press(letters)
        theirs = rival.layers(letters)[-1].mean(0) if rival is not None else None
        moved: dict[str, list[FloatArray]] = {"bottleneck": [], "encoder, mean over places": []}
        if rival is not None:
            moved[f"{rival.name}, mean over places"] = []
        moved["reference and variant residue"] = []
        for one in variants:
            changed = one.of(letters)
            found = cut.press(changed)
            moved["bottleneck"].append(
                whole(found, fixed=self.fixed) - whole(own, fixed=self.fixed)
            )
            moved["encoder, mean over places"].append(found.states.mean(0) - own.states.mean(0))
            if rival is not None and theirs is not None:
                there = rival.layers(changed)[-1].mean(0)
                moved[f"{rival.name}, mean over places"].append(there - theirs)
            hot = np.zeros(2 * len(AMINO))
            hot[AMINO.index(one.ref)], hot[len(AMINO) + AMINO.index(one.alt)] = 1.0, 1.0
            moved["reference and variant residue"].append(hot)
        effects = tuple(np.array([float(v)]) for v in scan.effects.values())
        task = Task(f"effect of variants, {scan.name}", "protein", "number", effects)
        places = [one.position for one in variants]
        sequences = [letters] * len(variants)
        return read_off(task, moved, places, sequences, setting, self.notes)

    def _contacts(self, structures: Sequence[Placed], setting: Setting) -> list[dict[str, Any]]:
        cut, rival = self.cut, self.rival
        chosen = [s for s in structures if cut.limit is None or len(s.sequence) <= cut.limit]
        for one in structures:
            if one not in chosen:
                self.notes.append(f"{one.structure.path}: is longer than {cut.limit}; left out")
        raws = [one.sequence for one in chosen]
        families = families_of(raws)
        if len(set(families)) < 3:
            self.notes.append("contacts need structures of three families; left out")
            return []
        pressed = [cut.press(raw) for raw in raws]
        reads = [cut.read(r, p) for r, p in zip(raws, pressed, strict=True)]
        last = [rival.layers(raw)[-1] for raw in raws] if rival is not None else []
        values: list[FloatArray | None] = []
        for one in chosen:
            full = np.full((len(one.sequence), len(one.sequence)), np.nan)
            full[np.ix_(one.columns, one.columns)] = one.contacts()
            values.append(full)
        task = Task("contacts", "pair", "class", tuple(values))
        folds = min(setting.folds, len(set(families)))
        few = Setting(setting.dimension, setting.kinds, folds, setting.seed)
        views = residue_views(raws, pressed, reads, last, self._rival_name, alone=cut.alone)
        return read_off(task, views, families, raws, few, self.notes)
