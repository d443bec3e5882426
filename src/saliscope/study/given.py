"""What a study is made from: files in, choice and groups of sites out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saliscope.api.inputs import read_fasta
from saliscope.core.errors import InputError, OptionError
from saliscope.core.textfile import Path_
from saliscope.core.units import FloatArray
from saliscope.models.protein import checked_letters
from saliscope.sites.features import Annotation, Feature
from saliscope.sites.placing import Placed, place
from saliscope.sites.reading import read_features
from saliscope.sites.structure import read_structure
from saliscope.study.attend import AttentionStudy, study_attention
from saliscope.study.choose import BENIGN, PATHOGENIC, Choice, choose_variants
from saliscope.study.clinvar import ClinVarTable, read_clinvar
from saliscope.study.clinvar_vcf import is_vcf, read_clinvar_vcf
from saliscope.study.measured import read_area, read_scores
from saliscope.variants.coding.files import read_transcript
from saliscope.variants.coding.transcript import Transcript

__all__ = ["Given", "read_given", "tp53"]

SAMPLES = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True, eq=False)
class Given:
    """Everything that a study needs but the model; made by `read_given`.

    Parameters
    ----------
    name, sequence : str
    choice : Choice
    groups : mapping of str to tuple of int
        Groups of sites.
    placed : Placed, optional
    area : numpy.ndarray, shape (residues,)
    measured : mapping of str to float, optional
    assay : str
    window : (int, int)
    """

    name: str
    sequence: str = field(repr=False)
    choice: Choice
    groups: Mapping[str, tuple[int, ...]]
    placed: Placed | None = field(repr=False)
    area: FloatArray = field(repr=False)
    measured: Mapping[str, float] | None = field(repr=False)
    assay: str
    window: tuple[int, int]

    def study(self, model: object, *, seed: int = 0) -> AttentionStudy:
        """Run the study with a model; see `study_attention`."""
        return study_attention(
            model, self.sequence, self.choice, self.groups, name=self.name, area=self.area,
            placed=self.placed, measured=self.measured, assay=self.assay, window=self.window,
            seed=seed,
        )  # fmt: skip


def read_given(
    clinvar: Path_, *, protein: Path_ | None = None, features: Path_ | None = None,
    transcript: Path_ | None = None, genome: Path_ | None = None,
    structure: Path_ | None = None, chain: str | None = None, touching: Sequence[str] = (),
    sites: Mapping[str, Sequence[int]] | None = None, area: Path_ | None = None,
    assay: Path_ | None = None, assay_name: str = "", name: str = "", count: int = 5,
    pathogenic: Sequence[str] = PATHOGENIC, benign: Sequence[str] = BENIGN,
) -> Given:  # fmt: skip
    """Read the files of a study and choose its variants.

    Parameters
    ----------
    clinvar : path
        A table (see `read_clinvar`), or ClinVar's VCF, which needs the transcript.
    protein : path, optional
        FASTA with one record; by default of the transcript, or the sequence of `features`.
    features : path, optional
        See `saliscope.sites.read_features`; its sites are groups, by ligand or name.
    transcript, genome : path, optional
        GFF3, GTF (with the FASTA of the genome or of the coding sequence) or GenBank: where the
        gene lies, for a VCF.
    structure : path, optional
        PDB or mmCIF; gives accessibility, contacts and the window.
    chain : str, optional
    touching : sequence of str
        Chains of the structure whose neighbors (under 4 angstrom) are a group of sites.
    sites : mapping of str to sequence of int, optional
        Further groups.
    area : path, optional
        Relative accessibilities, where there is no structure; see `read_area`.
    assay : path, optional
        See `read_scores`.
    assay_name : str
        What was measured; by default the file's name.
    name : str
        Of the gene.
    count : int
        Pairs of variants.
    pathogenic, benign : sequence of str
        Significance, word for word.

    Returns
    -------
    Given

    Raises
    ------
    InputError, OptionError
        One line: what cannot be read, does not fit, or is missing.
    """
    annotation = None if features is None else _annotation(features, name)
    gene = None
    if transcript is not None:
        gene = read_transcript(transcript, sequence=genome, gene=name or None)
    letters = _sequence(protein, features, annotation, gene)
    label = name or (annotation.accession if annotation else "") or "protein"
    placed = None
    if structure is not None:
        placed = place(read_structure(structure, chain), letters, name=label)
    elif touching:
        msg = "chains that are touched need a structure; give one"
        raise OptionError(msg)
    if placed is None and area is None:
        msg = "variants are matched by accessibility: give a structure, or a table of it"
        raise OptionError(msg)
    open_ = read_area(area, letters) if area is not None else None
    if open_ is None:
        assert placed is not None
        open_ = placed.along(placed.structure.area)
    known = np.flatnonzero(np.isfinite(open_)) + 1
    window = placed.span if placed is not None else (int(known[0]), int(known[-1]))
    groups = _groups(annotation, letters, label, window)
    if placed is not None and touching:
        kinds = {o.kind for o in placed.structure.others if o.name in touching}
        alone = len(kinds) == 1 and kinds <= {"DNA", "RNA"}
        word = f"{min(kinds)} contacts" if alone else f"contacts of {', '.join(touching)}"
        groups[word] = placed.flags(placed.structure.near(touching))
    groups |= {word: tuple(places) for word, places in (sites or {}).items()}
    if not groups:
        msg = "no sites: give features with sites, chains that are touched, or positions"
        raise OptionError(msg)
    table = _variants(clinvar, letters, name, gene)
    choice = choose_variants(
        table, open_, within=window, count=count, pathogenic=pathogenic, benign=benign
    )
    measured = None if assay is None else read_scores(assay, letters)
    told = assay_name or ("" if assay is None else os.fspath(Path(assay).name))
    return Given(label, letters, choice, groups, placed, open_, measured, told, window)


def _annotation(features: Path_, name: str) -> Annotation:
    found = read_features(features)
    own = [a for a in found if a.called(name)] if name and len(found) > 1 else found
    if len(own) != 1:
        names = ", ".join(a.accession for a in found[:5])
        msg = f"{features}: is about {len(found)} proteins ({names}); name one, or leave one"
        raise InputError(msg)
    return own[0]


def _variants(clinvar: Path_, letters: str, name: str, gene: Transcript | None) -> ClinVarTable:
    if not is_vcf(clinvar):
        return read_clinvar(clinvar, letters, gene=name)
    if gene is None:
        msg = (
            f"{clinvar}: is a VCF, which names no residues; give the transcript (GenBank, or GFF3 "
            "or GTF with the genome)"
        )
        raise OptionError(msg)
    if gene.protein != letters:
        msg = (
            f"{gene.name} codes for {len(gene.protein):,} residues, which are not the "
            f"{len(letters):,} of the protein given; give the transcript of this isoform"
        )
        raise InputError(msg)
    return read_clinvar_vcf(clinvar, gene)


def _sequence(
    protein: Path_ | None, features: Path_ | None, annotation: Annotation | None,
    gene: Transcript | None,
) -> str:  # fmt: skip
    if protein is not None:
        records = list(read_fasta(protein))
        if len(records) != 1:
            msg = f"{protein}: has {len(records)} records; a study is about one protein"
            raise InputError(msg)
        return checked_letters(str(records[0].raw), records[0].name)
    if gene is not None:
        return gene.protein
    if annotation is None or not annotation.sequence:
        where = f"{features}: has no sequence" if features is not None else "no sequence"
        msg = f"{where}; give the protein in FASTA"
        raise InputError(msg)
    return annotation.sequence


def _groups(
    annotation: Annotation | None, letters: str, label: str, window: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """Return the sites of the file within the window, by ligand, name or kind."""
    if annotation is None:
        return {}
    found: dict[str, set[int]] = {}
    for feature in annotation.on(letters, name=label).features:
        inside = {p for p in feature.positions if window[0] <= p <= window[1]}
        if inside:
            found.setdefault(_called(feature), set()).update(inside)
    return {word: tuple(sorted(places)) for word, places in found.items()}


def _called(feature: Feature) -> str:
    return {"Zn(2+)": "zinc", "Ca(2+)": "calcium", "Mg(2+)": "magnesium"}.get(
        feature.name, feature.name or feature.kind
    )


def tp53() -> Given:
    """Return the study of human p53 that ships in the package: ten variants of the core domain.

    ClinVar substitutions, 1TSR chain B with its DNA, UniProt's zinc sites, and the scores of
    Giacomelli et al. (2018), which are high where p53 has lost its function.

    Examples
    --------
    >>> given = tp53()
    >>> [v.name for v in given.choice.variants][:5]
    ['H193N', 'V147G', 'V173L', 'E285K', 'R181H']
    >>> given.groups["zinc"]
    (176, 179, 238, 242)
    """
    return read_given(
        SAMPLES / "tp53_clinvar.csv.gz", features=SAMPLES / "tp53_features.json",
        structure=SAMPLES / "tp53_1tsr_B.pdb.gz", chain="B", touching=("E", "F"),
        assay=SAMPLES / "tp53_giacomelli.csv.gz", name="TP53",
        assay_name="Giacomelli 2018 score (high: function lost)",
    )  # fmt: skip
