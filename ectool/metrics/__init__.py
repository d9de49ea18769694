"""Metrics of predictions and heatmaps, one value per sample, and their intervals; numpy only."""
