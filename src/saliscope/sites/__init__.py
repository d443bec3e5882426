"""Sites and structure: whether a model looks at the residues that matter, and at contacts.

Needs the extra ``bio`` (``pip install 'saliscope[bio]'``). Names are imported on first use.

>>> from saliscope import sites
>>> "scan_sites" in dir(sites)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saliscope.sites.alignment import conservation
    from saliscope.sites.coloring import color_structure, structure_scene
    from saliscope.sites.contacts import apc, average_precision, precision_at
    from saliscope.sites.features import SITES, Annotation, Feature, Sites
    from saliscope.sites.heads import ContactScan, scan_contacts
    from saliscope.sites.placing import Placed, place
    from saliscope.sites.reading import read_features
    from saliscope.sites.regression import ContactRegression, fit_contacts
    from saliscope.sites.scan import SiteScan, compare_maps, scan_sites
    from saliscope.sites.structure import Structure, read_structure

_WHERE = {
    **dict.fromkeys(("SITES", "Annotation", "Feature", "Sites"), "features"),
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
    "SITES", "Annotation", "ContactRegression", "ContactScan", "Feature", "Placed", "SiteScan",
    "Sites", "Structure", "apc", "average_precision", "color_structure", "compare_maps",
    "conservation", "fit_contacts", "place", "precision_at", "read_features", "read_structure",
    "scan_contacts", "scan_sites", "structure_scene",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _WHERE:
        msg = f"module 'saliscope.sites' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"saliscope.sites.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
