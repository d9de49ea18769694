"""`validity`: a study of the scores that may tell how far a prediction rests on the background."""

from ectool.stages.validity.command import run

__all__ = ["run"]
