"""The tables of docs/method.md against the registries of attacks, losses and masks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ectool.attacks import ATTACKS
from ectool.attacks.losses import LOSSES
from ectool.attacks.masks import BACKGROUND_RULES

PAGE = Path(__file__).parents[3] / "docs" / "method.md"


@pytest.mark.parametrize(
    ("option", "registry"),
    [("attack", ATTACKS), ("loss", LOSSES), ("mask", BACKGROUND_RULES)],
)
def test_the_table_of_choices_has_every_row(option, registry):
    _, table = PAGE.read_text(encoding="utf-8").split(f"\n| `--{option}` |")
    rows, *_ = table.split("\n\n")
    assert sorted(re.findall(r"^\| `([\w-]+)`", rows, flags=re.MULTILINE)) == sorted(registry)
