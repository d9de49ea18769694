"""Names of counts of heatmaps that show nothing: constant, zero, or saturated."""

FINDING = "constant_heatmaps"
UNDEFINED = "undefined_heatmaps"
ZERO = "zero_maps"
SATURATED = "saturated_maps"
EXPLAINED = "explained_labels"
"""Number of heatmaps, where a sample can have several; otherwise that of the samples."""
UNALTERED = "unaltered_logits"
