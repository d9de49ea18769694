"""One frozen configuration model per stage: the single source of flags, keys, defaults and help.

The command line makes its flags from these models, TOML files and environment variables are checked
against them, and the fields that can change a result (`keyed`) enter the artifact's key.
"""

from __future__ import annotations

from ectool.config.adopt import AdoptConfig
from ectool.config.evaluate import (
    BENCHMARK_CORRUPTIONS,
    CORRUPTIONS,
    SUITES,
    EvaluateConfig,
)
from ectool.config.gates import STDOUT, GateOptions
from ectool.config.groups import (
    MAX_PIXELS,
    DataOptions,
    DeviceOptions,
    MapOptions,
    ModelOptions,
    RankOptions,
    ShardOptions,
    ViewOptions,
)
from ectool.config.heatmaps import METHOD_GROUP, METHODS, HeatmapOptions
from ectool.config.parts import PartOptions
from ectool.config.perturb import (
    ATTACK_OPTIONS,
    LEVELLESS_MASKS,
    MAPLESS_MASKS,
    Attack,
    PerturbConfig,
    inapplicable_options,
)
from ectool.config.services import (
    REMOVAL_BASELINES,
    WARMUP_FOLDER,
    AgreeConfig,
    ArmConfig,
    CompareConfig,
    ConvertConfig,
    DataCheckConfig,
    DataInfoConfig,
    DataListConfig,
    DoctorConfig,
    ExperimentConfig,
    InspectConfig,
    MaterializeConfig,
    MergeConfig,
    ReportConfig,
    RunConfig,
    VerifyConfig,
)
from ectool.config.stages import ExplainConfig, ScoreConfig, TrainConfig
from ectool.config.validity import StudyConfig, ValidityConfig
from ectool.options import Options

STAGES: dict[str, type[Options]] = {
    "perturb": PerturbConfig,
    "explain": ExplainConfig,
    "score": ScoreConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
}
SHARED_TABLE = "defaults"
EXPERIMENT_TABLE = "experiment"
STUDY_TABLE = "study"

__all__ = [
    "ATTACK_OPTIONS",
    "BENCHMARK_CORRUPTIONS",
    "CORRUPTIONS",
    "EXPERIMENT_TABLE",
    "LEVELLESS_MASKS",
    "MAPLESS_MASKS",
    "MAX_PIXELS",
    "METHODS",
    "METHOD_GROUP",
    "REMOVAL_BASELINES",
    "SHARED_TABLE",
    "STAGES",
    "STDOUT",
    "STUDY_TABLE",
    "SUITES",
    "WARMUP_FOLDER",
    "AdoptConfig",
    "AgreeConfig",
    "ArmConfig",
    "Attack",
    "CompareConfig",
    "ConvertConfig",
    "DataCheckConfig",
    "DataInfoConfig",
    "DataListConfig",
    "DataOptions",
    "DeviceOptions",
    "DoctorConfig",
    "EvaluateConfig",
    "ExperimentConfig",
    "ExplainConfig",
    "GateOptions",
    "HeatmapOptions",
    "InspectConfig",
    "MapOptions",
    "MaterializeConfig",
    "MergeConfig",
    "ModelOptions",
    "PartOptions",
    "PerturbConfig",
    "RankOptions",
    "ReportConfig",
    "RunConfig",
    "ScoreConfig",
    "ShardOptions",
    "StudyConfig",
    "TrainConfig",
    "ValidityConfig",
    "VerifyConfig",
    "ViewOptions",
    "inapplicable_options",
]
