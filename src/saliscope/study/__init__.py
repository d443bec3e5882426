"""The attention study: a protein and its variants, layer by layer, beside sites and structure.

Needs the extra ``bio`` (``pip install 'saliscope[bio]'``). Names are imported on first use.

>>> from saliscope import study
>>> "study_attention" in dir(study)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

if TYPE_CHECKING:
    from saliscope.study.attend import AttentionStudy, study_attention
    from saliscope.study.changes import figures_of
    from saliscope.study.choose import Choice, Chosen, choose_variants
    from saliscope.study.clinvar import ClinVarTable, Missense, read_clinvar
    from saliscope.study.clinvar_vcf import read_clinvar_vcf
    from saliscope.study.given import Given, read_given, tp53
    from saliscope.study.measured import read_area, read_scores
    from saliscope.study.page import study_html

_WHERE = {
    **dict.fromkeys(("AttentionStudy", "study_attention"), "attend"),
    "figures_of": "changes",
    **dict.fromkeys(("Choice", "Chosen", "choose_variants"), "choose"),
    **dict.fromkeys(("ClinVarTable", "Missense", "read_clinvar"), "clinvar"),
    "read_clinvar_vcf": "clinvar_vcf",
    **dict.fromkeys(("read_area", "read_scores"), "measured"),
    "study_html": "page",
    **dict.fromkeys(("Given", "read_given", "tp53"), "given"),
}

__all__ = [
    "AttentionStudy", "Choice", "Chosen", "ClinVarTable", "Given", "Missense", "choose_variants",
    "figures_of", "read_area", "read_clinvar", "read_clinvar_vcf", "read_given",
    "read_scores", "study_attention", "study_html", "tp53",
]  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _WHERE)
