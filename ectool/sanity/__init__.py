"""Sanity checks of heatmaps: networks with some randomised weights, to compare heatmaps with.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", https://arxiv.org/abs/1810.03292. Blocks of
layers (:func:`find_blocks`) get untrained weights (:func:`draw_weights`) in a copy of the
classifier that shares all other weights with it (:func:`with_weights`).
"""

from __future__ import annotations

from ectool.sanity.blocks import Block, find_blocks
from ectool.sanity.randomization import Weights, draw_weights, with_weights

__all__ = ["Block", "Weights", "draw_weights", "find_blocks", "with_weights"]
