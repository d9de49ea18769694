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
        examples: Command lines, for the end of its help.
        table: Key of the result that is printed as a table, row by row.
    """

    model: type[Options]
    module: str
    help: str
    panel: str
    examples: tuple[str, ...]
    table: str | None = None


STAGES = "Stages"
SERVICES = "Experiments and services"
COMMANDS = {
    "perturb": Command(
        config.PerturbConfig,
        "perturb",
        "Make semantic-preserved adversarial samples: only the background changes.",
        STAGES,
        (
            "ectool perturb --model run/0/model --data digits --output run/1/adv.zarr",
            "ectool perturb --model run/model --data imagefolder:photos --eps auto --output a.h5",
        ),
    ),
    "explain": Command(
        config.ExplainConfig,
        "explain",
        "Compute heatmaps of a data set, or of pairs of clean and perturbed images.",
        STAGES,
        (
            "ectool explain --model run/0/model --samples run/1/adv.zarr --output run/1/cams.zarr",
            "ectool explain --model run/model --data digits --method layercam --output cams.h5",
        ),
    ),
    "score": Command(
        config.ScoreConfig,
        "score",
        "Measure explanation consistency and derive per-sample weights.",
        STAGES,
        (
            "ectool score --heatmaps run/1/cams.zarr",
            "ectool score --heatmaps cams.zarr --gamma 2 --previous last.zarr --momentum 0.5",
        ),
    ),
    "train": Command(
        config.TrainConfig,
        "train",
        "Train with per-sample weights, from the start or from any epoch of a schedule.",
        STAGES,
        (
            "ectool train --data digits --epochs 30 --output run/plain",
            "ectool train --data digits --objective ec --output run/ec",
            "ectool train --resume run/0 --weights w.zarr --until-epoch 7 --output run/1",
        ),
    ),
    "evaluate": Command(
        config.EvaluateConfig,
        "evaluate",
        "Measure accuracy, debiasing, robustness and explanations of one model or many.",
        STAGES,
        (
            "ectool evaluate --model run/plain --data digits --output run/eval",
            "ectool evaluate --models 'run/*/model' --data digits --output run/audit",
            "ectool evaluate --model run/ec --require 'accuracy.low>=90,bg_gap<=9' --output gate",
            "ectool evaluate --model run/ec --output run/new --baseline run/eval "
            "--require 'accuracy>=baseline-1' --md gates.md",
        ),
    ),
    "adopt": Command(
        config.AdoptConfig,
        "adopt",
        "Make a model artifact of a checkpoint and its architecture, once for all commands.",
        SERVICES,
        (
            "ectool adopt --model resnet50 --checkpoint my.pth --names cat,dog --output mine",
            "ectool adopt --model resnet50 --checkpoint my.pth --classes-from photos --output m",
            "ectool adopt --model resnet18 --checkpoint s.pth --reset-head --classes 9 --output s",
        ),
    ),
    "run": Command(
        config.RunConfig,
        "run",
        "Run an experiment file: every seed, arm and round, then the report.",
        SERVICES,
        (
            "ectool run pipelines/digits.toml --miniature",
            "ectool run pipelines/digits.toml --processes 2 --output run/digits",
        ),
    ),
    "validity": Command(
        config.ValidityConfig,
        "validity",
        "Study which score of a sample tells its reliance on the background.",
        SERVICES,
        ("ectool validity pipelines/validity.toml --output run/validity",),
    ),
    "report": Command(
        config.ReportConfig,
        "report",
        "Write an HTML report on experiments, evaluations and audits.",
        SERVICES,
        (
            "ectool report run/digits",
            "ectool report run/eval run/audit --output page.html --figures figures --tables tables",
        ),
    ),
    "compare": Command(
        config.CompareConfig,
        "tools.compare",
        "Test which metrics differ between two evaluations of the same images.",
        SERVICES,
        (
            "ectool compare run/eval/plain run/eval/ec",
            "ectool compare run/eval/plain run/eval/ec --require 'accuracy>=baseline-1' --json",
        ),
        table="metrics",
    ),
    "agree": Command(
        config.AgreeConfig,
        "tools.agree",
        "Measure the similarity of the heatmaps of two artifacts, image by image.",
        SERVICES,
        ("ectool agree gradcam.zarr layercam.zarr",),
        table="agreement",
    ),
    "data list": Command(
        config.DataListConfig,
        "data.list",
        "List the names of the data sets.",
        SERVICES,
        ("ectool data list",),
    ),
    "data info": Command(
        config.DataInfoConfig,
        "data.info",
        "Show the splits, variants and classes of a data set, with their numbers of images.",
        SERVICES,
        ("ectool data info imagefolder:photos",),
    ),
    "data check": Command(
        config.DataCheckConfig,
        "data.check",
        "Read every image and annotation of a data set, and list the invalid ones.",
        SERVICES,
        ("ectool data check csv:photos/labels.csv --json",),
        table="splits",
    ),
    "data materialize": Command(
        config.MaterializeConfig,
        "data.materialize",
        "Write a split as decoded uint8 images, which are fast to read again.",
        SERVICES,
        ("ectool data materialize imagefolder:photos --size 96 --output photos.zarr",),
    ),
    "inspect": Command(
        config.InspectConfig,
        "tools.inspect",
        "Show the kind, content and origin of an artifact, back to the data.",
        SERVICES,
        ("ectool inspect run/1/cams.zarr --verify",),
    ),
    "verify": Command(
        config.VerifyConfig,
        "tools.verify",
        "Compare everything in artifacts or whole folders with its digests.",
        SERVICES,
        (
            "ectool verify run",
            "ectool verify run/1/cams.zarr run/1/model --json",
        ),
    ),
    "convert": Command(
        config.ConvertConfig,
        "tools.convert",
        "Copy an artifact between Zarr and HDF5, without loss.",
        SERVICES,
        ("ectool convert cams.zarr cams.h5",),
    ),
    "merge": Command(
        config.MergeConfig,
        "tools.merge",
        "Publish what the jobs of an array have written with --shard.",
        SERVICES,
        (
            "ectool merge run/1/adv.zarr",
            "ectool merge run/1/adv.zarr run/1/cams.zarr",
        ),
    ),
    "doctor": Command(
        config.DoctorConfig,
        "tools.doctor",
        "Show versions, devices and threads.",
        SERVICES,
        ("ectool doctor --json",),
    ),
}

GROUPS = {"data": "List, describe, check and decode data sets."}
"""Help of the first words of two-word commands."""

DRY = ("perturb", "explain", "train", "evaluate", "run")
"""Commands with `--dry-run`."""
DRY_TABLE = "parts"
"""Key of the result of a dry run that is printed as a table."""
