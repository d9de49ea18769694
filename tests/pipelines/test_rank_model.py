"""The cost model of many ranks: exact where it can be counted, and its limits."""

from __future__ import annotations

import pytest

from benchmarks.ranks.model import Network, Parts, all_reduce, limit, map_stage, speedup, step

PARTS = Parts(start=3, launch=2, meet=0.5, image=0.01, listed=1e-5, verify=1e-4, barrier=0.001)


def test_one_rank_takes_the_sum_of_all_images():
    found = map_stage(PARTS, 1000, 1)
    assert sum(found.values()) == pytest.approx(3 + 1000 * (0.01 + 1e-5 + 1e-4))


@pytest.mark.parametrize(("images", "ranks", "own"), [(512, 2, 256), (513, 2, 512), (100, 64, 100)])
def test_shards_are_whole(images, ranks, own):
    found = map_stage(PARTS, images, ranks)
    assert found["images"] == pytest.approx(images / ranks * 0.01)
    assert found["images"] + found["whole shards"] == pytest.approx(own * 0.01)


def test_the_limit_depends_on_the_size():
    found = [limit(map_stage(PARTS, images, 64)) for images in (100, 20_000, 10_000_000)]
    assert found == ["launch and meet", "launch and meet", "verify and publish"]
    slow = Parts(start=3, launch=2, meet=0.5, image=1, listed=1e-5, verify=1e-4, barrier=0.001)
    assert limit(map_stage(slow, 3000, 64)) == "whole shards"
    most = (0.01 + 1e-5 + 1e-4) / (1e-5 + 1e-4)  # Amdahl
    assert speedup(map_stage(PARTS, 10**9, 1), map_stage(PARTS, 10**9, 10**6)) < most


def test_a_ring_sends_each_byte_twice_except_to_oneself():
    network = Network(latency=0, bandwidth=1e6)
    assert all_reduce(1e6, 1, network) == 0
    assert all_reduce(1e6, 4, network) == pytest.approx(2 * 3 / 4)
    slow = Network(latency=1, bandwidth=1e6)
    assert all_reduce(1e6, 4, slow) == pytest.approx(6 + 1.5)


def test_a_step_shares_the_batch():
    found = step(0.1, 10, 1e6, 4, Network(latency=0, bandwidth=1e6))
    assert found == pytest.approx({"images": 0.3, "all-reduce": 1.5})
