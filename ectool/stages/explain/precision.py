"""`--precision auto`: which precision is recorded, decided before anything is computed.

An artifact of `auto` has the key and the bytes that the chosen precision gives by its name. What
exists decides first, so that an interrupted command continues alike on every machine, and a
finished one is up to date everywhere. Otherwise the machine, the network and some images decide,
in the first process of several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import partial_folder
from ectool.artifacts.store import read_manifest
from ectool.config import ExplainConfig, PerturbConfig
from ectool.config.heatmaps import AUTO, Precision
from ectool.distributed.group import joined
from ectool.distributed.launch import need_ranks
from ectool.types import Reporter

if TYPE_CHECKING:  # importing torch takes seconds, and what exists needs none
    from ectool.stages.explain.agreement import Choice

Config = TypeVar("Config", ExplainConfig, PerturbConfig)


def settled(
    config: Config,
    recipe_of: Callable[[Config], Recipe],
    decide: Callable[[], Choice],
    reporter: Reporter,
) -> Config:
    """Return the options with fp32 or bf16 in place of `auto`.

    Args:
        config: The options.
        recipe_of: Returns the recipe of the output for some options.
        decide: Chooses the precision by images; called only if no output has begun.
        reporter: Receives a note of the choice.
    """
    if config.precision != AUTO:
        return config

    def choose() -> Precision:
        kept = _kept(config, recipe_of)
        if kept is not None:
            return kept
        need_ranks(config.nproc)
        choice = decide()
        reporter.note(f"{config.output}: --precision auto: {choice.precision}; {choice.reason}")
        return choice.precision

    with joined() as group:
        return config.model_copy(update={"precision": group.from_first(choose)})


def _kept(config: Config, recipe_of: Callable[[Config], Recipe]) -> Precision | None:
    """Return the precision of what exists; None if nothing has begun.

    An output with other options counts as fp32, for the error that refuses it.
    """
    either = [config.model_copy(update={"precision": one}) for one in ("fp32", "bf16")]
    for one in either:
        if _has_begun(one, recipe_of(one)):
            return one.decided_precision
    return "fp32" if config.output.exists() and not config.force else None


def _has_begun(config: ExplainConfig | PerturbConfig, recipe: Recipe) -> bool:
    """Return whether the output, finished or not, is of these options."""
    if config.output.exists():
        manifest = read_manifest(config.output)
        return manifest is not None and manifest.key == recipe.key
    return partial_folder(config.output, recipe).exists()
