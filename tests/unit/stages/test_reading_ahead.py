"""Number of readers and automatic batch size: other ways to the same arrays."""

import pytest

from ectool.config import ExplainConfig, PerturbConfig
from ectool.stages import explain, perturb


@pytest.mark.parametrize("suffix", [".zarr", pytest.param(".h5", marks=pytest.mark.slow)])
def test_several_readers_give_the_same_arrays(suffix, model, few_options, read, tmp_path):
    given = {"model": str(model), "shard_size": 16, "batch_size": 4, **few_options}
    found = []
    for workers in (1, 4):
        options = {**given, "workers": workers}
        pairs = tmp_path / f"adv-{workers}{suffix}"
        perturb.run(PerturbConfig(**options, steps=1, output=pairs))
        maps = tmp_path / f"cams-{workers}{suffix}"
        explain.run(ExplainConfig(**options, samples=pairs, output=maps))
        found.append({**read(pairs), **read(maps)})
    assert all((found[0][name] == found[1][name]).all() for name in found[0])


def test_an_automatic_batch_gives_the_arrays_of_its_number(model, few_options, read, tmp_path):
    found = []
    for size in ("auto", 30):
        config = ExplainConfig(
            model=str(model), batch_size=size, output=tmp_path / f"{size}.zarr", **few_options
        )
        found.append(read(explain.run(config).path))
    assert all((found[0][name] == found[1][name]).all() for name in found[0])
