"""`--dry-run`: parts of a command, and their estimated time; nothing is written."""

from ectool.stages.dry_run.command import run

__all__ = ["run"]
