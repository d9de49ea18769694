"""Experiments: arms over seeds, and how they learned."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes

from ectool.reports.content import Experiment
from ectool.reports.page.arms import CURVES, history_lines
from ectool.reports.paper.metrics import suite_metrics
from ectool.reports.paper.style import INK, Drawing, legend, looks, panels, shortened
from ectool.reports.paper.text import SEEDS, over_seeds, prefixes
from ectool.reports.plotting import mean_line
from ectool.reports.report import Report


def experiment_metrics(report: Report) -> Iterator[Drawing]:
    """Draw the metrics of the arms of each experiment, as means over seeds."""
    for prefix, experiment in zip(prefixes(report), report.experiments, strict=True):
        arms = over_seeds(report, experiment)
        yield from suite_metrics(arms, f"{prefix}arms-", SEEDS)


def learning_curves(report: Report) -> Iterator[Drawing]:
    """Draw what was measured while training, arm by arm."""
    for prefix, experiment in zip(prefixes(report), report.experiments, strict=True):
        measured = [c for c in CURVES if any(history_lines(arm, c[0]) for arm in experiment.arms)]
        if not measured:
            continue
        figure, grid = panels(len(measured), share_y=False)
        for axes, (key, title, is_share) in zip(grid, measured, strict=True):
            _learning(axes, report, experiment, key, 100 if is_share else 1)
            axes.set(title=title, xlabel="epoch", ylim=(0, 100) if is_share else (0, None))
        legend(figure, grid[0])
        seeds = len(experiment.seeds)
        yield Drawing(
            f"{prefix}learning-curves",
            f"Thick: mean over n = {seeds} seeds; thin: single seeds. "
            "Dotted: end of the warm-up, which the arms share.",
            figure,
        )


def _learning(axes: Axes, report: Report, experiment: Experiment, key: str, factor: int) -> None:
    """Draw one measure of every arm, up to the epoch that all its seeds have reached."""
    styles = looks(over_seeds(report, experiment))
    for arm, look in zip(experiment.arms, styles, strict=True):
        lines = history_lines(arm, key) if look else []
        if not lines:
            continue
        plain = {**look, "marker": ""}
        for x, y in lines if len(lines) > 1 else ():
            axes.plot(x, y * factor, **plain, linewidth=0.5, alpha=0.4)
        x, mean = mean_line(lines)
        axes.plot(x, mean * factor, **plain, label=shortened(arm.name))
    axes.axvline(experiment.warmup_epochs, color=INK, linewidth=0.6, linestyle=":")
