"""`evaluate --precision auto`: one precision for all parts of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from ectool.artifacts.store import known_manifest
from ectool.config.heatmaps import AUTO, Precision
from ectool.stages.evaluate.suites.parts import Subject

OF_HEATMAPS = frozenset({"localization", "faithfulness", "sanity", "stability"})
"""Suites that the precision can change."""


def settle_precision(subject: Subject) -> None:
    """Replace `auto` in the options by fp32 or bf16, and note it.

    An evaluation that has begun keeps the precision of its results, or of its parts; another one
    is chosen as in `explain`, by the samples of the costly suites.

    Args:
        subject: Its options are replaced.
    """
    if subject.config.precision != AUTO:
        return
    precision = subject.group.from_first(lambda: next(recorded(subject), None) or _chosen(subject))
    subject.config = subject.config.model_copy(update={"precision": precision})


def recorded(subject: Subject) -> Iterator[Precision]:
    """Yield the precisions of the results and the parts that exist."""
    output = subject.config.output
    for path in (output, *sorted(output.glob("**/*.zarr"))):
        found = known_manifest(path) if path.exists() else None
        # The attack of the measure has a precision of its own.
        if found is not None and found.kind != "samples" and "precision" in found.recipe.config:
            yield found.recipe.config["precision"]


def _chosen(subject: Subject) -> Precision:
    """Return the precision for model and data, after a note."""
    if subject.reference.is_program or not OF_HEATMAPS & set(subject.config.suite):
        return "fp32"
    from ectool.stages.explain.agreement import choose

    choice = choose(subject.config, subject.model, subject.subset, "heatmaps")
    subject.reporter.note(f"--precision auto: {choice.precision}; {choice.reason}")
    return choice.precision
