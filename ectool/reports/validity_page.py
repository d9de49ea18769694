"""The page of a study of validity: one HTML file with its tables and charts."""

from __future__ import annotations

import html
from importlib.resources import files

import numpy as np

from ectool.reports.page.svg import FAINT, INK, ink, new_figure, to_svg
from ectool.reports.validity import Score, StudyResults, introduction, number, sections

COLOURS = 6


def render(results: StudyResults) -> str:
    """Return the page, which makes no request to any server."""
    title, text = html.escape(results.title), html.escape(introduction(results))
    style = files("ectool.reports.page").joinpath("templates/style.css").read_text("utf-8")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title><style>{style}</style></head><body>",
        f'<header><h1>{title}</h1><p class="soft">{text}</p></header>',
        '<main id="main">',
        *_charts(results),
    ]
    for name, text, table in sections(results):
        parts += [
            f"<section><h2>{html.escape(name)}</h2>",
            f'<p class="caption">{html.escape(text)}</p>',
            _table(table),
            "</section>",
        ]
    return "\n".join([*parts, "</main></body></html>"]) + "\n"


def _table(table: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    head, *rows = table
    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="scroll"><table><thead>{line(head, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _charts(results: StudyResults) -> list[str]:
    chosen = next((s for s in results.scores if s.role == "chosen"), results.scores[0])
    charts = [intervals(results.scores), means(results, chosen)]
    figures = "".join(f"<figure>{chart}</figure>" for chart in charts)
    return [f'<section><h2>Overview</h2><div class="charts">{figures}</div></section>']


def intervals(scores: tuple[Score, ...]) -> str:
    """Return the chart of the correlations per image, with and without the clean loss."""
    figure, axes = new_figure("Correlation with true reliance", "per image; hollow: given the loss")
    axes.set_position((0.42, 0.17, 0.55, 0.72))
    shown = scores[:10][::-1]
    for row, score in enumerate(shown):
        for colour, (name, face) in enumerate({"spearman": ink(0), "partial": "none"}.items()):
            value, place = score.estimates[name], row + 0.16 - 0.32 * colour
            if value.bounded:
                axes.plot([value.low, value.high], [place, place], color=ink(0), linewidth=1)
            if np.isfinite(value.value):
                axes.plot(value.value, place, "o", color=ink(0), mfc=face, markersize=4)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.xaxis.set_major_locator(axes.yaxis.get_major_locator().__class__())
    axes.set_yticks(range(len(shown)), [score.role[:26] for score in shown])
    axes.tick_params(axis="y", labelsize=7.5, colors=INK)
    return to_svg(figure, "Rank correlation of every score with true reliance")


def means(results: StudyResults, score: Score) -> str:
    """Return the chart of the relative mean of a score against the gap, a point for each model."""
    value = number(score.estimates["relative"].value)
    figure, axes = new_figure(f"Over models: {value}", "gap, points; 1 - mean score / mean p")
    rhos = sorted({record["rho"] for record in results.records})
    for place, rho in enumerate(rhos):
        rows = [row for row, record in enumerate(results.records) if record["rho"] == rho]
        gaps = [100 * results.records[row]["gap"] for row in rows]
        colour = ink(place % COLOURS)
        axes.plot(gaps, [score.relative[row] for row in rows], "o", color=colour, markersize=4)
        last = gaps[-1], score.relative[rows[-1]]
        axes.annotate(f"rho {rho:g}", last, color=colour, fontsize=8)
    return to_svg(figure, f"Mean of the {score.role} score against the gap")
