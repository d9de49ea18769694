"""`--batch-size auto`: the first size, which is halved where memory runs out."""

from __future__ import annotations

from typing import TypeVar

from ectool.config import DeviceOptions, MapOptions
from ectool.config.groups import AUTO_SIZE, AutomaticSize
from ectool.stages.common.devices import CPU

Given = TypeVar("Given", bound=MapOptions)


def sized(options: Given, size: tuple[int, int]) -> Given:
    """Return the options with a number as batch size.

    The first automatic size is that of :func:`ectool.models.memory.first_batch`, and at most a
    shard, because no batch crosses a shard.

    Args:
        options: The options.
        size: (height, width) of the images.
    """
    if options.batch_size != AUTO_SIZE:
        return options
    from ectool.models.memory import first_batch
    from ectool.stages.common.loaded import find_device

    device = find_device(options.device if isinstance(options, DeviceOptions) else CPU)
    first = AutomaticSize(min(first_batch(size, device), options.shard_size))
    return options.model_copy(update={"batch_size": first})
