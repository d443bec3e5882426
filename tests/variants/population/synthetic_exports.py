"""Browser exports that no real file stands for: true headers of their time, made-up rows.

Every file says so in its name. The counts are such that groups add up to totals.
"""

from __future__ import annotations

from pathlib import Path

KINDS = ("Allele Count", "Allele Number", "Homozygote Count", "Hemizygote Count")
_TOTAL = "Allele Count,Allele Number,Allele Frequency,Homozygote Count,Hemizygote Count"
_PLACE = "Chromosome,Position,{rs},Reference,Alternate,Source,Filters - exomes,Filters - genomes"
_A = f"{_PLACE},Consequence,Protein Consequence,Transcript Consequence,Annotation,Flags,{_TOTAL}"
_B = (
    f"{_PLACE},HGVS Consequence,Protein Consequence,Transcript Consequence,VEP Annotation,"
    f"ClinVar Clinical Significance,Flags,{_TOTAL}"
)
_D = _B.replace("Significance,", "Significance,ClinVar Variation ID,")
_E = _D.replace("HGVS Consequence", "Transcript,HGVS Consequence")
_SCORES = "cadd,revel_max,spliceai_ds_max,pangolin_largest_ds,phylop,sift_max,polyphen_max"
_FAF = "GroupMax FAF group,GroupMax FAF frequency"
_G = f"gnomAD ID,{_E},{_FAF},{_SCORES}"
_H = f"gnomAD ID,{_E},Filters - joint,{_FAF},{_SCORES}"
_NON_UKB = f"gnomAD ID,{_E},Filters - exome,{_FAF.replace('Group', 'Exome Group')},{_SCORES}"
_V2_NOW = (
    f"gnomAD ID,{_E},Exome GroupMax FAF group,Exome GroupMax FAF frequency,"
    "Genome GroupMax FAF group,Genome GroupMax FAF frequency"
)
_I = _H.replace("ClinVar Clinical Significance", "ClinVar Germline Classification")

_OLD = "African|Latino|Ashkenazi Jewish|East Asian|European (Finnish)|European (non-Finnish)|Other"
_OLD_V2 = f"{_OLD}|South Asian"
_OLD_V3 = _OLD_V2.replace("African|", "African|Amish|")
_NEW_V2 = _OLD_V2.replace("African|Latino", "African/African American|Latino/Admixed American")
_V31 = (
    "Other|Latino/Admixed American|European (Finnish)|Amish|East Asian|Middle Eastern|"
    "African/African American|South Asian|Ashkenazi Jewish|European (non-Finnish)"
)
_V4 = (
    "African/African American|Admixed American|Ashkenazi Jewish|East Asian|European (Finnish)|"
    "Middle Eastern|European (non-Finnish)|Amish|South Asian|Remaining"
)
_V2_F = (
    "African/African American|{amr}|Ashkenazi Jewish|East Asian|European (Finnish)|"
    "European (non-Finnish)|Remaining|South Asian"
)

# era: (version in the file's name, fixed columns, group headings, name of the rs column)
ERAS = {
    "A_v2": ("2.1.1", _A, _OLD_V2, "rsID"),
    "A_v3": ("3", _A, _OLD_V3, "rsID"),
    "B_v2": ("2.1.1", _B, _NEW_V2, "rsID"),
    "C_v2": ("2.1.1", _B, _NEW_V2, "rsIDs"),
    "D_v3.1": ("3.1.1", _D, _V31, "rsIDs"),
    "E_v3.1.2": ("3.1.2", _E, _V31, "rsIDs"),
    "F_v4": ("4.0.0", _E, _V4, "rsIDs"),
    "G_v4": ("4.0.0", _G, _V4, "rsIDs"),
    "H_v4.1": ("4.1.0", _H, _V4, "rsIDs"),
    "H_non_UKB": ("4.1.0_(non-UKB)", _NON_UKB, _V4, "rsIDs"),
    "I_v4.1": ("4.1.0", _I, _V4, "rsIDs"),
    "now_v2": ("2.1.1", _V2_NOW, _V2_F.format(amr="Admixed American"), "rsIDs"),
}
BAD_F = ("2.1.1", _E, _V2_F.format(amr="African/African American"), "rsIDs")
"""November 2023 to February 2024: African twice."""

# (allele count, allele number, homozygotes, hemizygotes) of any group, by how its heading begins
COUNTS = {
    "African": (3, 800, 1, 0), "Latino": (1, 600, 0, 0), "Admixed": (1, 600, 0, 0),
    "Ashkenazi": (0, 200, 0, 0), "East Asian": (0, 300, 0, 0), "European (F": (2, 400, 0, 0),
    "European (n": (5, 5000, 2, 0), "Other": (1, 100, 0, 0), "Remaining": (1, 100, 0, 0),
    "South": (0, 700, 0, 0), "Amish": (0, 90, 0, 0), "Middle": (1, 50, 0, 0),
}  # fmt: skip


def names_of(era: tuple[str, str, str, str]) -> list[str]:
    _, fixed, groups, rs = era
    heads = [f"{kind} {group}" for group in groups.split("|") for kind in KINDS]
    return [*fixed.format(rs=rs).split(","), *heads]


def row_of(
    era: tuple[str, str, str, str], *, position: int = 43045629, blank: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return one row: 17-43045629-A-G, BRCA1 p.Tyr1863His; `blank` groups have empty cells."""
    _, fixed, groups, rs = era
    named = {
        group: next(c for start, c in COUNTS.items() if group.startswith(start))
        for group in dict.fromkeys(groups.split("|"))
    }
    counted = [counts for group, counts in named.items() if group not in blank]
    total = [sum(counts[i] for counts in counted) for i in range(4)]
    row = dict.fromkeys(fixed.format(rs=rs).split(","), "")
    row |= {"Chromosome": "17", "Position": str(position), rs: "rs1", "Reference": "A"}
    row |= {"Alternate": "G", "Source": "gnomAD Exomes,gnomAD Genomes"}
    if era[0].startswith("3"):
        row["Source"] = "gnomAD Genomes"
    row |= {"Filters - exomes": "NA" if era[0].startswith("3") else "PASS"}
    row |= {"Filters - genomes": "PASS", "Protein Consequence": "p.Tyr1863His"}
    row |= {"Transcript Consequence": "c.5587T>C"}
    for name, value in (
        ("Transcript", "ENST00000357654.9"), ("Filters - joint", "PASS"),
        ("Filters - exome", "PASS"), ("Annotation", "missense_variant"),
        ("VEP Annotation", "missense_variant"), ("cadd", "29.9"), ("revel_max", "0.917"),
        ("spliceai_ds_max", "0.4321"), ("pangolin_largest_ds", "0.1234"), ("phylop", "7.77"),
        ("sift_max", "0.0271"), ("polyphen_max", "0.9871"),
    ):  # fmt: skip
        if name in row:
            row[name] = value
    row |= dict(zip(KINDS, map(str, total), strict=True))
    row["Allele Frequency"] = repr(total[0] / total[1])
    for group, counts in named.items():
        for kind, value in zip(KINDS, counts, strict=True):
            row[f"{kind} {group}"] = "" if group in blank else str(value)
    return row


def text_of(names: list[str], rows: list[dict[str, str]], *, end: str = "\r\n") -> str:
    def quoted(cell: str) -> str:
        return f'"{cell}"' if "," in cell else cell

    lines = [",".join(names), *(",".join(quoted(row[n]) for n in names) for row in rows)]
    return end.join(lines) + end


def write(folder: Path, era: str, *, text: str | None = None) -> Path:
    own = ERAS[era]
    path = folder / f"synthetic_gnomAD_v{own[0]}_ENSG00000012048_era_{era}.csv"
    body = text_of(names_of(own), [row_of(own)]) if text is None else text
    path.write_text(body, encoding="utf-8", newline="")
    return path
