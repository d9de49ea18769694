from __future__ import annotations

import numpy as np
import pytest

from ectool.corruptions.plasma import plasma


def by_points(side, decay, generator):
    """Diamond-square, a point at a time, on a torus."""
    heights = np.zeros((side, side))
    step, amplitude = side, 1.0
    while step > 1:
        half, count = step // 2, side // step
        noise = generator.uniform(-amplitude, amplitude, (3, count, count))
        corner, edge = [(-half, -half), (-half, half), (half, -half), (half, half)], []
        edge = [(-half, 0), (half, 0), (0, -half), (0, half)]
        for kind, (down, right), around in [
            (0, (half, half), corner),
            (1, (0, half), edge),
            (2, (half, 0), edge),
        ]:
            for i, j in np.ndindex(count, count):
                y, x = i * step + down, j * step + right
                four = [heights[(y + dy) % side, (x + dx) % side] for dy, dx in around]
                heights[y, x] = sum(four) / 4 + noise[kind, i, j]
        step, amplitude = half, amplitude / decay**2
    return (heights - heights.min()) / (heights.max() - heights.min())


@pytest.mark.parametrize(("side", "decay"), [(2, 2.0), (16, 1.5), (32, 3.0)])
def test_plasma_is_diamond_square(side, decay):
    found = plasma(side, decay, [np.random.default_rng(seed) for seed in (7, 8)])
    expected = [by_points(side, decay, np.random.default_rng(seed)) for seed in (7, 8)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_heights_reach_from_zero_to_one_and_more_decay_is_smoother():
    rough, soft = (plasma(64, decay, [np.random.default_rng(0)])[0] for decay in (1.4, 3.0))
    assert (rough.min(), rough.max(), soft.min(), soft.max()) == (0, 1, 0, 1)
    assert np.abs(np.diff(rough)).mean() > 2 * np.abs(np.diff(soft)).mean()
