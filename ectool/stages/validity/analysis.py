"""Compare the candidates of a study, and select what its page shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from ectool.config import StudyConfig
from ectool.config.validity import ATTACKS
from ectool.reports.validity import COMPARED, MEASURES, Contrast, Grid, Score, StudyResults
from ectool.stages.validity.statistics import (
    NONE,
    SCORE,
    Drawn,
    Statistics,
    clean_loss,
    interval,
    score_of,
)
from ectool.stages.validity.tables import Table
from ectool.stages.validity.versions import (
    CLEAN,
    CONTROL,
    MEAN,
    Candidate,
    Version,
    all_versions,
    replacements,
)

Points = dict[Candidate, dict[str, float]]


@dataclass(frozen=True)
class Question:
    """A paired difference, and what it answers."""

    text: str
    first: Candidate
    second: Candidate


def analyse(config: StudyConfig, tables: list[Table], test: list[Table]) -> StudyResults:
    """Compare every candidate on the tables of all checkpoints.

    Args:
        config: Options of the study.
        tables: What was measured on the split of the study.
        test: What was measured on test images; empty without.
    """
    statistics = Statistics(tables, config)
    points = {one: statistics.point(one) for one in all_candidates(tables[0], config)}
    shown = dict(_selected(config, points))
    asked = list(_questions(config))
    scores, contrasts = _with_intervals(statistics, shown, asked)
    tested: tuple[tuple[Score, ...], tuple[Contrast, ...]] = ((), ())
    if test:
        few = {role: one for role, one in shown.items() if _is_measured(test[0], one, config)}
        tested = _with_intervals(Statistics(test, config), few, asked)
    return StudyResults(
        title=config.title,
        images=len(tables[0].clusters),
        records=tuple(table.record for table in tables),
        scores=scores,
        contrasts=contrasts,
        grids=tuple(_grids(config, points)),
        test=tested[0],
        test_contrasts=tested[1],
        candidates=tuple(_listed(points)),
    )


def _listed(points: Points) -> Iterator[dict[str, Any]]:
    ordered = sorted(points.items(), key=lambda item: -item[1]["spearman"])
    for candidate, values in ordered:
        yield {"name": str(candidate), **values}


def all_candidates(table: Table, config: StudyConfig) -> list[Candidate]:
    """Return every candidate that the columns of a table allow."""
    versions = all_versions(config)
    if len(config.levels) > 1:
        pairs = product(replacements(config), config.maps)
        versions += [Version(kind, source, MEAN) for kind, source in pairs]
    return [one for version in versions for one in _of_version(version, table, config)]


def _of_version(version: Version, table: Table, config: StudyConfig) -> Iterator[Candidate]:
    level = f"{config.levels[0]:g}"
    measured = version if version.amount != MEAN else replace(version, amount=level)

    def names(part: str) -> list[str]:
        start = f"{measured}|{part}|"
        return [name.removeprefix(start) for name in table.columns if name.startswith(start)]

    # The similarity of an image to itself is 1.
    similarities = [NONE] if version.kind == CLEAN else [NONE, *names("similarity")]
    for similarity in similarities:
        for stability in (NONE, *names("stability")):
            if (similarity, stability) != (NONE, NONE):
                yield Candidate(version, similarity, stability)
    for score in names("score"):
        yield Candidate(version, SCORE, score)


def _selected(config: StudyConfig, points: Points) -> Iterator[tuple[str, Candidate]]:
    """Yield the scores that the page shows with intervals, and why."""
    chosen, default = _chosen(config)
    yield "clean loss", clean_loss()
    yield "chosen", chosen
    yield "default so far", default
    yield "chosen, prediction alone", replace(chosen, similarity=NONE)
    yield "chosen, heatmaps alone", replace(chosen, stability=NONE)
    if chosen.version.kind == "replace":
        yield "chosen, another image's mask", _controlled(chosen)
    products = {one: values for one, values in points.items() if _is_product(one)}
    yield "best of all", _best(products)
    yield "best over models", _best(products, "relative")
    for kind in (*config.replacements, *config.attacks):
        yield f"best of {kind}", _best(_part(products, partial(_is_of, kind)))
    yield "best similarity alone", _best(_part(products, lambda one: one.stability == NONE))
    yield "best score of one map", _best(_part(points, lambda one: one.similarity == SCORE))


def _best(points: Points, measure: str = "spearman") -> Candidate:
    known = {one: values[measure] for one, values in points.items()}
    return max(known, key=lambda one: -math.inf if math.isnan(known[one]) else known[one])


def _part(points: Points, allows: Callable[[Candidate], bool]) -> Points:
    return {one: values for one, values in points.items() if allows(one)}


def _is_product(candidate: Candidate) -> bool:
    """Return whether a candidate is a similarity times a stability, and not the control."""
    return candidate.similarity != SCORE and candidate.version.kind != CONTROL


def _is_of(kind: str, candidate: Candidate) -> bool:
    return candidate.version.kind == kind


def _chosen(config: StudyConfig) -> tuple[Candidate, Candidate]:
    return Candidate.parse(config.chosen, "chosen"), Candidate.parse(config.default, "default")


def _controlled(chosen: Candidate) -> Candidate:
    return replace(chosen, version=replace(chosen.version, kind=CONTROL))


def _questions(config: StudyConfig) -> Iterator[Question]:
    """Yield the ablations."""
    chosen, default = _chosen(config)
    alone = replace(chosen, similarity=NONE)
    yield Question("more than the clean loss?", chosen, clean_loss())
    yield Question("more than the default so far?", chosen, default)
    yield Question("does the similarity of heatmaps add?", chosen, alone)
    yield Question(
        "does the stability of the prediction add?", chosen, replace(chosen, stability=NONE)
    )
    if chosen.version.kind == "replace":
        yield Question("does the heatmap's mask matter?", alone, _controlled(alone))
    yield Question("is the default more than the clean loss?", default, clean_loss())
    yield Question("does the default's similarity add?", default, replace(default, similarity=NONE))


def _is_measured(table: Table, candidate: Candidate, config: StudyConfig) -> bool:
    try:
        score_of(table, candidate, config)
    except KeyError:
        return False
    return True


def _with_intervals(
    statistics: Statistics, shown: dict[str, Candidate], asked: Iterable[Question]
) -> tuple[tuple[Score, ...], tuple[Contrast, ...]]:
    """Return scores and differences with intervals, from the same resamples."""
    drawn: dict[Candidate, Drawn] = {}
    points: Points = {}
    questions = list(asked)
    for one in (*shown.values(), *(side for q in questions for side in (q.first, q.second))):
        if one not in drawn:
            drawn[one], points[one] = statistics.resampled(one), statistics.point(one)
    n = len(statistics.tables)
    scores = tuple(
        Score(
            role=role,
            name=str(one),
            estimates={name: interval(points[one][name], drawn[one][name], n) for name in MEASURES},
            by_data=statistics.by_data(one),
            by_checkpoint=statistics.by_checkpoint(one),
            relative=tuple(map(float, statistics.over_models(one)["relative"])),
        )
        for role, one in shown.items()
    )
    return scores, tuple(_contrast(question, points, drawn, n) for question in questions)


def _contrast(
    question: Question, points: Points, drawn: dict[Candidate, Drawn], n: int
) -> Contrast:
    first, second = question.first, question.second
    return Contrast(
        question=question.text,
        first=str(first),
        second=str(second),
        estimates={
            name: interval(
                points[first][name] - points[second][name],
                drawn[first][name] - drawn[second][name],
                n,
            )
            for name in COMPARED
        },
    )


def _grids(config: StudyConfig, points: Points) -> Iterator[Grid]:
    """Yield the tables of point estimates."""
    chosen, _ = _chosen(config)
    same = [one for one in points if one.version == chosen.version and one.similarity != SCORE]
    yield _grid(
        f"Similarity and stability of {chosen.version}",
        list(dict.fromkeys(one.similarity for one in same)),
        list(dict.fromkeys(one.stability for one in same)),
        lambda row, column: points.get(Candidate(chosen.version, row, column)),
    )
    levels = [*(f"{level:g}" for level in config.levels), MEAN]
    yield _grid(
        "Replacements: kind and heatmap, share of the background",
        [f"{kind}/{source}" for kind, source in product(replacements(config), config.maps)],
        levels,
        lambda row, column: points.get(
            Candidate(Version.parse(f"{row}/{column}"), NONE, "probability")
        ),
    )
    if config.attacks:
        yield from _attacks(config, points)


def _attacks(config: StudyConfig, points: Points) -> Iterator[Grid]:
    """Yield the tables of the attacks, by pixels and radius."""

    def at(row: str, column: str) -> dict[str, float] | None:
        version = Version(row, "" if row == "pgd-full" else "gradcam", column)
        return points.get(Candidate(version, NONE, "probability"))

    radii = list(dict.fromkeys(one.version.amount for one in points if one.version.kind in ATTACKS))
    yield _grid("Attacks: pixels, radius", list(config.attacks), radii, at)
    title = "Attacks: pixels, radius, given the clean loss"
    yield _grid(title, list(config.attacks), radii, at, "partial")


def _grid(
    title: str,
    rows: list[str],
    columns: list[str],
    at: Callable[[str, str], dict[str, float] | None],
    measure: str = "spearman",
) -> Grid:
    def value(row: str, column: str) -> float:
        found = at(row, column)
        return float("nan") if found is None else float(found[measure])

    values = tuple(tuple(value(row, column) for column in columns) for row in rows)
    return Grid(title, tuple(rows), tuple(columns), values)
