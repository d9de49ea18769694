from __future__ import annotations

from ectool.artifacts.jobs import writers
from ectool.artifacts.manifest import Recipe
from ectool.config import TrainConfig
from ectool.distributed.group import Group
from ectool.distributed.world import World
from ectool.stages.train.joining import building, joined_for, ranks_of, ranks_used
from ectool.training.ranks.ranks import ALONE


def test_one_process_holds_the_folder_alone(tmp_path):
    recipe = Recipe(kind="model", stage="train", config={})
    with joined_for(TrainConfig(output=tmp_path / "m")) as group:
        assert ranks_of(group) is ALONE
        assert ranks_used(group.world) == {}
        with building(tmp_path / "m", recipe, group) as partial:
            assert writers.lock_of(tmp_path / "m").exists()
            assert partial.scratch.is_dir()


def test_ranks_are_the_processes_of_the_job():
    group = Group(World(2, 3))
    ranks = ranks_of(group)
    assert (ranks.rank, ranks.size, ranks.sums) == (2, 3, group)
    assert ranks_used(group.world) == {"processes": 3}
