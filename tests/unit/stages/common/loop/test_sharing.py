"""Which shards a process computes, and how rank 0 follows the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import DoctorConfig, ExplainConfig
from ectool.config.parts import Part
from ectool.distributed.group import Group
from ectool.distributed.world import World
from ectool.errors import MachineError
from ectool.stages.common.loop import sharing
from ectool.stages.common.loop.sharing import Share, Watch, part_of

RECIPE = Recipe(kind="weights", stage="score", config={})


def rows(start, stop):
    values = np.arange(start, stop, dtype=np.float32)
    names = ("similarity", "stability", "explanation_consistency", "weight")
    ids = np.array([f"s{n}" for n in range(start, stop)], dtype=object)
    return {"sample_id": ids.astype(np.dtypes.StringDType()), **dict.fromkeys(names, values)}


@pytest.fixture
def partial(tmp_path):
    with growing(tmp_path / "w.zarr", RECIPE, length=10, shard_size=4) as partial:
        yield partial


@given(st.lists(st.integers(0, 99), unique=True), st.integers(1, 7))
def test_every_missing_shard_belongs_to_one_process(missing, size):
    shares = [Share(Group(World(rank, size))).own(missing) for rank in range(size)]
    assert sorted(number for own in shares for number in own) == sorted(missing)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_missing_shards_of_a_part(partial):
    assert Share(Group(World())).missing((partial,)) == [0, 1, 2]
    partial.write(0, rows(0, 4), {})
    assert Share(Group(World()), Part(1, 1)).missing((partial,)) == [1, 2]
    assert Share(Group(World()), Part(2, 3)).missing((partial,)) == [1]
    assert Share(Group(World()), Part(1, 3)).missing((partial,)) == []


def test_rank_0_counts_the_shards_of_others(partial, monkeypatch):
    monkeypatch.setattr(sharing, "LOOK", 0)
    counts = []
    watch = Watch(World(0, 2), (partial,), {0, 2}, counts.append)
    watch.count(4)
    partial.write(2, rows(8, 10), {})
    watch.look()
    partial.write(0, rows(0, 4), {})
    watch.look()
    watch.look()
    assert counts == [4, 2, 4]


def test_other_ranks_count_nothing_else(partial):
    counts = []
    partial.write(0, rows(0, 4), {})
    Watch(World(1, 2), (partial,), {0}, counts.append).count(3)
    assert counts == [3]


def test_shards_that_never_become_visible(partial, monkeypatch):
    monkeypatch.setattr(sharing, "LATE", 0)
    with pytest.raises(MachineError, match=r"w.zarr: shards \[0, 1, 2\]: expected the shards that"):
        sharing._see((partial,))


def test_the_part_of_options():
    assert part_of(ExplainConfig(model="m", output="a.zarr", shard="1/2")) == Part(1, 2)
    assert part_of(DoctorConfig()) is None
