"""`verify`: every file of artifacts, experiments and reports, compared with its digest."""

from ectool.stages.tools.verify.command import run as run
