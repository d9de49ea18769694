from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ectool.corruptions.backgrounds import TILES, replaced_share, replacement_order
from ectool.seeding import stream


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 9),
)
def test_a_larger_share_contains_the_smaller_one(height, width, shares, seed):
    mask = stream(seed, "mask").random((1, height, width)) < 0.3
    less, more = (replaced_share(mask, ["a"], share, seed)[0] for share in sorted(shares))
    assert not (less & ~more).any()
    assert not (more & mask[0]).any()
    background = int((~mask).sum())
    assert less.sum() == round(min(shares) * background)
    assert more.sum() == round(max(shares) * background)


def test_the_background_is_replaced_tile_by_tile():
    times = replacement_order(np.ones((224, 224), np.bool_), stream(0, "tiles"))
    tiles = times.reshape(TILES, 16, TILES, 16).swapaxes(1, 2).reshape(-1, 256)
    assert (tiles.max(1) - tiles.min(1) == 255).all()
    turn = tiles.min(1) // 256
    assert sorted(turn) == list(range(TILES**2))
    assert turn.tolist() != sorted(turn)
    assert np.array_equal(np.sort(times.ravel()), np.arange(224**2))


def test_draws_depend_on_seed_and_sample():
    masks = np.zeros((3, 32, 32), np.bool_)
    drawn = replaced_share(masks, ["a", "b", "c"], 0.5, 4)
    np.testing.assert_array_equal(replaced_share(masks[:1], ["b"], 0.5, 4)[0], drawn[1])
    assert (drawn[0] != drawn[1]).any()
    assert (replaced_share(masks[:1], ["b"], 0.5, 5)[0] != drawn[1]).any()
