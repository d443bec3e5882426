"""Sphinx settings."""

from __future__ import annotations

import os

# The models of the package are local: nothing is looked up anywhere while the notebook runs.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

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
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Saliscope"
html_static_path = ["_static"]
default_role = "code"

autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
