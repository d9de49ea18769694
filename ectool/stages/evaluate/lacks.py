"""What suites cannot give on data: told before anything is computed."""

from __future__ import annotations

from ectool.config import EvaluateConfig
from ectool.errors import InputError
from ectool.stages.evaluate.suites import SUITES
from ectool.stages.evaluate.suites.base import Lack, Variants
from ectool.stages.evaluate.suites.parts import ORIGINAL
from ectool.types import Reporter

EXPLAINED = ("localization", "faithfulness", "sanity", "stability", "filters")
"""Suites that need heatmaps, or the maps of a layer."""
OF_PROGRAM = Lack("a program has no layers for heatmaps; give the architecture and its weights")


def check_suites(
    config: EvaluateConfig, variants: Variants, reporter: Reporter, *, is_program: bool = False
) -> None:
    """Warn of metrics that the suites cannot give.

    Args:
        config: Options of the evaluation.
        variants: The open data set in every available background variant.
        reporter: Receives a warning for each suite.
        is_program: Whether the model is a program, which does not show its layers.

    Raises:
        InputError: No suite can give any metric.
    """
    lacks = {suite: SUITES[suite].lack(config, variants) for suite in config.suite}
    if is_program:
        lacks |= dict.fromkeys([suite for suite in lacks if suite in EXPLAINED], OF_PROGRAM)
    missing = {suite: lack for suite, lack in lacks.items() if lack is not None}
    name = variants[ORIGINAL].name
    if len(missing) == len(lacks) and not any(lack.metrics for lack in missing.values()):
        raise InputError(
            f"--suite {','.join(missing)}",
            expected=f"a suite that can give metrics on {name}",
            got="; ".join(f"{suite}: {lack.reason}" for suite, lack in missing.items()),
            fix="choose another --suite, or add what is missing (docs/data.md)",
        )
    for suite, lack in missing.items():
        what = f"{suite}: {lack.metrics}" if lack.metrics else suite
        reporter.warn(f"{name}: without {what}, because {lack.reason}")
