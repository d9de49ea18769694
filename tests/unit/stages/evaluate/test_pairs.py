from __future__ import annotations

import numpy as np
import pytest

from ectool.errors import InputError
from ectool.stages.evaluate.pairs import common_content, paired_columns, read_evaluation


def test_suites_that_are_not_wanted_are_not_read(make_evaluation, tmp_path, listener):
    a, b = (
        read_evaluation(make_evaluation(tmp_path / name, skill=2, seed=seed, restarts=seed + 1))
        for seed, name in enumerate("ab")
    )
    common = common_content(a, b, listener, ["classification"])
    assert (common.suites, common.dataset) == (("classification",), None)
    pairs = paired_columns(a, b, common)
    assert set(pairs) == {"accuracy@original", "nll", "brier", "top5_accuracy"}
    for name, pair in pairs.items():
        assert np.mean(pair.first) == pytest.approx(a.results["metrics"][name]["value"])
        assert np.mean(pair.second) == pytest.approx(b.results["metrics"][name]["value"])


def test_something_else_is_no_evaluation(tmp_path):
    with pytest.raises(InputError, match="expected evaluation artifact, got no folder"):
        read_evaluation(tmp_path / "nothing")
