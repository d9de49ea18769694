"""The objectives of a training, with the loss of interpretable filters beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ectool.config import TrainConfig
from ectool.config.interpretable import NONE
from ectool.models.classifier import Classifier
from ectool.seeding import stream
from ectool.stages.train.feed import Feed
from ectool.training.interpretable import beside
from ectool.training.objectives import OBJECTIVES, Objective, Setup
from ectool.training.objectives.erm import ERM


def make_objectives(
    config: TrainConfig, feed: Feed, model: Classifier
) -> tuple[Objective, Objective]:
    """Make the objective of a training, and that of the epochs before; both on the device.

    With `--interpretable`, both share the loss of the filters, and the layer of the model is masked
    from here on if the method has masks.
    """
    with_filters = _beside_filters(config, model)
    height, width = feed.dataset.size
    setup = Setup(
        {**config.settings(), "mix": config.mix},
        model,
        feed.labels.to(feed.device),
        feed.groups,
        (3, height, width),
        moves=feed.augmentation.moves,
    )
    with seeded(config.seed, 0, feed.device):
        objective = OBJECTIVES[config.objective](setup)
    first, second = with_filters(objective), with_filters(ERM(setup))
    return first.to(feed.device), second.to(feed.device)


def _beside_filters(config: TrainConfig, model: Classifier) -> Callable[[Objective], Objective]:
    """Return a function that puts the loss of filters beside an objective, if there is one."""
    if config.interpretable == NONE:
        return lambda objective: objective
    return beside(
        config.interpretable,
        model,
        layer=config.interpretable_layer,
        settings=config.filter_settings(),
    )


@contextmanager
def seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Draw dropout from (seed, epoch), the same after resuming; restore the random state.

    Args:
        seed: Seed of the training.
        epoch: Epoch, from 0.
        device: The device that draws; the state of other GPUs is not read, which would claim memory
            on each of them.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(stream(seed, epoch, "dropout").integers(2**63)))
        yield
