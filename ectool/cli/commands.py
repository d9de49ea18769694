"""The commands: what each is called, configured by, and runs."""

from __future__ import annotations

from dataclasses import dataclass

from ectool import config
from ectool.options import Options


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        model: Its configuration.
        module: Module of `ectool.stages` whose `run` it calls.
        help: What it does.
        panel: Part of the help it is listed in.
        table: Entry of what it returns whose entries people read as the rows of a table.
    """

    model: type[Options]
    module: str
    help: str
    panel: str
    table: str | None = None


STAGES = "Stages"
SERVICES = "Experiments and services"
COMMANDS = {
    "perturb": Command(
        config.PerturbConfig,
        "perturb",
        "Make semantic-preserved adversarial samples: only the background moves.",
        STAGES,
    ),
    "explain": Command(
        config.ExplainConfig,
        "explain",
        "Turn a data set, or clean and perturbed pairs, into heatmaps.",
        STAGES,
    ),
    "score": Command(
        config.ScoreConfig,
        "score",
        "Measure explanation consistency and derive per-sample weights.",
        STAGES,
    ),
    "train": Command(
        config.TrainConfig,
        "train",
        "Learn with per-sample weights, from the start or from the middle of a schedule.",
        STAGES,
    ),
    "evaluate": Command(
        config.EvaluateConfig,
        "evaluate",
        "Measure accuracy, debiasing, robustness and explanations of one model or many.",
        STAGES,
    ),
    "run": Command(
        config.RunConfig,
        "run",
        "Execute an experiment file: every seed, arm and round, then the report.",
        SERVICES,
    ),
    "report": Command(
        config.ReportConfig,
        "report",
        "Write one page about experiments, evaluations and audits.",
        SERVICES,
    ),
    "compare": Command(
        config.CompareConfig,
        "tools.compare",
        "Test on which metrics two evaluations of the same images differ.",
        SERVICES,
        table="metrics",
    ),
    "agree": Command(
        config.AgreeConfig,
        "tools.agree",
        "Measure how alike the heatmaps of two artifacts are, image by image.",
        SERVICES,
        table="agreement",
    ),
    "data list": Command(
        config.DataListConfig, "data.list", "List the data sets that can be named.", SERVICES
    ),
    "data info": Command(
        config.DataInfoConfig,
        "data.info",
        "Show a data set's splits, variants and classes, and how many images each has.",
        SERVICES,
    ),
    "data check": Command(
        config.DataCheckConfig,
        "data.check",
        "Read every image and every annotation of a data set; name the bad ones.",
        SERVICES,
        table="splits",
    ),
    "data materialize": Command(
        config.MaterializeConfig,
        "data.materialize",
        "Write a split as decoded uint8 images, for fast repeated reading.",
        SERVICES,
    ),
    "inspect": Command(
        config.InspectConfig,
        "tools.inspect",
        "Show what an artifact is, holds, and was made of, back to the data.",
        SERVICES,
    ),
    "convert": Command(
        config.ConvertConfig,
        "tools.convert",
        "Copy an artifact between Zarr and HDF5, without loss.",
        SERVICES,
    ),
    "doctor": Command(
        config.DoctorConfig, "tools.doctor", "Show versions, devices and threads.", SERVICES
    ),
}

GROUPS = {"data": "Data sets: list, describe, check and decode them."}
"""Commands of two words, by their first."""
