"""The story of a report in words: what was measured, and why differences are marked or not."""

from __future__ import annotations

from collections.abc import Iterable

from ectool.reports.numbers import bounds, quantity
from ectool.reports.story import MIN_SEEDS, Headline, Story

NAMED = 2
"""Metrics that the sentence names if no difference is tested."""


def sentence(story: Story) -> str:
    """Return one sentence that says what was measured; empty without a headline metric."""
    if not story.headlines:
        return ""
    if story.is_tested:
        return _tested(story)
    where = f"With seed {story.seeds[0]}" if len(story.seeds) == 1 else f"On {story.data}"
    if len(story.sides) > 1:
        found = _listed(_change(one) for one in story.headlines[:NAMED])
        return f"{where}, {story.sides[-1].name} differs from {story.sides[0].name} in {found}."
    if story.seeds:
        where = f"Over {len(story.seeds)} seeds"
    found = _listed(_measured(one) for one in story.headlines[:NAMED])
    return f"{where}, ectool measures {found} for {story.sides[0].name}."


def _tested(story: Story) -> str:
    reference, best = (side.name for side in story.sides)
    count = len(story.headlines)
    marked = [one for one in story.headlines if one.difference and one.difference.verdict]
    start = f"Over {len(story.seeds)} seeds, "
    if not marked:
        return (
            f"{start}none of the {count} measured headline differences between {best} and "
            f"{reference} is significant."
        )
    rest = count - len(marked)
    others = f"; measured differences on the other {rest} can be due to chance" if rest else ""
    return (
        f"{start}{best} differs significantly from {reference} on {len(marked)} of {count} "
        f"headline metrics: {_listed(map(_change, marked))}{others}."
    )


def _change(headline: Headline) -> str:
    """Return a metric with its difference, and with its verdict if it is significant."""
    difference, metric = headline.difference, headline.metric
    if difference is None:
        return metric.label
    found = quantity(difference.value, metric.is_share, signed=True)
    unit = " points" if metric.is_share else ""
    verdict = f", {difference.verdict}" if difference.verdict else ""
    return f"{metric.label} ({found}{unit}{verdict})"


def _measured(headline: Headline) -> str:
    """Return a metric with its value and its interval."""
    value, metric = headline.values[0], headline.metric
    unit = " %" if metric.is_share else ""
    interval = f" {bounds(value, metric.is_share)}" if value.bounded else ""
    return f"{metric.label} ({quantity(value.value, metric.is_share)}{unit}{interval})"


def _listed(names: Iterable[str]) -> str:
    """Join names: `a; b and c`. Labels of metrics may contain commas."""
    *start, last = names
    return f"{'; '.join(start)} and {last}" if start else last


def note(story: Story) -> str:
    """Return where the intervals come from, and why differences are marked or not."""
    seeds = len(story.seeds)
    if len(story.sides) == 1:
        over = f"t intervals over {seeds} seeds" if seeds >= MIN_SEEDS else "intervals over images"
        return f"In brackets: 95 % {over}.{_spreads(story)}"
    reference, best = (side.name for side in story.sides)
    choice = (
        f" {best} is the one of {story.rivals} with the best mean rank on the headline metrics."
        if story.rivals > 1
        else ""
    )
    if story.is_tested:
        return (
            f"{best} minus {reference}, mean over {seeds} seeds, in percentage points. "
            "In brackets: 95 % t interval, paired by seed. ✔ and ✖ mark a significant difference: "
            "its p, corrected over the headline metrics of all arms (paired t test, Holm), is "
            f"below 0.05. A difference without a mark can be due to chance.{choice}"
        )
    reason = (
        f"the experiment has one seed, and a test over seeds needs {MIN_SEEDS}"
        if seeds
        else "the models have no common seeds to pair; `ectool compare` tests them image by image"
    )
    return (
        f"{best} minus {reference}, in percentage points. Nothing is marked: {reason}. "
        "In brackets: 95 % interval over images, as if both models were measured on different "
        f"ones.{choice}{_spreads(story)}"
    )


def _spreads(story: Story) -> str:
    """Return the sentence about intervals that are spreads."""
    values = [value for one in story.headlines for value in one.values]
    if all(value.kind == "interval" for value in values):
        return ""
    return " A spread over resamples is not a confidence interval."
