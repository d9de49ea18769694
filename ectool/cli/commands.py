"""The commands: name, configuration, module and help of each."""

from __future__ import annotations

from dataclasses import dataclass

from ectool import config
from ectool.options import Options


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        model: Model of its options.
        module: Module of `ectool.stages` whose `run` it calls.
        help: First line of its help.
        panel: Part of `ectool --help` that lists it.
        table: Key of the result that is printed as a table, row by row.
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
        "Make semantic-preserved adversarial samples: only the background changes.",
        STAGES,
    ),
    "explain": Command(
        config.ExplainConfig,
        "explain",
        "Compute heatmaps of a data set, or of pairs of clean and perturbed images.",
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
        "Train with per-sample weights, from the start or from any epoch of a schedule.",
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
        "Run an experiment file: every seed, arm and round, then the report.",
        SERVICES,
    ),
    "validity": Command(
        config.ValidityConfig,
        "validity",
        "Study which score of a sample tells its reliance on the background.",
        SERVICES,
    ),
    "report": Command(
        config.ReportConfig,
        "report",
        "Write an HTML report on experiments, evaluations and audits.",
        SERVICES,
    ),
    "compare": Command(
        config.CompareConfig,
        "tools.compare",
        "Test which metrics differ between two evaluations of the same images.",
        SERVICES,
        table="metrics",
    ),
    "agree": Command(
        config.AgreeConfig,
        "tools.agree",
        "Measure the similarity of the heatmaps of two artifacts, image by image.",
        SERVICES,
        table="agreement",
    ),
    "data list": Command(
        config.DataListConfig, "data.list", "List the names of the data sets.", SERVICES
    ),
    "data info": Command(
        config.DataInfoConfig,
        "data.info",
        "Show the splits, variants and classes of a data set, with their numbers of images.",
        SERVICES,
    ),
    "data check": Command(
        config.DataCheckConfig,
        "data.check",
        "Read every image and annotation of a data set, and list the invalid ones.",
        SERVICES,
        table="splits",
    ),
    "data materialize": Command(
        config.MaterializeConfig,
        "data.materialize",
        "Write a split as decoded uint8 images, which are fast to read again.",
        SERVICES,
    ),
    "inspect": Command(
        config.InspectConfig,
        "tools.inspect",
        "Show the kind, content and origin of an artifact, back to the data.",
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

GROUPS = {"data": "List, describe, check and decode data sets."}
"""Help of the first words of two-word commands."""
