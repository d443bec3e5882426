"""The page of the attention study: rule, variants, structure, figures, tables, limits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from saliscope.core.files import write_beside
from saliscope.core.units import FloatArray
from saliscope.show.files import inline_svg
from saliscope.show.report import Table, environment, source
from saliscope.show.scene import Scene, scene_data
from saliscope.show.style import number, visible
from saliscope.show.wording import ALWAYS
from saliscope.sites.coloring import structure_scene
from saliscope.study.attend import AttentionStudy
from saliscope.study.changes import figures_of

__all__ = ["study_html", "study_scenes"]

_LIMITS = (
    "Attention is where a layer's numbers come from, not what the output depends on; a head can "
    "look at a residue and use nothing of it",
    "A head that looks at cysteines looks at zinc sites; read figure 4 and the q among equal "
    "residues before saying that it knows the site",
    "Differences between a variant and the reference are exact for this model; that they "
    "differ between the two classes is not shown by a handful of variants",
    "The class is ClinVar's, whose evidence can include the same assays and predictors",
    "Not assessed: other transcripts, other conformations, other models, other training runs",
)


def study_html(
    study: AttentionStudy, path: str | os.PathLike[str], *,
    figures: Mapping[str, tuple[Figure, str]] | None = None,
) -> Path:  # fmt: skip
    """Write the study as one page that needs nothing else: it opens offline.

    Parameters
    ----------
    study : AttentionStudy
    path : path-like
    figures : mapping of str to (Figure, str), optional
        From `figures_of`, where they are drawn already.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        The file cannot be written.
    """
    drawn = figures if figures is not None else figures_of(study)
    scenes = [scene_data(scene) for scene in study_scenes(study)]
    demo = [note for note in study.notes if study.demo and note.startswith(study.model)]
    notes = [note for note in study.notes if note not in demo]
    first, last = study.window
    page = environment().get_template("study.html.j2").render(
        title=visible(f"Attention in {study.name} and {len(study.variants)} of its variants"),
        lead=visible(
            f"Model: {study.model}, {study.layers} layers, all heads. Protein: "
            f"{len(study.sequence):,} residues; pictures show {first} to {last}. Special tokens "
            "are left out of queries and keys."
        ),
        css=f"{source('report.css')}\n{source('scene.css')}", script=source("scene.js"),
        always=ALWAYS, demo=[visible(line) for line in demo], rule=visible(study.choice.rule),
        variants=_variants(study), variants_note=_variants_note(study), scenes=scenes,
        figures=[
            (name, inline_svg(figure, visible(caption)), visible(caption))
            for name, (figure, caption) in drawn.items()
        ],
        tables=[*_heads(study), *_contacts(study)],
        limits=[visible(line) for line in (*_LIMITS, *notes)],
    )  # fmt: skip
    return write_beside(path, (visible(page).strip() + "\n").encode())


def study_scenes(study: AttentionStudy) -> list[Scene]:
    """Return the reference's attention on the structure, and the variant that changes most."""
    if study.placed is None:
        return []
    size = len(study.sequence)
    marked = {**study.groups, "variants": tuple(v.variant.position for v in study.variants)}
    received = study.received[0].mean(0).astype(np.float64) * size
    most = int(np.argmax(study.moved.mean(1)))
    one = study.variants[most]
    change: FloatArray = study.difference[most].mean(0).astype(np.float64) * size
    unit = "times the mean residue's share, mean over layers"
    own = {**study.groups, one.name: (one.variant.position,)}
    return [
        structure_scene(
            study.placed, received, title="Attention received in the reference", marked=marked,
            unit=unit, signed=False, caption=_told(study),
        ),
        structure_scene(
            study.placed, change, title=f"{one.name} minus the reference", marked=own, unit=unit,
            signed=True,
            top=float(np.quantile(np.abs(change[study.part]), 0.97)),
            caption=f"The {one.label} variant that moves most attention.",
        ),
    ]  # fmt: skip


def _told(study: AttentionStudy) -> str:
    assert study.placed is not None
    chain = study.placed.structure
    text = f"{Path(chain.path).name}, chain {chain.chain}, alpha carbons"
    others = [o.name for o in chain.others]
    return f"{text}; also {', '.join(others)}." if others else f"{text}."


def _variants(study: AttentionStudy) -> Table:
    rows = [
        [
            v.name, v.variant.coding, v.label, str(v.pair), number(v.area),
            "not in this export" if v.variant.stars is None else str(v.variant.stars),
            number(study.measured[i]), number(study.ratio[i], sign=True),
            f"{study.moved[i].mean():.2%}",
        ]
        for i, v in enumerate(study.variants)
    ]  # fmt: skip
    head = ["Variant", "Coding", "Class", "Pair", "Accessibility", "Stars",
            "Measured", "log ratio", "Attention moved"]  # fmt: skip
    caption = "The variants, what was measured of them, and what the model does"
    return Table(caption, head, rows, [3, 4, 6, 7, 8])


def _variants_note(study: AttentionStudy) -> str:
    words = {
        label: ", ".join(
            sorted({v.variant.significance for v in study.variants if v.label == label})
        )
        for label in ("pathogenic", "benign")
    }
    told = f"Measured: {study.assay}; an en dash where it was not. " if study.assay else ""
    return (
        "Accessibility: relative to the largest of the residue's type, of the chain alone. "
        f"{told}log ratio: log P(variant) − log P(reference) with the residue masked, in nats. "
        "Attention moved: share of a row's attention that goes to other keys, mean over queries, "
        f"heads and layers. Significance: {words['pathogenic']}; {words['benign']}."
    )


def _heads(study: AttentionStudy) -> list[Table]:
    found = []
    for name, scan in study.scans.items():
        best = scan.top(5)
        rows = [
            [f"layer {int(r['layer'])}, head {int(r['head'])}", *_cells(r)]
            for _, r in best.iterrows()
        ]
        rows += [
            [str(r["rival"]), "–", number(r["auroc"]), number(r["p_shift"]), "–",
             number(_known(r["p_matched"])), "–"]
            for _, r in scan.rivals.iterrows()
        ]  # fmt: skip
        head = ["Head, or rival", "Enrichment", "AUROC", "p, shifts", "q, shifts",
                "p, same residues", "q, same residues"]  # fmt: skip
        places = ", ".join(map(str, study.groups[name]))
        caption = f"{name}: the five heads of the smallest p, and the rivals (residues {places})"
        found.append(Table(caption, head, rows, list(range(1, 7))))
    return found


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _cells(row: pd.Series) -> list[str]:
    columns: Sequence[str] = (
        "enrichment", "auroc", "p_shift", "q_shift", "p_matched", "q_matched"
    )  # fmt: skip
    return [number(_known(row[c])) for c in columns]


def _contacts(study: AttentionStudy) -> list[Table]:
    if study.contacts is None:
        return []
    words = ("short", "medium", "long")
    rows = [
        [f"layer {int(r['layer'])}, head {int(r['head'])}",
         *(number(r[f"{w} P@L{part}"]) for w in words for part in ("", "/5"))]
        for _, r in study.contacts.top(5).iterrows()
    ]  # fmt: skip
    chance = [number(study.contacts.chance[w].iloc[0]) for w in words]
    rows.append(["by chance", *(c for c in chance for _ in range(2))])
    head = ["Head", *(f"{w} P@L{part}" for w in words for part in ("", "/5"))]
    caption = "Contacts: the five heads of the highest precision at long range"
    return [Table(caption, head, rows, list(range(1, 7)))]
