"""`adopt`: a network of another program, with its checkpoint, as a model artifact."""

from ectool.stages.adopt.command import run

__all__ = ["run"]
