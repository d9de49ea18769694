"""Classifiers: make, load, save, and find the layer heatmaps are drawn from."""
