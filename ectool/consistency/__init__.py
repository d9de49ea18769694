"""Explanation consistency: how stably heatmap and prediction survive, and the weights it gives."""
