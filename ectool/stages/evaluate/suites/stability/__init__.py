"""Stability suite: change of heatmaps under attacks, noise and compression."""
