from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from scipy import stats

from ectool.attacks.random_start import (
    exponential,
    normal,
    other_rows,
    start_streams,
    uniform,
)
from ectool.errors import InputError

SHAPE = (3, 8, 8)
PINNED = [-0.227453113, -0.827411294, -0.20776093, 0.886930466]


def philox(parts: list[str | int]) -> np.random.Generator:
    key = hashlib.sha256(json.dumps(parts).encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


@pytest.mark.parametrize(("restart", "more"), [(0, []), (2, [2])])
def test_draw_is_the_documented_stream(restart, more):
    expected = philox([5, "cat/1", "perturb", *more]).random(3 * 8 * 8, dtype=np.float32)
    drawn = uniform(start_streams(["cat/1"], 5, restart), SHAPE)[0]
    np.testing.assert_allclose(drawn, 2 * expected.reshape(SHAPE) - 1, atol=1e-7)


def test_draw_is_pinned_across_machines_and_versions():
    drawn = uniform(start_streams(["0"], 0), (1, 1, 4)).flatten().tolist()
    assert drawn == pytest.approx(PINNED, abs=1e-7)


@pytest.mark.parametrize("draw", [uniform, normal, lambda streams, _: exponential(streams)])
def test_batch_and_order_do_not_matter(draw):
    ids = [f"sample-{i}" for i in range(9)]
    whole = draw(start_streams(ids, 1), SHAPE)
    assert torch.equal(draw(start_streams(ids[::-1], 1), SHAPE).flip(0), whole)
    for i, sample_id in enumerate(ids):
        assert torch.equal(draw(start_streams([sample_id], 1), SHAPE)[0], whole[i])


def test_samples_seeds_and_restarts_differ():
    streams = [
        *start_streams(["1", "11"], 1),
        *start_streams(["1"], 11),
        *start_streams(["1"], 1, restart=1),
    ]
    distinct = {tuple(sample.flatten().tolist()) for sample in uniform(streams, SHAPE)}
    assert len(distinct) == 4


def test_draws_have_their_distributions():
    def draws(draw):
        return draw(start_streams([str(i) for i in range(40)], 0), (3, 16, 16)).flatten().numpy()

    assert np.abs(draws(uniform)).max() <= 1
    assert stats.kstest(draws(uniform), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert stats.kstest(draws(normal), stats.norm.cdf).pvalue > 1e-3
    tails = exponential(start_streams([str(i) for i in range(500)], 0))
    assert stats.kstest(tails.numpy(), stats.expon.cdf).pvalue > 1e-3


def test_no_samples():
    assert uniform([], SHAPE).shape == (0, *SHAPE)


class TestOtherRows:
    def test_every_other_row_is_equally_likely_in_any_batch(self):
        ids = [f"s{row}" for row in range(3000)]
        found = other_rows(ids, 0, np.zeros(3000, int), 4)
        assert stats.chisquare(np.bincount(found, minlength=4)[1:]).pvalue > 1e-3
        assert not (found == 0).any()
        assert other_rows(ids[40:41], 0, np.array([0]), 4)[0] == found[40]
        assert (other_rows(ids, 1, np.zeros(3000, int), 4) != found).any()

    def test_the_draw_is_the_documented_stream(self):
        steps = [philox([2, name, "swap"]).integers(1, 7) for name in "ab"]
        rows = np.array([1, 6])
        assert other_rows("ab", 2, rows, 7).tolist() == ((rows + steps) % 7).tolist()

    def test_one_image_has_no_other(self):
        with pytest.raises(InputError, match=r"--attack swap: expected at least two images"):
            other_rows(["a"], 0, np.array([0]), 1)
