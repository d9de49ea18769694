"""`perturb`: semantic-preserved adversarial samples, in which only the background changes."""

from ectool.stages.perturb.command import run

__all__ = ["run"]
