"""What the tests of the report share: interpretations made by hand, with real counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from saliscope.variants.effects.control import SaliencyControl
from saliscope.variants.effects.linkage import LinkedPair, PanelLinkage
from saliscope.variants.effects.record import BackgroundShift, Copy, Effect, Interpretation, Pair
from saliscope.variants.statistics.agreement import CLASSES, Concordance
from saliscope.variants.statistics.linkage import LinkageCorrelation, linkage
from saliscope.variants.statistics.reference import Standing, stand

GROUPS = ("EUR", "EAS", "AMR", "SAS", "AFR")
# TPMT from NCBI, its 245 residues: only where changes stand matters here.
LENGTH = 245

_rng = np.random.default_rng(3)
BY_POSITION = tuple(
    (int(p), float(s))
    for p, s in zip(
        np.sort(np.tile(np.arange(2, LENGTH), 6))[:1441],
        -(_rng.gamma(2.0, 1.1, 1441)) * (1 + 0.6 * np.sin(np.arange(1441) / 55)) + 0.7,
        strict=True,
    )
)
SHIFTS = tuple(s for _, s in BY_POSITION)
NULL = tuple(float(x) for x in _rng.standard_t(4, 1000) * 0.27)


def counts(*numbers: int) -> dict[str, int]:
    return dict(zip(GROUPS, numbers, strict=True))


ALONE, WITH = counts(1, 22, 11, 13, 84), counts(28, 0, 27, 4, 4)
PEOPLE = counts(29, 22, 37, 17, 82)
CALLED = counts(503, 504, 346, 489, 661)
STANDING = stand(-0.88, SHIFTS)


def y240c(copy: int, partners: tuple[str, ...], last_out: float) -> Effect:
    own = bool(partners)
    return Effect(
        copy=copy, coding="c.719A>G", protein="p.Tyr240Cys", short="Y240C", kind="missense",
        position=240, residues=("Y", "C"), ids=("rs1142345",), partners=partners,
        status="assessed", last_out=last_out, first_in=-0.88, standing=STANDING,
        observed=Standing(None, 0.35, 0.12, 0.65, 14, -0.7, 0.4),
        backgrounds=(
            BackgroundShift("reference", -0.88, ALONE, not own, *((0.97, 1.43) if own else (1, 1))),
            BackgroundShift("with p.Ala154Thr", -1.26, WITH, own, *((1, 1) if own else (0.9, 0.7))),
        ),
        source="carriers observed",
        spread="194 haplotypes, 2 backgrounds: -0.88 reference (131), -1.26 with p.Ala154Thr (63)",
        carriers=PEOPLE, called=CALLED, presence="seen in the panel: 194 of 5,006 chromosomes",
        gradient=0.94, agreement="agree",
        agreement_text=f"{CLASSES['agree']} (magnitude of the gradient: quantile 0.71, of the "
        "ablation: quantile 0.60)",
        path=-1.05,
        reading="no background dependence beyond this model's usual (q 0.24); groups differ only "
        "in how often each background occurs",
    )  # fmt: skip


A154T = Effect(
    copy=1, coding="c.460G>A", protein="p.Ala154Thr", short="A154T", kind="missense", position=154,
    residues=("A", "T"), ids=("rs1800460",), partners=("p.Tyr240Cys",), status="assessed",
    last_out=-2.31, first_in=-1.93, standing=stand(-1.93, SHIFTS),
    backgrounds=(BackgroundShift("with p.Tyr240Cys", -2.31, WITH, True, 1.0, 1.0),),
    source="carriers observed",
    spread="one background: -2.31 (63 haplotypes)", carriers=counts(28, 0, 27, 4, 4),
    called=CALLED, presence="seen in the panel: 63 of 5,006 chromosomes", gradient=-0.1,
    agreement="saturated", agreement_text=f"{CLASSES['saturated']} (magnitude of the gradient: "
    "quantile 0.11, of the ablation: quantile 0.66)",
    path=-2.11, reading="one background: background dependence cannot be assessed",
)  # fmt: skip

SYNONYMOUS = Effect(
    copy=2, coding="c.474T>C", protein="p.Ile158=", short="Ile158=", kind="synonymous",
    position=158, residues=("I", "I"), ids=("rs2842934",), partners=("p.Tyr240Cys",),
    status="not assessed",
    note="not assessed: the protein is unchanged, and splicing and expression are not looked at",
    carriers=counts(150, 200, 110, 180, 300), called=CALLED,
    presence="seen in the panel: 1,204 of 5,006 chromosomes",
)  # fmt: skip

PAIR = Pair(
    copy=1, first="A154T", second="Y240C", on_reference=-0.38, on_own=-0.38, additive=-2.81,
    together=-3.19, firsts=(-1.93, -0.88), matches=1000, p=0.12, q=0.24, p_ranked=0.31, null=NULL,
    text="model interaction -0.38, rank 0.12 among 1,000 matched pairs (q 0.24): not unusual for "
    "this model",
)  # fmt: skip

# A154T and Y240C in the panel without HG01183: haplotypes with both, the first, the second, all.
LINKED = LinkedPair(
    "A154T", "Y240C", "one copy", linkage(63, 63, 194, 5006),
    {"EUR": linkage(28, 28, 29, 1006), "EAS": linkage(0, 0, 22, 1008),
     "AMR": linkage(27, 27, 38, 692), "SAS": linkage(4, 4, 17, 978),
     "AFR": linkage(4, 4, 88, 1322)}, 0.43,
)  # fmt: skip
LINKAGE = PanelLinkage(
    (LINKED, LinkedPair("Q179H", "Y240C", "", linkage(0, 37, 194, 5006))), 6,
    LinkageCorrelation(10, 5, 0.53, None, 0),
    LinkageCorrelation(10, 5, 0.53, None, 0).text,
)  # fmt: skip
CONTROL = SaliencyControl(
    Concordance(1441, 0.5, 0.79, 345, 0.79),
    (Concordance(1441, 0.19, 0.69, 369, 0.5),),
    "over 1,441 missense changes, each put into the reference, gradient and ablation have a rank "
    "correlation of +0.50; of the 345 that are loud in both, 79 % agree in sign, where 79 % would "
    "by chance, so that an equal sign alone says little. Control: gradients of 5 copies of the "
    "model with randomized weights, against the ablation of the trained model, have -0.06 to +0.19 "
    "(mean +0.01; chance is 0). No randomized copy ranks the changes as well: that comes from "
    "trained weights",
)

HG01183 = Interpretation(
    sample="HG01183", gene="TPMT", transcript="NM_000367.5", build="GRCh37",
    protein_length=LENGTH, phase="phased",
    configurations=(
        {"haplotypes": ["p.[Ala154Thr;Tyr240Cys]", "p.Tyr240Cys"], "weight": 1.0,
         "support": [63, 131]},
    ),
    copies=(
        Copy("p.[Ala154Thr;Tyr240Cys]", LENGTH, -3.19, -3.19, {"A154T": -2.12, "Y240C": -1.07},
             0.004, 0.006, 63),
        Copy("p.Tyr240Cys", LENGTH, -0.88, -0.88, {}, -0.002, 0.004, 131),
    ),
    effects=(A154T, y240c(1, ("p.Ala154Thr",), -1.26), SYNONYMOUS, y240c(2, (), -0.88)),
    pairs=(PAIR,), reference_set=SHIFTS, by_position=BY_POSITION,
    frequent="reference (644 of 692 haplotypes of AMR)", group="AMR", noise=3.1e-6,
    readout="pseudo-log-likelihood ratio of one unmasked pass",
    clustering="saliency within 3 codons of 2 variant sites averages 0.82, elsewhere 0.61; not "
    "clearly higher than at other placements of the same sites (p 0.21, 244 circular shifts)",
    population=("phased panel of 2,503 people in 5 groups", "HG01183 is left out of every count; "
                "the sample table does not tell relatives"),
    missing=(), not_assessed=("c.340-12T>C: outside of the coding sequence",),
    notes=("c.474: the transcript has T, the genome C; alleles are placed as called",),
    model={"name": "zoo:protein", "class": "EsmForMaskedLM", "modality": "protein",
           "parameters": 1_280_000, "dtype": "float32", "device": "cpu",
           "weights": "9f2c51d04bb0a1e7"},
    settings={"readout": "likelihood", "null_pairs": 1000, "seed": 0},
    versions={"saliscope": "0.3.0", "torch": "2.4.0"}, linkage=LINKAGE, control=CONTROL,
)  # fmt: skip

DOMAINS = ((29, 41, "SAM binding"), (69, 90, "SAM binding"), (134, 152, "substrate"))
STRUCTURE = ((18, 30, "helix"), (40, 48, "helix"), (62, 66, "strand"), (86, 91, "strand"),
             (141, 146, "beta strand"), (205, 217, "helix"))  # fmt: skip
STARS = {
    "p.[Ala154Thr;Tyr240Cys]": ("*3A", "No Function"), "p.Tyr240Cys": ("*3C", "No Function"),
}  # fmt: skip
ASSAYS = {"Y240C": (0.41, "abundance, VAMP-seq, Matreyek 2018"), "A154T": (0.36, "VAMP-seq")}

FRAMESHIFT = Effect(
    copy=1, coding="c.290del", protein="p.Arg97ProfsTer23", short="Arg97ProfsTer23",
    kind="frameshift", position=97, residues=("RLTEVLAKYPGQ" * 12, "PLQRCWPSTQVNLHKERTAGVM"),
    ids=(), partners=("p.Ala80Pro",), status="length changes",
    note="length changes, score not comparable: from residue 97 on another frame is read, for 22 "
    "residues; 149 residues are lost (245 residues before, 118 after)",
    carriers=counts(0, 0, 0, 0, 0), called=CALLED,
    presence="not seen in the panel among 5,008 chromosomes: its frequency is below 0.0006 (95 % "
    "upper bound)",
)  # fmt: skip

IMPLANTED = replace(
    A154T, copy=1, coding="c.238G>C", protein="p.Ala80Pro", short="A80P", position=80,
    ids=("rs1800462",), partners=(), last_out=-4.8, first_in=-4.8, standing=stand(-4.8, SHIFTS),
    span=(-5.2, -4.8), source="implanted on the panel", carriers=counts(0, 0, 0, 0, 0),
    backgrounds=tuple(
        BackgroundShift(f"with p.Val{10 + k}Ala" if k else "reference", -4.8 + 0.11 * k,
                        counts(900 // (k + 1) ** 3, 700 // (k + 1) ** 3, 3 * k, 1, 400 // (k + 1)),
                        k == 0, 0.9, 1.1)
        for k in range(9)
    ),
    spread="4,211 haplotypes, 9 backgrounds (effective 1.9): mean -4.7, SD 0.12 between "
    "backgrounds, from -4.80 to -3.92",
    presence="not seen in the panel among 5,008 chromosomes: its frequency is below 0.0006 (95 % "
    "upper bound)",
    reading="backgrounds differ by 0.88; not tested: too few matched pairs", below_noise=False,
    windows=0.031, agreement="silent in both",
    agreement_text=CLASSES["silent in both"],
)  # fmt: skip

UNPHASED = replace(
    HG01183, sample="NA00001", phase="unphased",
    configurations=(
        {"haplotypes": ["p.[Ala80Pro;Arg97ProfsTer23]", "p.Tyr240Cys"], "weight": 0.5,
         "support": None},
        {"haplotypes": ["p.Ala80Pro", "p.[Arg97ProfsTer23;Tyr240Cys]"], "weight": 0.25,
         "support": None},
        {"haplotypes": ["p.[Ala80Pro;Tyr240Cys]", "p.Arg97ProfsTer23"], "weight": 0.25,
         "support": None},
    ),
    copies=(
        Copy("p.[Ala80Pro;Arg97ProfsTer23]", 118, incomplete=True),
        Copy("p.Tyr240Cys", LENGTH, -0.88, -0.88, {}, -0.002, 0.004),
    ),
    effects=(IMPLANTED, FRAMESHIFT,
             replace(y240c(2, (), -0.88), backgrounds=(), source="reference only", carriers={},
                     called={}, presence="", observed=None, spread="", span=(-1.26, -0.88),
                     reading="no background: background dependence cannot be assessed")),
    pairs=(replace(PAIR, matches=140, p=None, q=None, p_ranked=None, null=(),
                   first="A80P", second="Y240C",
                   text="model interaction -0.38, no p: 140 matched pairs where 200 are needed"),),
    missing=("c.474", "c.719 (one copy)"),
    notes=(*HG01183.notes, "phase is not given: 3 phasings are considered"),
)  # fmt: skip

REFERENCE = replace(
    HG01183, sample="HG00096", phase="homozygous", effects=(), pairs=(), clustering="",
    configurations=({"haplotypes": ["reference", "reference"], "weight": 1.0, "support": None},),
    copies=(Copy("reference", LENGTH, 0.0), Copy("reference", LENGTH, 0.0)), frequent="",
    population=("no population was given: nothing is compared with carriers",),
    model={"name": "facebook/esm2_t33_650M_UR50D", "weights": "abc"}, linkage=None, control=None,
)  # fmt: skip

EVERY = (HG01183, UNPHASED, REFERENCE)
