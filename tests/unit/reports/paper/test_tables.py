"""Tables for papers: escaped, with intervals, as wide as a page, and LaTeX compiles them."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from evaluated_models import CLASSES, experiment_of, report_of

from ectool.reports.paper.tables import WIDTH, paper_tables
from ectool.reports.paper.typesetting import markdown
from ectool.types import Estimate

NAMES = ["50 % & more_of $x$", "a|b {c}", "plain"]


@pytest.fixture(scope="module")
def files():
    report = report_of(NAMES, experiments=[experiment_of(["plain", "consistency"])])
    return {name: data.decode() for name, data in paper_tables(report).items()}


def rows_of(text: str) -> list[list[str]]:
    """Split a Markdown table into its cells."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_a_table_for_each_suite_in_both_formats(files):
    suites = ("classification", "debiasing", "robustness", "stability")
    names = {f"{kind}-{suite}" for suite in suites for kind in ("leaderboard", "arms")}
    names |= {"classes-accuracy"}
    expected = {f"{name}.{suffix}" for name in names for suffix in ("tex", "md")}
    assert {re.sub(r"-\d\.", ".", name) for name in files} == expected


def test_leaderboard_of_a_suite():
    report = report_of(["one", "two"])
    values = {
        "accuracy@original": (Estimate(0.9, 0.85, 0.95, 600), Estimate(0.8, 0.75, 0.85, 590)),
        "nll": (Estimate(0.4, 0.3, 0.5, 600), Estimate(0.25, float("nan"), float("nan"), 600)),
    }
    entries = tuple(
        replace(e, evaluation=replace(e.evaluation, values={k: v[i] for k, v in values.items()}))
        for i, e in enumerate(report.entries)
    )
    metrics = {name: report.metrics[name] for name in values}
    table = paper_tables(replace(report, entries=entries, metrics=metrics))
    assert table["leaderboard-classification.md"].decode() == (
        "Classification. In brackets: 95 % intervals (mAP, location instability: "
        "spreads over resamples) over n = 590 to 600 images. "
        "Differences between the models are not tested.\n"
        "\n"
        "| model | accuracy, original, % ↑ | negative log-likelihood ↓ |\n"
        "| --- | --: | --: |\n"
        "| one | 90.0 \\[85.0, 95.0\\] | 0.400 \\[0.300, 0.500\\] |\n"
        "| two | 80.0 \\[75.0, 85.0\\] | 0.250 |\n"
    )
    text = table["leaderboard-classification.tex"].decode()
    assert r"one & 90.0 {\scriptsize [85.0, 95.0]} & 0.400 {\scriptsize" in text
    assert r"& \shortstack[r]{accuracy, \\ original, \% $\uparrow$} &" in text
    assert r"p{0.2\linewidth}rr}" in text
    assert r"\textbf" not in text
    assert r"\label{tab:leaderboard-classification}" in text


def test_classes(files):
    head, _, *rows = rows_of(files["classes-accuracy.md"])
    assert head == ["class", "n", *map(markdown, NAMES)]
    assert [row[0] for row in rows] == [markdown(name) for name in CLASSES]
    assert {row[1] for row in rows} == {"200"}
    assert all(re.fullmatch(r"\d\d\.\d \\\[\d\d\.\d, \d+\.\d\\\]", c) for r in rows for c in r[2:])


def test_every_line_has_as_many_cells_as_the_head(files):
    for name, text in files.items():
        if name.endswith(".md"):
            assert len({len(row) for row in rows_of(text)}) == 1
        else:
            lines = [line for line in text.splitlines() if line.endswith(r" \\")]
            assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
            assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))


def test_wide_tables_come_in_parts():
    names = [f"accuracy@{number}" for number in range(WIDTH + 2)]
    report = report_of(["model"])
    metric = report.metrics["accuracy@original"]
    wide = replace(
        report,
        metrics=dict.fromkeys(names, metric),
        suites=dict.fromkeys(names, "debiasing"),
    )
    files = paper_tables(wide)
    parts = [files[f"leaderboard-debiasing-{number}.md"].decode() for number in (1, 2)]
    assert [len(rows_of(part)[0]) for part in parts] == [1 + WIDTH, 1 + 2]
    assert rows_of(parts[0])[2][1:] == ["-"] * WIDTH


ENGINES = ("pdflatex", "xelatex", "lualatex", "tectonic")
TEXT_WIDTH = 397
"""Width of a page of text in points (5.5 inches, that of NeurIPS)."""
LONG = "runs/2024-11-23/resnet50-with-quite-a-long-name-of-its-folder/seed-3/model"


def compiled(tables: dict[str, bytes], folder: Path) -> str:
    """Return the log of LaTeX for a document of all tables."""
    engine = next(filter(None, map(shutil.which, ENGINES)), None)
    if engine is None:
        pytest.skip(f"there is none of {', '.join(ENGINES)} in the PATH")
    bodies = "".join(data.decode() for name, data in tables.items() if name.endswith(".tex"))
    packages = set(re.findall(r"% (\\usepackage{.*})", bodies))
    assert len(packages) == 1
    (folder / "all.tex").write_text(
        rf"\documentclass{{article}}{packages.pop()}\setlength{{\textwidth}}{{{TEXT_WIDTH}pt}}"
        rf"\begin{{document}}{bodies}\end{{document}}"
    )
    options = () if engine.endswith("tectonic") else ("-interaction=nonstopmode", "-halt-on-error")
    run = subprocess.run(
        [engine, *options, "all.tex"], cwd=folder, capture_output=True, text=True, check=False
    )
    if "booktabs.sty' not found" in run.stdout:
        pytest.skip(f"{engine} has no package booktabs")
    assert (folder / "all.pdf").is_file(), run.stdout[-2000:]
    return run.stdout


@pytest.mark.parametrize("seeds", [1, 3])
def test_latex_compiles_every_table_and_none_is_wider_than_a_page(tmp_path, seeds):
    names = [*NAMES, LONG, "consistency, seed 0", '\\weird ^~ <name> "quoted" L∞ × 2']
    arms = ["plain", "adversarial_training", "50 % & more", "a/b/c"]
    report = report_of(names, experiments=[experiment_of(arms, seeds)])
    log = compiled(paper_tables(report), tmp_path)
    assert "Overfull" not in log
    assert "Missing character" not in log
