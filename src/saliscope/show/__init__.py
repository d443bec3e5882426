"""Pictures and the report: drawn from results alone, without the model.

`plot` draws a record with matplotlib, `html` writes one self-contained page about many records,
`notebook` is what a notebook shows.
"""

from __future__ import annotations

from saliscope.show.alignment import alignment
from saliscope.show.bars import word_bars
from saliscope.show.characters import character_grid, line_characters, mistake_crops, mistakes
from saliscope.show.choose import plot
from saliscope.show.files import save_figure
from saliscope.show.heatmaps import layer_position, position_position
from saliscope.show.interactions import pairs
from saliscope.show.lines import Glyph, Line, character_maps, line_of
from saliscope.show.matrix import line_matrix
from saliscope.show.notebook import notebook
from saliscope.show.pictures import image_map, overlay
from saliscope.show.report import html
from saliscope.show.residues import residue_track
from saliscope.show.tensors import tensor_plot
from saliscope.show.text import colored_text

__all__ = [
    "Glyph",
    "Line",
    "alignment",
    "character_grid",
    "character_maps",
    "colored_text",
    "html",
    "image_map",
    "layer_position",
    "line_characters",
    "line_matrix",
    "line_of",
    "mistake_crops",
    "mistakes",
    "notebook",
    "overlay",
    "pairs",
    "plot",
    "position_position",
    "residue_track",
    "save_figure",
    "tensor_plot",
    "word_bars",
]
