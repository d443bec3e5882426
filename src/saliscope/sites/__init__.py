"""Sites and structure: whether a model looks at the residues that matter, and at contacts.

Needs the extra ``bio`` (``pip install 'saliscope[bio]'``). Names are imported on first use.

>>> from saliscope import sites
>>> "scan_sites" in dir(sites)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliscope.core.lazy import lazily

if TYPE_CHECKING:
    from saliscope.sites.alignment import conservation
    from saliscope.sites.branch import along_branch, along_lineage
    from saliscope.sites.coloring import color_structure, structure_scene
    from saliscope.sites.contacts import apc, average_precision, precision_at
    from saliscope.sites.features import SITES, Annotation, Feature, Sites
    from saliscope.sites.heads import ContactScan, scan_contacts
    from saliscope.sites.placing import Placed, place
    from saliscope.sites.reading import read_features
    from saliscope.sites.regression import ContactRegression, fit_contacts
    from saliscope.sites.scan import SiteScan, compare_maps, scan_sites
    from saliscope.sites.structure import Structure, read_structure
    from saliscope.sites.tree import Lineage, read_lineage

_WHERE = {
    **dict.fromkeys(("SITES", "Annotation", "Feature", "Sites"), "features"),
    **dict.fromkeys(("along_branch", "along_lineage"), "branch"),
    **dict.fromkeys(("Lineage", "read_lineage"), "tree"),
    "conservation": "alignment",
    "read_features": "reading",
    **dict.fromkeys(("SiteScan", "compare_maps", "scan_sites"), "scan"),
    **dict.fromkeys(("Structure", "read_structure"), "structure"),
    **dict.fromkeys(("Placed", "place"), "placing"),
    **dict.fromkeys(("apc", "average_precision", "precision_at"), "contacts"),
    **dict.fromkeys(("ContactScan", "scan_contacts"), "heads"),
    **dict.fromkeys(("ContactRegression", "fit_contacts"), "regression"),
    **dict.fromkeys(("color_structure", "structure_scene"), "coloring"),
}

__all__ = [
    "SITES", "Annotation", "ContactRegression", "ContactScan", "Feature", "Lineage", "Placed",
    "SiteScan", "Sites", "Structure", "along_branch", "along_lineage", "apc", "average_precision",
    "color_structure", "compare_maps", "conservation", "fit_contacts", "place", "precision_at",
    "read_features", "read_lineage", "read_structure", "scan_contacts", "scan_sites",
    "structure_scene",
]  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _WHERE)
