"""`report`: one page about experiments, evaluations and audits."""

from ectool.stages.report.command import run

__all__ = ["run"]
