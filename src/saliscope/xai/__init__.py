"""Attention overlays and saliency maps of pictures, by the names that vision toolkits use.

Thin faces over `saliscope.explain` and `saliscope.show`: arrays in, arrays out.

>>> from saliscope.xai import SaliencyConfig
>>> SaliencyConfig(method="integrated", num_steps=50).method
'integrated'
"""

from __future__ import annotations

from saliscope.xai.attention_maps import AttentionVisualizer
from saliscope.xai.saliency import SaliencyConfig, SaliencyGenerator

__all__ = ["AttentionVisualizer", "SaliencyConfig", "SaliencyGenerator"]
