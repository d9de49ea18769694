"""Accuracy on other backgrounds, the background gap, and the backgrounds challenge."""

from __future__ import annotations

from typing import Any

import numpy as np

from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset
from ectool.datasets.fingerprint import fingerprints
from ectool.errors import InputError
from ectool.metrics.debiasing import background_gaps
from ectool.stages.common.layout import BACKGROUNDS, CHALLENGE, PREDICTIONS, REPLACED
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.suites.base import (
    Columns,
    Conditions,
    Lack,
    Resampling,
    Suite,
    Table,
    Variants,
)
from ectool.stages.evaluate.suites.classification.metrics import ACCURACIES
from ectool.stages.evaluate.suites.classification.suite import accuracies, mean_average_precisions
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject, mapped
from ectool.stages.evaluate.suites.tables import mean_lines
from ectool.types import Estimate

BARE_BACKGROUND = "only_bg_t"
"""Variant whose images the challenge pastes behind the objects."""
OTHER_BACKGROUND = "mixed_rand"
"""Variant whose background replaces that of the images, share by share."""


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the predictions on other backgrounds, on replaced shares, and the challenge.

    Raises:
        InputError: The challenge is requested, but there are no masks or no bare backgrounds.
    """
    others = _other_variants(subject)
    found = []
    if others:
        options = {"variants": fingerprints(others)}
        found.append(mapped(BACKGROUNDS, "predictions", _predict, options=options))
    if OTHER_BACKGROUND in others and _has_masks(subject.original):
        found += [_replaced_part(subject, share) for share in subject.config.replaced]
    if subject.config.challenge:
        _check_challenge(subject)
        options = {"variants": fingerprints({BARE_BACKGROUND: others[BARE_BACKGROUND]})}
        found.append(mapped(CHALLENGE, "challenge", _paste, options=options))
    return tuple(found)


def lack(config: EvaluateConfig, variants: Variants) -> Lack | None:
    """Return what is missing without other backgrounds and object masks."""
    if set(variants) <= {ORIGINAL}:
        return Lack("the data have no images on other backgrounds")
    if not config.replaced or (OTHER_BACKGROUND in variants and _has_masks(variants[ORIGINAL])):
        return None
    return Lack(f"it needs object masks and the variant {OTHER_BACKGROUND}", "replaced shares")


def _other_variants(subject: Subject) -> dict[str, Dataset]:
    return {name: data for name, data in subject.variants.items() if name != ORIGINAL}


def _predict(subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.classification.predict import PredictWork

    return PredictWork(subject.model, _other_variants(subject))


def _has_masks(dataset: Dataset) -> bool:
    return dataset.annotations(np.arange(1)).masks is not None


def _replaced_part(subject: Subject, share: float) -> Part:
    """Return the predictions where a share of the background is replaced."""
    other, seed = subject.variants[OTHER_BACKGROUND], subject.config.seed

    def work(subject: Subject) -> Work[Any]:
        from ectool.stages.evaluate.suites.debiasing.replace import ReplacedWork

        return ReplacedWork(
            subject.model,
            subject.original,
            other,
            share=share,
            seed=seed,
            condition=condition_of(share),
        )

    options = {"variants": fingerprints({OTHER_BACKGROUND: other}), "share": share, "seed": seed}
    return mapped(file_of(share), "predictions", work, options=options)


def condition_of(share: float) -> str:
    """Name the condition of a share of replaced background, e.g. `replaced-0.25`."""
    return f"replaced-{share:g}"


def file_of(share: float) -> str:
    """Return the file of the predictions at a share of replaced background."""
    return f"{REPLACED}/{share:g}.zarr"


def _check_challenge(subject: Subject) -> None:
    if not _has_masks(subject.original) or BARE_BACKGROUND not in subject.variants:
        raise InputError(
            "--challenge",
            expected=f"a data set with object masks and the variant {BARE_BACKGROUND}",
            got=f"{subject.config.data} without",
            fix="leave it out, or unpack what is missing",
        )


def _paste(subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.debiasing.challenge import ChallengeWork

    backgrounds = subject.variants[BARE_BACKGROUND]
    block = sized(subject.config, backgrounds.size).batch
    return ChallengeWork(subject.model, subject.original, backgrounds, block)


def columns(evaluated: Evaluated) -> Columns:
    """Return, for every sample, whether it is classified correctly on each background."""
    found: Columns = {}
    for name in _others(evaluated):
        found |= accuracies(evaluated.logits(BACKGROUNDS, name), evaluated.labels, name)
    same, other = found.get("accuracy@mixed_same"), found.get("accuracy@mixed_rand")
    if same is not None and other is not None:
        found["background_gap"] = background_gaps(same, other)
    for share in _replaced(evaluated):
        name = condition_of(share)
        found |= accuracies(evaluated.logits(file_of(share), name), evaluated.labels, name)
    if evaluated.has(CHALLENGE):
        found["background_robustness"] = evaluated.read(CHALLENGE, "robust")
    return found


def estimates(evaluated: Evaluated, resampling: Resampling) -> dict[str, Estimate]:
    """Return mean average precision on other backgrounds, for multi-label data."""
    found: dict[str, Estimate] = {}
    if evaluated.is_multilabel:
        for name in _others(evaluated):
            logits = evaluated.logits(BACKGROUNDS, name)
            found |= mean_average_precisions(logits, evaluated.labels, name, resampling)
    return found


def _others(evaluated: Evaluated) -> list[str]:
    if not evaluated.has(BACKGROUNDS):
        return []
    return [name for name in evaluated.variants if name != ORIGINAL]


def _replaced(evaluated: Evaluated) -> list[float]:
    """Return every share of the background that was replaced."""
    return [
        share for share in sorted(evaluated.config["replaced"]) if evaluated.has(file_of(share))
    ]


def tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return accuracy over the share of the background that is replaced."""
    measured = _replaced(evaluated)
    if not measured or evaluated.is_multilabel:
        return {}
    points = [(0.0, PREDICTIONS, ORIGINAL)]
    points += [(share, file_of(share), condition_of(share)) for share in measured]
    means = (
        ({"curve": REPLACED, "share": share}, evaluated.correct(file, name))
        for share, file, name in points
    )
    return {"curves": mean_lines(means, "share")}


def conditions(evaluated: Evaluated) -> Conditions:
    """Return the variant of the images, or the share of the background that is replaced."""
    details: Conditions = {name: {"variant": name} for name in _others(evaluated)}
    details |= {condition_of(share): {"replaced": share} for share in _replaced(evaluated)}
    return {
        f"{measure}@{detail}": {"measure": measure, **fields}
        for measure in ACCURACIES
        for detail, fields in details.items()
    }


SUITE = Suite(parts, columns, estimates, tables, conditions=conditions, lack=lack)
