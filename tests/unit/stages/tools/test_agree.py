from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from ectool.config import AgreeConfig
from ectool.errors import InputError
from ectool.stages.tools import agree

COUNT = 6


@pytest.fixture
def store(write, tmp_path):
    """Return a function that writes heatmaps."""

    def make(name, maps, ids=None, targets=None):
        arrays = {
            "sample_id": np.array(ids or list("abcdef"), np.dtypes.StringDType()),
            "label": np.arange(COUNT),
            "target": np.arange(COUNT) if targets is None else targets,
            "clean": maps,
            "logits_clean": np.zeros((COUNT, COUNT), np.float32),
        }
        return write(tmp_path / f"{name}.zarr", "heatmaps", arrays)

    return make


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((2, COUNT, 5, 5)).astype(np.float32)


def run(a, b):
    return agree.run(AgreeConfig(a=a, b=b, bootstrap=100))["agreement"]


def test_images_are_joined_on_their_ids_and_ranked_as_by_scipy(store, maps):
    order = np.array([3, 1, 0, 5, 4, 2])
    a = store("a", maps[0])
    b = store("b", maps[1][order], [list("abcdef")[row] for row in order], order)
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(*maps, strict=True)]
    line = run(a, b)["rank_correlation"]
    assert line["value"] == pytest.approx(np.mean(expected))
    assert line["low"] < line["value"] < line["high"]
    assert line["n"] == COUNT


def test_a_heatmap_agrees_with_itself_on_any_scale(store, maps):
    for line in run(store("a", maps[0]), store("b", 3 * maps[0])).values():
        assert line["value"] == pytest.approx(1)


def test_maps_that_show_nothing_do_not_count(store, maps):
    maps[0, 2] = 0
    assert {line["n"] for line in run(store("a", maps[0]), store("b", maps[1])).values()} == {5}


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"ids": list("abcdeg")}, r"expected all 6 samples, got 1 missing, the first 'g'"),
        ({"targets": np.array([0, 1, 2, 3, 5, 5])}, "got another class for 'e'"),
    ],
)
def test_what_cannot_be_compared_is_refused(given, match, store, maps):
    with pytest.raises(InputError, match=match):
        run(store("a", maps[0]), store("b", maps[1], **given))


def test_maps_of_other_sizes_are_refused(store, maps):
    with pytest.raises(InputError, match=r"expected heatmaps of shape \(5, 5\).*--store-size"):
        run(store("a", maps[0]), store("b", maps[1][:, :4]))
