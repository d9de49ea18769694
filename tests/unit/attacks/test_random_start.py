from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from scipy import stats

from ectool.attacks.random_start import random_start

SHAPE = (3, 8, 8)
PINNED = [-0.227453113, -0.827411294, -0.20776093, 0.886930466]


def test_draw_is_the_documented_stream():
    key = hashlib.sha256(json.dumps([5, "cat/1", "perturb"]).encode()).digest()[:16]
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
    uniform = generator.random(3 * 8 * 8, dtype=np.float32).reshape(SHAPE)
    drawn = random_start(["cat/1"], 5, SHAPE, 0.25)[0]
    np.testing.assert_allclose(drawn, 0.5 * uniform - 0.25, atol=1e-7)


def test_draw_is_pinned_across_machines_and_versions():
    drawn = random_start(["0"], 0, (1, 1, 4), 1.0).flatten().tolist()
    assert drawn == pytest.approx(PINNED, abs=1e-7)


def test_batch_and_order_do_not_matter():
    ids = [f"sample-{i}" for i in range(9)]
    whole = random_start(ids, 1, SHAPE, 0.1)
    assert torch.equal(random_start(ids[::-1], 1, SHAPE, 0.1).flip(0), whole)
    for i, sample_id in enumerate(ids):
        assert torch.equal(random_start([sample_id], 1, SHAPE, 0.1)[0], whole[i])


def test_samples_and_seeds_differ():
    drawn = random_start(["1", "11"], 1, SHAPE, 0.1)
    other = random_start(["1", "1"], 11, SHAPE, 0.1)
    distinct = {tuple(sample.flatten().tolist()) for sample in torch.cat([drawn, other])}
    assert len(distinct) == 3


def test_draws_are_uniform_within_eps():
    eps = 2 / 255
    drawn = random_start([str(i) for i in range(40)], 0, (3, 16, 16), eps)
    assert drawn.shape == (40, 3, 16, 16)
    assert drawn.abs().max() <= np.float32(eps)
    uniform = stats.uniform(loc=-eps, scale=2 * eps)
    assert stats.kstest(drawn.flatten().numpy(), uniform.cdf).pvalue > 1e-3


def test_no_samples_and_no_radius():
    assert random_start([], 0, SHAPE, 0.1).shape == (0, *SHAPE)
    assert not random_start(["a"], 0, SHAPE, 0.0).any()
