"""The result of an interpretation: plain numbers and names, which every report is made from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliscope.core.record import plain, write_beside

if TYPE_CHECKING:
    import pandas as pd

    from saliscope.variants.effects.control import SaliencyControl
    from saliscope.variants.effects.linkage import PanelLinkage
    from saliscope.variants.statistics.reference import Standing

__all__ = ["BackgroundShift", "Copy", "Effect", "Interpretation", "Pair"]


@dataclass(frozen=True)
class BackgroundShift:
    """What a change does on one protein background of a population.

    Parameters
    ----------
    label : str
        "with p.Ala154Thr", or "reference".
    shift : float
        With the change minus without it, in units of the score.
    counts : mapping of str to int
        Chromosomes by group that have this background (with the change, where it is carried).
    own : bool
        Whether it is the subject's own background.
    cosine, ratio : float, optional
        Direction and length of this shift of the embedding, compared with the subject's own:
        cosine of the angle, and subject's length over this one's.
    """

    label: str
    shift: float
    counts: Mapping[str, int]
    own: bool = False
    cosine: float | None = None
    ratio: float | None = None

    @property
    def total(self) -> int:
        """Chromosomes of all groups."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Effect:
    """What the model says of one change on one of the subject's copies.

    Parameters
    ----------
    copy : int
        Which haplotype, from 1.
    coding, protein, short, kind : str
        HGVS names, one word, and the kind of change (see `Change`).
    position : int
        First residue changed, from 1.
    residues : tuple of str
        Residues replaced, and what stands in their place.
    ids : tuple of str
        rs numbers.
    partners : tuple of str
        Other changes of the protein on the same copy.
    status : {"assessed", "length changes", "not assessed"}
    note : str
        Why it is not assessed, or what its length change does.
    last_out, first_in : float, optional
        Shift on the subject's own copy (with minus without), and alone on the reference.
    span : tuple of float, optional
        Smallest and largest last-out over all phasings that are possible.
    windows : float, optional
        How much windows disagree, for a protein longer than the model's input.
    below_noise : bool
        Whether the last-out is below the numeric noise floor.
    standing, observed : Standing, optional
        Where first-in stands among all missense changes, and among those seen in the population.
    backgrounds : tuple of BackgroundShift
    source : str
        Where backgrounds are from: "carriers observed", "implanted on the panel", "expected from
        frequencies" or "reference only".
    spread : str
        What is said of how backgrounds differ.
    carriers, called : mapping of str to int
        People of the panel who carry it, and of whom it is known; by group.
    presence : str
        What the population says of it, in one sentence.
    gradient : float, optional
        First-order prediction of taking it out, to compare with minus last-out.
    agreement, agreement_text : str
        Class of the saliency check, and its sentence.
    path : float, optional
        Integrated gradients from the reference to this copy, summed over its residues.
    reading : str
        One sentence: what may be read from this.
    """

    copy: int
    coding: str
    protein: str
    short: str
    kind: str
    position: int
    residues: tuple[str, str]
    ids: tuple[str, ...]
    partners: tuple[str, ...]
    status: str
    note: str = ""
    last_out: float | None = None
    first_in: float | None = None
    span: tuple[float, float] | None = None
    windows: float | None = None
    below_noise: bool = False
    standing: Standing | None = None
    observed: Standing | None = None
    backgrounds: tuple[BackgroundShift, ...] = ()
    source: str = ""
    spread: str = ""
    carriers: Mapping[str, int] = field(default_factory=dict)
    called: Mapping[str, int] = field(default_factory=dict)
    presence: str = ""
    gradient: float | None = None
    agreement: str = ""
    agreement_text: str = ""
    path: float | None = None
    reading: str = ""
    assay: str = ""
    assay_source: str = ""


@dataclass(frozen=True)
class Pair:
    """A model interaction: the second difference of two changes on one copy.

    Parameters
    ----------
    copy : int
    first, second : str
        Short names.
    on_reference, on_own : float
        s(ij) - s(i) - s(j) + s(none) on the reference, and on the subject's other changes.
    additive, together : float
        Sum of the two first-in shifts, and the shift of both together, on the reference.
    firsts : tuple of float
        The two first-in shifts.
    matches : int
        Matched pairs of the null; see `saliscope.variants.statistics.interactions`.
    p, q, p_ranked : float, optional
        Against the null, corrected over the pairs tested, and after a rank transform of the
        score; None with fewer than 200 matches.
    null : tuple of float
        Interactions of the matched pairs.
    text : str
    """

    copy: int
    first: str
    second: str
    on_reference: float
    on_own: float
    additive: float
    together: float
    firsts: tuple[float, float]
    matches: int = 0
    p: float | None = None
    q: float | None = None
    p_ranked: float | None = None
    null: tuple[float, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Copy:
    """One of the subject's haplotypes.

    Parameters
    ----------
    label : str
        HGVS of the protein, or "reference".
    residues : int
        Length of its protein.
    shift : float, optional
        Score against the reference protein (equal lengths).
    shift_frequent : float, optional
        Score against the most frequent haplotype of the group.
    shapley : mapping of str to float
        Shapley value of each change on the reference (up to 12 changes).
    path_gap, path_error : float, optional
        Completeness gap and estimated error of the path from the reference.
    support : int, optional
        Chromosomes of the panel with the same protein, the subject left out.
    incomplete : bool
        Whether a genotype on it is missing and was taken as the genome's base.
    star, function : str
        Its star-allele name and the function catalogued for that, from a table that was given.
    """

    label: str
    residues: int
    shift: float | None = None
    shift_frequent: float | None = None
    shapley: Mapping[str, float] = field(default_factory=dict)
    path_gap: float | None = None
    path_error: float | None = None
    support: int | None = None
    incomplete: bool = False
    star: str = ""
    function: str = ""


@dataclass(frozen=True)
class Interpretation:
    """Everything that a report says of one person and one gene.

    Parameters
    ----------
    sample, gene, transcript, build : str
    protein_length : int
    phase : str
        See `Person`.
    configurations : tuple of mapping
        Every phasing considered: labels of the haplotypes, weight, panel support.
    copies : tuple of Copy
    effects : tuple of Effect
    pairs : tuple of Pair
    reference_set : tuple of float
        First-in shifts of all single-nucleotide missense changes; empty where no change of the
        person can be compared with them.
    by_position : tuple of (int, float)
        Residue and shift of each of them, for the band of a figure.
    frequent : str
        The most frequent haplotype of the group, with its counts, in words.
    group : str
        Group that "most frequent" refers to; empty for the whole panel.
    noise : float
        Numeric noise floor, in units of the score.
    readout : str
    clustering : str
        Whether large gradients cluster around the variant sites.
    population, missing, not_assessed, notes : tuple of str
        What the population is; genotypes not called; alleles carried and not read; what else a
        reader must know.
    model, settings, versions : mapping
    linkage : PanelLinkage, optional
        Linkage of the panel's coding variants; None without a panel.
    control : SaliencyControl, optional
        Gradients against ablations over the reference set, beside those of randomized weights.
    """

    sample: str
    gene: str
    transcript: str
    build: str
    protein_length: int
    phase: str
    configurations: tuple[Mapping[str, Any], ...]
    copies: tuple[Copy, ...]
    effects: tuple[Effect, ...]
    pairs: tuple[Pair, ...]
    reference_set: tuple[float, ...]
    by_position: tuple[tuple[int, float], ...]
    frequent: str
    group: str
    noise: float
    readout: str
    clustering: str
    population: tuple[str, ...]
    missing: tuple[str, ...]
    not_assessed: tuple[str, ...]
    notes: tuple[str, ...]
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    linkage: PanelLinkage | None = None
    control: SaliencyControl | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found: dict[str, Any] = plain(dataclasses.asdict(self))
        return found

    def to_json(self, path: str | Path) -> None:
        """Write everything to a JSON file."""
        write_beside(path, (json.dumps(self.to_dict(), indent=1) + "\n").encode())

    def _rows(self) -> Iterator[dict[str, Any]]:
        for effect in self.effects:
            standing = effect.standing
            row: dict[str, Any] = {
                "copy": effect.copy, "coding": effect.coding, "protein": effect.protein,
                "kind": effect.kind, "ids": ";".join(effect.ids),
                "in_cis_with": ";".join(effect.partners), "status": effect.status,
                "last_out": effect.last_out, "first_in": effect.first_in,
                "last_out_least": effect.span[0] if effect.span else None,
                "last_out_most": effect.span[1] if effect.span else None,
                "sigma": standing.sigma if standing else None,
                "quantile": standing.quantile if standing else None,
                "quantile_low": standing.low if standing else None,
                "quantile_high": standing.high if standing else None,
                "compared_with": standing.n if standing else None,
                "backgrounds": len(effect.backgrounds), "background_source": effect.source,
                "gradient": effect.gradient, "saliency_check": effect.agreement,
                "path_attribution": effect.path,
            }  # fmt: skip
            row |= {f"carriers_{group}": n for group, n in effect.carriers.items()}
            yield row | {"presence": effect.presence, "reading": effect.reading or effect.note}

    def to_frame(self) -> pd.DataFrame:
        """Return one row per change and copy."""
        import pandas as pd

        return pd.DataFrame(list(self._rows()))

    def to_csv(self, path: str | Path) -> None:
        """Write `to_frame` to a CSV file."""
        write_beside(path, self.to_frame().to_csv(index=False).encode())
