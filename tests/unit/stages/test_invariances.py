"""How samples are batched, stored and resumed never changes a result beyond rounding."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.config import ExplainConfig, PerturbConfig, ScoreConfig
from ectool.stages import explain, perturb, score

BATCHES = (1, 7, 64)


@pytest.fixture(scope="module")
def rounds(model, few_options, tmp_path_factory):
    """Return a round of perturb, explain and score for each batch size."""
    made = {}
    for size in BATCHES:
        folder = tmp_path_factory.mktemp(f"batch-{size}")
        shared = {"model": str(model), "device": "cpu", "batch_size": size}
        samples = perturb.run(
            PerturbConfig(**few_options | shared, output=folder / "adv.zarr"),
        ).path
        made[size] = {"samples": samples}
        # All of them explain the same images: a sample may differ in a few pixels already.
        shared["samples"] = made[1]["samples"]
        maps = explain.run(ExplainConfig(**shared, output=folder / "cams.zarr")).path
        made[size] |= {"heatmaps": maps, "weights": score.run(ScoreConfig(heatmaps=maps)).path}
    return made


@pytest.mark.parametrize("size", BATCHES[1:])
def test_perturbed_pixels_do_not_depend_on_the_batch(rounds, read, size):
    one, other = (read(rounds[n]["samples"]) for n in (1, size))
    assert (one["image"] != other["image"]).mean() < 0.005
    assert (one["background"] != other["background"]).mean() < 0.005
    np.testing.assert_allclose(one["logits_clean"], other["logits_clean"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", BATCHES[1:])
def test_heatmaps_do_not_depend_on_the_batch(rounds, read, size):
    """They agree to 1e-4 of their maximum, so to one step of float16 once they are stored."""
    one, other = (read(rounds[n]["heatmaps"]) for n in (1, size))
    for name in ("clean", "adversarial"):
        maps = one[name].astype(np.float64)
        highest = maps.max(axis=(1, 2), keepdims=True)
        allowed = 1e-4 * highest + np.spacing(one[name]).astype(np.float64)
        assert (np.abs(maps - other[name]) <= allowed).all()


@pytest.mark.parametrize("size", BATCHES[1:])
def test_consistency_does_not_depend_on_the_batch(rounds, read, size):
    one, other = (read(rounds[n]["weights"]) for n in (1, size))
    gap = np.abs(one["explanation_consistency"] - other["explanation_consistency"])
    assert np.nanmean(gap) <= 1e-3


def test_shards_of_any_size_hold_the_same(rounds, model, few_options, read, tmp_path):
    config = PerturbConfig(
        **few_options, model=str(model), batch_size=7, shard_size=14, output=tmp_path / "adv.h5"
    )
    one, other = read(rounds[7]["samples"]), read(perturb.run(config).path)
    for name, values in one.items():
        assert (np.asarray(values != other[name]).mean()) < 0.005, name
