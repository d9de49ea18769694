"""Localization suite: overlap of heatmaps with the annotated objects."""
