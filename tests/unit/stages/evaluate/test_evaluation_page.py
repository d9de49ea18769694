"""docs/evaluation.md against the catalogue of metrics."""

from __future__ import annotations

from docs.make_metrics import TABLE, TARGET, filled, rows
from ectool.stages.evaluate.definitions import FAMILIES, METRICS

PAGE = TARGET.read_text(encoding="utf-8")


def test_the_page_says_what_the_catalogue_says():
    assert filled(PAGE) == PAGE, "run `make docs`"


def test_every_suite_has_a_table_under_its_own_heading():
    assert [found["suite"] for found in TABLE.finditer(PAGE)] == list(METRICS)
    for suite in METRICS:
        _, _, section = PAGE.partition(f"\n### {suite}\n")
        assert f"<!-- metrics of {suite}, " in section.partition("\n### ")[0]


def test_no_metric_is_left_out():
    for suite, metrics in METRICS.items():
        expected = sorted([*metrics, *FAMILIES.get(suite, ())])
        assert sorted(name for names in rows(suite).values() for name in names) == expected
        for info, names in rows(suite).items():
            assert info.label, names
            assert info.definition, names
