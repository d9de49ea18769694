"""Add the loss of interpretable filters to any objective."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from ectool.models.classifier import Classifier
from ectool.models.modes import frozen, graph_free
from ectool.models.objective import Labels
from ectool.models.precision import full_precision
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.interpretable.base import FilterLoss
from ectool.training.objectives.base import Batches, Objective


class BesideFilters(Objective):
    """Minimize ``objective + strength * filter loss``.

    The maps are those of the last pass that the objective takes in training mode, with a graph to
    the weights, over as many images as the batch; if there is none, of one more pass. The labels
    are those of the batch, and sample weights do not count.

    Args:
        objective: The loss of the predictions.
        filters: The loss of the maps.
        layer: Name of the layer in the network.
        strength: Factor of the loss of the maps.
    """

    def __init__(
        self, objective: Objective, filters: FilterLoss, layer: str, strength: float
    ) -> None:
        super().__init__()
        self.objective, self.filters = objective, filters
        self.layer, self.strength = layer, strength

    def begin(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Batches,
        position: Position,
    ) -> None:
        """Prepare the objective, then the loss of the filters."""
        self.objective.begin(model, optimizer, batches, position)

        def maps() -> Iterator[tuple[Tensor, Labels]]:
            for batch in batches():
                with graph_free(), frozen(model), recorded(model, self.layer) as outputs:
                    model(batch.pixels)
                yield batch.part.whole(outputs[-1]), batch.part.whole(batch.labels)

        self.filters.begin(maps, position)

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the sum of both losses, and the predictions of the objective."""
        with recorded(model, self.layer) as outputs:
            loss, logits = self.objective(model, batch, position)
            own = [x for x in outputs if x.requires_grad and len(x) == len(batch.labels)]
            if not own:
                model(batch.pixels)
                own = outputs
        part = batch.part
        with full_precision(batch.pixels.device):
            maps = part.whole(own[-1].float())
            term: Tensor = self.filters(maps, part.whole(batch.labels))
        return BatchLoss(loss + self.strength * term, logits)

    def after(self, model: nn.Module, batch: TrainingBatch, position: Position) -> None:
        """Update the state of the objective."""
        self.objective.after(model, batch, position)


@contextmanager
def recorded(model: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Record the outputs of a layer, before masks, in the mode that the model has now.

    Yields:
        The list that the outputs are appended to.
    """
    outputs: list[Tensor] = []
    module = cast(Classifier, model).network.get_submodule(layer)
    mode = model.training

    def record(module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if module.training == mode and isinstance(output, Tensor):
            outputs.append(output)

    # Prepended, so that it receives the output before the mask of the layer.
    handle = module.register_forward_hook(record, prepend=True)
    try:
        yield outputs
    finally:
        handle.remove()
