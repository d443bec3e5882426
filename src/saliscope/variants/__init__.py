"""Variants: what a model says of a person's own proteins, beside a population's.

Needs the extra ``bio`` (``pip install 'saliscope[bio]'``). Names are imported on first use.

>>> from saliscope import variants
>>> "interpret" in dir(variants)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

if TYPE_CHECKING:
    from saliscope.variants.calls.panel import Panel, panel
    from saliscope.variants.calls.person import Person, person
    from saliscope.variants.calls.record import Calls
    from saliscope.variants.calls.samples import SampleTable, read_samples
    from saliscope.variants.calls.vcf import read_calls
    from saliscope.variants.catalog.build import build_catalog
    from saliscope.variants.catalog.catalog import Catalog
    from saliscope.variants.coding.edit import Allele, Edit
    from saliscope.variants.coding.files import read_transcript
    from saliscope.variants.coding.haplotype import Change, Haplotype, haplotype, missense_changes
    from saliscope.variants.coding.naming import parse_coding
    from saliscope.variants.coding.transcript import Transcript
    from saliscope.variants.cohort import CohortResult, Status, compare_cohort, read_status
    from saliscope.variants.effects.control import saliency_control
    from saliscope.variants.effects.gradients import gradients_of
    from saliscope.variants.effects.interpret import interpret
    from saliscope.variants.effects.linkage import panel_linkage
    from saliscope.variants.effects.pairs import compare_pairs
    from saliscope.variants.effects.path import SequencePath, sequence_path, substitution_gradients
    from saliscope.variants.effects.record import (
        BackgroundShift,
        Copy,
        Effect,
        Interpretation,
        Pair,
    )
    from saliscope.variants.effects.reference import ReferenceSet, reference_set
    from saliscope.variants.effects.scoring import Scorer
    from saliscope.variants.population.absence import presence
    from saliscope.variants.population.load import load_population
    from saliscope.variants.population.match import Matched, match
    from saliscope.variants.population.record import Population
    from saliscope.variants.report.cohort_page import cohort_html
    from saliscope.variants.report.figures import background_plot, pair_plot, save_figures
    from saliscope.variants.report.forest import ForestRow, forest
    from saliscope.variants.report.page import report_html
    from saliscope.variants.report.tracks import lollipops
    from saliscope.variants.session import Gene, Inputs, interpret_files, read_inputs
    from saliscope.variants.tables.given import Tables, read_tables

_WHERE = {
    **dict.fromkeys(("Gene", "Inputs", "interpret_files", "read_inputs"), "session"),
    **dict.fromkeys(("Tables", "read_tables"), "tables.given"),
    "read_transcript": "coding.files",
    "Transcript": "coding.transcript",
    **dict.fromkeys(("Allele", "Edit"), "coding.edit"),
    **dict.fromkeys(("Change", "Haplotype", "haplotype", "missense_changes"), "coding.haplotype"),
    "parse_coding": "coding.naming",
    "read_calls": "calls.vcf",
    "Calls": "calls.record",
    **dict.fromkeys(("SampleTable", "read_samples"), "calls.samples"),
    **dict.fromkeys(("Person", "person"), "calls.person"),
    **dict.fromkeys(("Panel", "panel"), "calls.panel"),
    "load_population": "population.load",
    "Population": "population.record",
    **dict.fromkeys(("Matched", "match"), "population.match"),
    "presence": "population.absence",
    "Scorer": "effects.scoring",
    **dict.fromkeys(("ReferenceSet", "reference_set"), "effects.reference"),
    "interpret": "effects.interpret",
    **dict.fromkeys(
        ("BackgroundShift", "Copy", "Effect", "Interpretation", "Pair"), "effects.record"),
    "compare_pairs": "effects.pairs",
    "gradients_of": "effects.gradients",
    **dict.fromkeys(("SequencePath", "sequence_path", "substitution_gradients"), "effects.path"),
    "saliency_control": "effects.control",
    "panel_linkage": "effects.linkage",
    "report_html": "report.page",
    "cohort_html": "report.cohort_page",
    **dict.fromkeys(("background_plot", "pair_plot", "save_figures"), "report.figures"),
    "lollipops": "report.tracks",
    **dict.fromkeys(("ForestRow", "forest"), "report.forest"),
    "build_catalog": "catalog.build",
    "Catalog": "catalog.catalog",
    **dict.fromkeys(("CohortResult", "Status", "compare_cohort", "read_status"), "cohort"),
}  # fmt: skip

__all__ = [
    "Allele", "BackgroundShift", "Calls", "Catalog", "Change", "CohortResult", "Copy", "Edit",
    "Effect", "ForestRow", "Gene", "Haplotype", "Inputs", "Interpretation", "Matched", "Pair",
    "Panel", "Person", "Population", "ReferenceSet", "SampleTable", "Scorer", "SequencePath",
    "Status", "Tables", "Transcript", "background_plot", "build_catalog", "cohort_html",
    "compare_cohort", "compare_pairs", "forest", "gradients_of", "haplotype", "interpret",
    "interpret_files", "load_population", "lollipops", "match", "missense_changes", "pair_plot",
    "panel", "panel_linkage", "parse_coding", "person", "presence", "read_calls", "read_inputs",
    "read_samples", "read_status", "read_tables", "read_transcript", "reference_set", "report_html",
    "saliency_control", "save_figures", "sequence_path", "substitution_gradients",
]  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _WHERE)
