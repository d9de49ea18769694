"""Faithfulness suite: change of the prediction when the pixels that heatmaps show are hidden."""
