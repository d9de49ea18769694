"""`evaluate`: measure one model, or many, suite by suite."""

from ectool.stages.evaluate.command import run

__all__ = ["run"]
