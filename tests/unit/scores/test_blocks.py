from __future__ import annotations

import numpy as np

from ectool.scores.blocks import BLOCK_ELEMENTS, blockwise


def test_every_sample_is_scored_once_and_blocks_are_bounded():
    maps = np.arange(3 * BLOCK_ELEMENTS // 16, dtype=np.float32)[:, None].repeat(40, axis=1)
    sizes = []

    def first(block, labels):
        sizes.append(block.size)
        return block[:, 0] + labels

    scores = blockwise(first, maps, np.ones(len(maps)))
    np.testing.assert_array_equal(scores, maps[:, 0] + 1)
    assert len(sizes) > 1
    assert max(sizes) <= BLOCK_ELEMENTS
    assert sum(sizes) == maps.size


def test_one_sample_larger_than_a_block():
    maps = np.ones((2, BLOCK_ELEMENTS + 1), dtype=np.float32)
    assert blockwise(lambda block: block.sum(axis=1), maps).tolist() == [BLOCK_ELEMENTS + 1] * 2
