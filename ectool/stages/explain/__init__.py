"""`explain`: heatmaps of a whole data set, or of both images of every perturbed pair."""

from ectool.stages.explain.command import run

__all__ = ["run"]
