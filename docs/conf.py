"""Sphinx settings."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

# The models of the package are local: nothing is looked up anywhere while the notebook runs.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for extensions of our own

import saliscope

project = "Saliscope"
author = "The Saliscope authors"
copyright = "The Saliscope authors"
release = version = saliscope.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "_math",
]
html_math_renderer = "svg"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Saliscope"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
default_role = "code"

autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "auto"  # a cache would not see that the package changed
nb_execution_timeout = 300
nb_execution_raise_on_error = True


def _bars(_app, _what, _name, _object, _options, lines):
    """Keep |x|, the size of x, from being read as a substitution."""
    lines[:] = [re.sub(r"(?<!\\)\|([^|`]+)\|", r"\\|\1\\|", line) for line in lines]


def setup(app):
    """Connect what Sphinx calls."""
    app.connect("autodoc-process-docstring", _bars, priority=900)
