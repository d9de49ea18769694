"""Explanation consistency: similarity of heatmaps, stability of predictions, sample weights."""
