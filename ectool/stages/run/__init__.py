"""`run`: a whole experiment in one process."""

from ectool.stages.run.command import run

__all__ = ["run"]
