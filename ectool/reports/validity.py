"""Results of a study of validity: as a document for programs, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ectool.reports.numbers import ABSENT
from ectool.types import Estimate

MEASURES = ("spearman", "partial", "correct", "models", "relative")
COMPARED = ("spearman", "partial", "relative")
"""Measures whose paired differences are shown."""
HEADS = {
    "spearman": "per image",
    "partial": "per image, given the clean loss",
    "correct": "per correct image",
    "models": "over models",
    "relative": "over models, relative",
}
"""Names of the columns: rank correlations with the true reliance, and with the gap."""


@dataclass(frozen=True)
class Score:
    """One score of a sample, and how well it tells reliance on the background.

    Attributes:
        role: Why it is shown.
        name: KIND/MAP/AMOUNT|SIMILARITY|STABILITY.
        estimates: For each of `MEASURES` the estimate with its interval.
        by_data: The correlation per image on each data set.
        by_checkpoint: The correlation per image of each checkpoint.
        relative: 1 minus the ratio of its mean to that of the clean probability, per checkpoint.
    """

    role: str
    name: str
    estimates: dict[str, Estimate]
    by_data: dict[str, float]
    by_checkpoint: tuple[float, ...]
    relative: tuple[float, ...]


@dataclass(frozen=True)
class Contrast:
    """The paired difference of two scores.

    Attributes:
        question: What the difference answers.
        first: Name of the first score.
        second: Name of the second score.
        estimates: Difference first minus second of each measure in `COMPARED`, with intervals.
    """

    question: str
    first: str
    second: str
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class Grid:
    """A table of one number for each pair of a row and a column."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class StudyResults:
    """Everything that the page of a study shows.

    Attributes:
        title: Title of the study.
        images: Images of a checkpoint, in all draws.
        records: The checkpoints: data, rho, seed, epoch, accuracy, reliance, gap, radii.
        scores: The scores that are shown with intervals.
        contrasts: Paired differences of them.
        grids: Tables of point estimates.
        test: The same scores on test images, chosen on the split of the study.
        test_contrasts: Paired differences on test images.
        candidates: Every candidate: name, and its correlations.
    """

    title: str
    images: int
    records: tuple[dict[str, Any], ...]
    scores: tuple[Score, ...]
    contrasts: tuple[Contrast, ...]
    grids: tuple[Grid, ...]
    test: tuple[Score, ...]
    test_contrasts: tuple[Contrast, ...]
    candidates: tuple[dict[str, Any], ...]


def to_document(results: StudyResults) -> dict[str, Any]:
    """Return the results as plain JSON values; NaN is null."""
    return {"schema": "validity", **{n: _plain(value) for n, value in asdict(results).items()}}


def _plain(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def number(value: float) -> str:
    """Write a correlation with two decimals; `-` for NaN."""
    if not math.isfinite(value):
        return ABSENT
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def estimate(value: Estimate) -> str:
    """Write an estimate with its interval."""
    if not value.bounded:
        return number(value.value)
    return f"{number(value.value)} [{number(value.low)}, {number(value.high)}]"


def score_table(scores: Sequence[Score]) -> list[list[str]]:
    """Return the table of scores, the head first."""
    data = list(dict.fromkeys(name for score in scores for name in score.by_data))
    shown = data if len(data) > 1 else []
    head = ["score", "definition", *(HEADS[name] for name in MEASURES), *shown]
    rows = [
        [
            score.role,
            score.name,
            *(estimate(score.estimates[name]) for name in MEASURES),
            *(number(score.by_data[name]) for name in shown),
        ]
        for score in scores
    ]
    return [head, *rows]


def contrast_table(contrasts: Sequence[Contrast]) -> list[list[str]]:
    """Return the table of paired differences, the head first."""
    head = ["question", "first", "second", *(HEADS[name] for name in COMPARED)]
    rows = [
        [
            one.question,
            one.first,
            one.second,
            *(estimate(one.estimates[name]) for name in COMPARED),
        ]
        for one in contrasts
    ]
    return [head, *rows]


def grid_table(grid: Grid) -> list[list[str]]:
    """Return a grid as rows of text, the head first."""
    rows = zip(grid.rows, grid.values, strict=True)
    return [["", *grid.columns], *([name, *map(number, values)] for name, values in rows)]


def checkpoint_table(results: StudyResults) -> list[list[str]]:
    """Return the table of the checkpoints, the head first."""
    scores = [score.role for score in results.scores[:3]]
    head = ["data", "rho", "seed", "epoch", "accuracy", "reliance", "gap", *scores]
    rows = [
        [
            str(record["data"]),
            f"{record['rho']:g}",
            str(record["seed"]),
            str(record["epoch"]),
            *(f"{100 * record[name]:.1f}" for name in ("accuracy", "reliance", "gap")),
            *(number(score.by_checkpoint[row]) for score in results.scores[:3]),
        ]
        for row, record in enumerate(results.records)
    ]
    return [head, *rows]


def sections(results: StudyResults) -> Iterable[tuple[str, str, list[list[str]]]]:
    """Yield title, explanation and table of every section."""
    yield "Scores", SCORES, score_table(results.scores)
    yield "Differences", DIFFERENCES, contrast_table(results.contrasts)
    if results.test:
        yield "Test images", TEST, score_table(results.test)
        yield "Differences on test images", DIFFERENCES, contrast_table(results.test_contrasts)
    for grid in results.grids:
        yield grid.title, GRID, grid_table(grid)
    yield "Models", MODELS, checkpoint_table(results)


def to_markdown(results: StudyResults) -> str:
    """Return the page as Markdown, without its figures."""
    parts = [f"# {results.title}", "", introduction(results), ""]
    for title, text, table in sections(results):
        parts += [f"## {title}", "", text, "", *_markdown(table), ""]
    return "\n".join(parts)


def introduction(results: StudyResults) -> str:
    """Return the first paragraph of the page."""
    count = len(results.records)
    return (
        f"{count} models, {results.images} images each. The truth of an image is 1 minus the mean "
        "probability of its class, where the object's own pixels are put on the backgrounds of "
        f"other images. {len(results.candidates)} candidates are compared."
    )


def _markdown(table: list[list[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    head, *rows = table
    return [line(head), line("---" for _ in head), *map(line, rows)]


SCORES = (
    "Spearman's correlations, the mean over the models, with 95 % bootstrap intervals. Per image: "
    "of 1 minus the score with the true reliance. Given the clean loss: the partial correlation. "
    "Over models: of the mean of 1 minus the score with the gap, mixed_same minus mixed_rand. "
    "Relative: of 1 minus the ratio of the mean score to the mean clean probability of the label. "
    "Over models, whole trainings are resampled."
)
DIFFERENCES = "Differences of the correlations, first minus second, on the same resamples."
TEST = "The scores that were chosen above, on images that no choice has seen."
GRID = "The correlation per image, the mean over the models."
MODELS = (
    "Accuracy, mean reliance and gap in percent, and the correlation per image of three scores."
)
