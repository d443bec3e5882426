"""What the commands of `saliscope sites` do: files in, files out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from saliscope.api.inputs import read_fasta
from saliscope.attention.map import AttentionMap
from saliscope.cli.common import Folder, say, warn
from saliscope.core.attribution import Attribution
from saliscope.core.errors import InputError, OptionError, SaliscopeError
from saliscope.core.files import write_beside
from saliscope.models.loading import load
from saliscope.models.protein import checked_letters
from saliscope.show.files import save_figure
from saliscope.show.report import html
from saliscope.sites.alignment import conservation
from saliscope.sites.branch import along_lineage
from saliscope.sites.coloring import color_structure, structure_scene
from saliscope.sites.features import Annotation, Sites
from saliscope.sites.heads import scan_contacts
from saliscope.sites.placing import Placed, place
from saliscope.sites.reading import read_features
from saliscope.sites.regression import fit_contacts
from saliscope.sites.scan import scan_sites
from saliscope.sites.structure import is_mmcif, read_structure
from saliscope.sites.tree import read_lineage
from saliscope.study.attend import AttentionStudy
from saliscope.study.changes import figures_of
from saliscope.study.choose import BENIGN, PATHOGENIC
from saliscope.study.given import read_given, tp53
from saliscope.study.page import study_html

__all__ = ["color", "contacts", "lineage", "scan", "study"]


def _table(folder: Path, name: str, frame: pd.DataFrame) -> None:
    write_beside(folder / name, frame.to_csv(index=False, lineterminator="\n").encode())


def scan(
    fasta: str, features: Sequence[str], out: str, *, kinds: list[str] | None,
    alignment: str | None, draws: int, model: str, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Test every head on the proteins of a FASTA file that have features."""
    known = [a for path in features for a in read_features(path)]
    records = list(read_fasta(fasta))
    given, silent = [], []
    for record in records:
        own = _annotation(record.name, known, alone=len(records) == 1)
        if own is None:
            silent.append(record.name)
            continue
        letters = checked_letters(str(record.raw), f"{fasta}, {record.name}")
        given.append(own.on(letters, name=record.name, kinds=kinds))
    if not given:
        names = ", ".join(a.accession or "without a name" for a in known[:5])
        msg = f"{fasta}: none of its records is named as in the features ({names}); rename one"
        raise InputError(msg)
    rivals = None
    if alignment is not None:
        if len(given) != 1:
            msg = f"--alignment is of one protein; {len(given)} have features"
            raise OptionError(msg)
        rivals = {"conservation": [conservation(alignment, given[0].sequence)]}
    with Folder(out) as folder:
        found = scan_sites(load(model), given, rivals=rivals, draws=draws, seed=seed)
        _table(folder.path, "sites.csv", found.maps)
        _table(folder.path, "proteins.csv", found.proteins)
        _table(folder.path, "rivals.csv", found.rivals)
        if silent:
            warn(f"{len(silent)} of {len(records)} records have no features: {silent[0]}, ...")
        say(repr(found), quiet=quiet)
        print(folder.path / "sites.csv")


def _annotation(name: str, known: Sequence[Annotation], *, alone: bool) -> Annotation | None:
    called = [a for a in known if a.called(name)]
    if len(called) > 1:
        msg = f"{name}: has features in {called[0].path} and {called[1].path}; give one file"
        raise InputError(msg)
    if called:
        return called[0]
    return known[0] if alone and len(known) == 1 else None


def contacts(
    structures: Sequence[str], out: str, *, cutoff: float, model: str, seed: int, quiet: bool
) -> None:
    """Compare heads with the contacts of structures; with several, fit and hold out."""
    placed = [_placed(text) for text in structures]
    with Folder(out) as folder:
        adapter = load(model)
        found = scan_contacts(adapter, placed, cutoff=cutoff, seed=seed)
        _table(folder.path, "heads.csv", found.heads)
        _table(folder.path, "proteins.csv", found.proteins)
        say(repr(found), quiet=quiet)
        if len(placed) > 1:
            fit = fit_contacts(adapter, placed, cutoff=cutoff, seed=seed)
            _table(folder.path, "regression.csv", fit.proteins)
            _table(folder.path, "weights.csv", fit.weights)
            for _, row in fit.proteins.iterrows():
                say(
                    f"  held out     {row['protein']}: long range P@L {row['long P@L']:.3f}, "
                    f"best head of the others {row['best head long P@L']:.3f}",
                    quiet=quiet,
                )
        print(folder.path / "heads.csv")


def lineage(
    tree: str, sequences: Sequence[str], tip: str, out: str, *, number: int, method: str,
    target: str | None, layer: int, model: str, quiet: bool,
) -> None:  # fmt: skip
    """Write what changes at every substitution on the way to a tip."""
    way = read_lineage(tree, sequences, tip, number=number)
    with Folder(out) as folder:
        found = along_lineage(load(model), way, method=method, target=target, layer=layer)
        _table(folder.path, "substitutions.csv", found)
        for note in way.notes:
            say(f"  note         {note}", quiet=quiet)
        say(
            f"  {len(found)} substitutions on {len(way.names) - 1} branches; {method} for "
            f"{found.attrs['target']}",
            quiet=quiet,
        )
        for branch in dict.fromkeys(found["branch"]):
            own = found[found["branch"] == branch]
            at = {k: int(own[f"{k}_change"].abs().to_numpy().argmax())
                  for k in ("attribution", "attention")}  # fmt: skip
            most, looked = own.iloc[at["attribution"]], own.iloc[at["attention"]]
            say(
                f"  branch {branch:<5} {most['from']} to {most['to']}: {len(own)}; attribution "
                f"changes most at {most['substitution']} ({most['attribution_change']:+.3f}), "
                f"attention at {looked['substitution']} ({looked['attention_change']:+.2f})",
                quiet=quiet,
            )
        print(folder.path / "substitutions.csv")


def _placed(text: str) -> Placed:
    path, _, chain = text.rpartition(":")
    if not path or Path(text).exists():
        path, chain = text, ""
    structure = read_structure(path, chain or None)
    return place(structure, structure.letters)


def color(
    record: str, structure: str, chain: str | None, out: str, *, layer: int, features: str | None,
    quiet: bool,
) -> None:  # fmt: skip
    """Write a structure colored by a saved record, and a page with it."""
    found = _loaded(record, layer)
    letters = "".join(map(str, found.data["residue"].to_numpy())) if (
        "residue" in found.data.coords
    ) else ""  # fmt: skip
    if not letters:
        msg = f"{record}: is not along the residues of a protein; give a record of a protein model"
        raise InputError(msg)
    placed = place(read_structure(structure, chain), letters, name=found.name or record)
    marked: dict[str, Sequence[int]] = {}
    if features is not None:
        sites: Sites = read_features(features)[0].on(letters, name=found.name)
        marked["sites"] = sites.positions
    with Folder(out) as folder:
        stem = Path(record).stem
        target = folder.path / f"{stem}{'.cif' if is_mmcif(structure) else '.pdb'}"
        made = color_structure(placed, found, target)
        scene = structure_scene(placed, found, marked=marked)
        page = html([found], title=f"{found.name} on {Path(structure).name}", scenes=[scene])
        write_beside(folder.path / "report.html", page.encode())
        say(
            f"{made.residues} residues by {placed.how} ({placed.identity:.0%} equal); a value "
            f"times {made.factor:.6g} is its B-factor",
            quiet=quiet,
        )
        print(target)


def _loaded(record: str, layer: int) -> Attribution:
    if not Path(record).exists():
        msg = f"{record}: there is no such file"
        raise InputError(msg)
    try:
        return Attribution.load(record)
    except SaliscopeError as error:
        try:
            return AttentionMap.load(record).received(layer=layer)
        except InputError:
            raise error from None


def study(
    out: str, *, clinvar: str | None, transcript: str | None, genome: str | None,
    protein: str | None, features: str | None, structure: str | None, chain: str | None,
    touching: str | None, sites: Sequence[str], area: str | None, assay: str | None, name: str,
    pairs: int, pathogenic: list[str] | None, benign: list[str] | None, model: str, seed: int,
    quiet: bool,
) -> None:  # fmt: skip
    """Run the attention study and write everything about it."""
    if clinvar is None:
        others = (
            transcript,
            genome,
            protein,
            features,
            structure,
            area,
            assay,
            chain,
            touching,
            pathogenic,
            benign,
        )
        if any(others) or sites or pairs != 5:
            msg = "these options are about a study of your own; give --clinvar too"
            raise OptionError(msg)
        given = tp53()
    else:
        given = read_given(
            clinvar, transcript=transcript, genome=genome, protein=protein, features=features,
            structure=structure, chain=chain,
            touching=[t for t in (touching or "").split(",") if t],
            sites=dict(_numbers(text) for text in sites), area=area, assay=assay, name=name,
            count=pairs, pathogenic=pathogenic or PATHOGENIC, benign=benign or BENIGN,
        )  # fmt: skip
    with Folder(out) as folder:
        found = given.study(load(model), seed=seed)
        _write_study(found, folder.path)
        for note in found.notes:
            say(f"  note         {note}", quiet=quiet)
        print(folder.path / "report.html")


def _write_study(found: AttentionStudy, folder: Path) -> None:
    figures = figures_of(found)
    (folder / "figures").mkdir(exist_ok=True)
    for name, (figure, _) in figures.items():
        save_figure(figure, folder / "figures" / f"{name}.png")
    _table(folder, "variants.csv", found.variant_frame())
    _table(folder, "received.csv", found.received_frame())
    _table(folder, "moved.csv", found.moved_frame())
    _table(folder, "heads.csv", found.head_frame())
    if found.contacts is not None:
        _table(folder, "contacts.csv", found.contacts.heads)
    if found.placed is not None:
        ending = ".cif" if is_mmcif(found.placed.structure.path) else ".pdb"
        structures = folder / "structures"
        structures.mkdir(exist_ok=True)
        color_structure(found.placed, found.received[0].mean(0), structures / f"reference{ending}")
        for number, one in enumerate(found.variants):
            color_structure(
                found.placed, found.difference[number].mean(0),
                structures / f"{one.name}_minus_reference{ending}",
            )  # fmt: skip
    study_html(found, folder / "report.html", figures=figures)


def _numbers(text: str) -> tuple[str, tuple[int, ...]]:
    """Return a name and residue numbers.

    Examples
    --------
    >>> _numbers("zinc=176,179")
    ('zinc', (176, 179))
    """
    name, equals, numbers = text.partition("=")
    parts = [part.strip() for part in numbers.split(",")]
    if not (name.strip() and equals and all(part.isdigit() for part in parts)):
        msg = f"--site {text!r} is not understood; write a name and residues: zinc=176,179"
        raise OptionError(msg)
    return name.strip(), tuple(map(int, parts))
