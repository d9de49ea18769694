"""The data sets of a study: the variants of a split, in several draws of its backgrounds."""

from __future__ import annotations

from ectool.config import DataOptions, StudyConfig
from ectool.datasets.base import Dataset
from ectool.stages.common.inputs import open_data

ORIGINAL, BACKGROUND_ONLY = "original", "only_bg_t"
SAME, RANDOM = "mixed_same", "mixed_rand"
COMPARED, REPORTED = "compared", "reported"
"""Parts of a study: candidates are compared on one split, the chosen one is reported on another."""


def split_of(config: StudyConfig, part: str) -> str:
    """Return the split of a part of a study."""
    return config.test_split if part == REPORTED else config.split


def draws_of(config: StudyConfig, part: str) -> range:
    """Return the data seeds whose backgrounds a part of a study is drawn with."""
    count = config.test_draws if part == REPORTED else config.draws
    return range(config.first_draw, config.first_draw + count)


def open_draws(options: DataOptions, split: str, variant: str, seeds: range) -> list[Dataset]:
    """Open one variant of a split in every draw of its backgrounds."""
    return [
        open_data(options.model_copy(update={"data_seed": seed}), split, variant) for seed in seeds
    ]


def fingerprints(options: DataOptions, split: str, seeds: range) -> list[str]:
    """Return the fingerprints of all variants of a split that are read."""
    return [
        dataset.fingerprint
        for variant in (ORIGINAL, BACKGROUND_ONLY, SAME, RANDOM)
        for dataset in open_draws(options, split, variant, seeds)
    ]
