"""`train`: learn with sample weights, from the start or from the middle of a schedule."""

from ectool.stages.train.command import run

__all__ = ["run"]
