"""Several processes that train one model: what they share of its folder. No torch alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ectool.artifacts import folder
from ectool.artifacts.folder import PartialFolder
from ectool.artifacts.manifest import Recipe
from ectool.config import TrainConfig
from ectool.distributed.group import Group, joined
from ectool.distributed.world import World, world

if TYPE_CHECKING:  # it imports torch
    from ectool.training.ranks.ranks import Ranks


@contextmanager
def joined_for(config: TrainConfig) -> Iterator[Group]:
    """Join the processes of this job on the device of the options.

    Raises:
        PeerError: One did not come in time.
        UsageError: This machine has no such device.
    """
    with joined("cpu" if world().is_alone else _own_device(config)) as group:
        yield group


def _own_device(config: TrainConfig) -> str:
    """Choose the accelerator of this process among those of the machine, and return its kind."""
    import torch

    from ectool.stages.common.loaded import pick_device

    device = pick_device(config)
    if device.type != "cpu" and device == torch.device(device.type):
        count = torch.accelerator.device_count()
        torch.accelerator.set_device_index(world().local_rank % count)
    return device.type


@contextmanager
def building(output: Path, recipe: Recipe, group: Group) -> Iterator[PartialFolder]:
    """Hold the lock of an unfinished folder artifact in the first process, for all.

    Args:
        output: Path of the artifact.
        recipe: Inputs and options.
        group: The processes; the others only read the folder.

    Raises:
        InputError: A process of another job holds the lock.
    """
    if not group.world.is_first:
        group.barrier()
        yield PartialFolder(output, recipe)
        return
    with folder.building(output, recipe) as partial:
        group.barrier()
        yield partial


def ranks_of(group: Group) -> Ranks:
    """Return the ranks that train together, one for each process."""
    from ectool.training.ranks.ranks import ALONE, Ranks

    here = group.world
    return ALONE if here.is_alone else Ranks(here.size, here.rank, group)


def ranks_used(world: World) -> dict[str, str | int]:
    """Return the number of processes for the manifest; nothing for one."""
    return {} if world.is_alone else {"processes": world.size}
