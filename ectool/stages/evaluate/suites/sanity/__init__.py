"""Sanity suite: similarity of heatmaps before and after randomising the weights."""
