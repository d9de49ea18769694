"""No file gives trust to itself."""

from __future__ import annotations

import pytest

from ectool.config import STAGES
from ectool.config.trust import TRUST, check_no_trust
from ectool.errors import UsageError


@pytest.mark.parametrize(
    "table",
    [
        {"trust_code": False},
        {"train": {"trust-code": 1}},
        {"cells": [{"over": {"train.trust_code": [True]}}]},
        {"experiment": {"arms": {"a": {"train": {"trust_code": True}}}}},
    ],
)
def test_no_entry_at_any_depth_gives_trust(table):
    message = r"c\.toml: [a-z.]*trust.code: expected no such entry, .* give --trust-code"
    with pytest.raises(UsageError, match=message):
        check_no_trust(table, "c.toml")


def test_other_entries_are_allowed():
    check_no_trust({"train": {"model": "import:a:b", "layer": ["trust", 1]}}, "c.toml")


def test_every_command_that_loads_models_has_the_option():
    assert {name for name, model in STAGES.items() if "model" in model.model_fields} == {
        name for name, model in STAGES.items() if TRUST in model.model_fields
    }
