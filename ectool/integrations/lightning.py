"""Callbacks of the Trainer of Lightning, for image classification."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ectool.api.models import Model, wrap
from ectool.errors import InputError
from ectool.integrations.batches import Batch, Key, keys_of, missing_rows, rows_of
from ectool.integrations.in_batch import InBatch
from ectool.integrations.rounds import Rounds

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "lightning is not installed; pip install 'ectool[integrations]'", name=error.name
    ) from error

WEIGHTS = "sample_weights"
"""Attribute of the module with the weights of the present batch."""


class InBatchCallback(Callback):
    """Train on perturbed images and weights that are made in each step; see :class:`InBatch`.

    ::

        Trainer(max_epochs=30, callbacks=[InBatchCallback(mean, std)])

    The callback replaces the images of each batch before ``training_step``, and sets the weights of
    its samples as ``self.sample_weights`` of the module. The step uses them in its loss, if the
    objective has weights::

        losses = F.cross_entropy(self(images), labels, reduction="none")
        return (self.sample_weights * losses).mean()

    Args:
        mean: Mean of each channel of the normalisation.
        std: Standard deviation of each channel.
        network: Name of the submodule that maps normalised images to logits; empty for the module.
        layer: Target layer of the heatmaps; ``auto`` finds it.
        options: Arguments of :class:`InBatch`, without `epochs` and `steps`.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        network: str = "",
        layer: str | Sequence[str] = "auto",
        **options: Any,  # noqa: ANN401 (those of InBatch)
    ) -> None:
        self._normalisation, self._network, self._layer = (mean, std), network, layer
        self._options = options
        InBatch(wrap(nn.Identity(), mean, std), epochs=1, **options)  # refuses options at once
        self.in_batch: InBatch | None = None
        self._state: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wrap the network."""
        model = _wrapped(pl_module, self._network, self._normalisation, self._layer)
        steps = trainer.num_training_batches
        self.in_batch = InBatch(
            model,
            epochs=_epochs(trainer),
            steps=int(steps) if steps != float("inf") else None,
            **self._options,
        )
        self.in_batch.load_state_dict(self._state)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin an epoch."""
        if self.in_batch is not None:
            self.in_batch.begin(trainer.current_epoch)

    def on_train_batch_start(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Replace the images of the batch, and set the weights."""
        if self.in_batch is not None:
            images, labels = keys_of(batch)
            learned = self.in_batch(_entry(batch, images), _entry(batch, labels), rows_of(batch))
            _replace(batch, images, learned.images)
            setattr(pl_module, WEIGHTS, learned.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what the training keeps per sample, for checkpoints."""
        return {} if self.in_batch is None else dict(self.in_batch.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the result of :meth:`state_dict`."""
        self._state = state_dict


class RoundsCallback(Callback):
    """Train with weights that are scored between epochs; see :class:`Rounds`.

    ::

        loader = DataLoader(Rows(data), batch_size=64, shuffle=True)
        Trainer(max_epochs=30, callbacks=[RoundsCallback(data, mean, std)]).fit(module, loader)

    The callback sets the weights of each batch as ``self.sample_weights`` of the module;
    ``training_step`` uses them in its loss. Weights are a part of checkpoints.

    Args:
        dataset: The training samples, without :class:`Rows`: images as the network takes them, and
            labels.
        mean: Mean of each channel of the normalisation.
        std: Standard deviation of each channel.
        network: Name of the submodule that maps normalised images to logits; empty for the module.
        layer: Target layer of the heatmaps; ``auto`` finds it.
        options: Arguments of :class:`Rounds`, without `epochs`.
    """

    def __init__(
        self,
        dataset: Any,  # noqa: ANN401 (of other programs)
        mean: Sequence[float],
        std: Sequence[float],
        *,
        network: str = "",
        layer: str | Sequence[str] = "auto",
        **options: Any,  # noqa: ANN401 (those of Rounds)
    ) -> None:
        self._dataset, self._options = dataset, options
        self._normalisation, self._network, self._layer = (mean, std), network, layer
        Rounds(wrap(nn.Identity(), mean, std), dataset, epochs=1, **options)
        self.rounds: Rounds | None = None
        self._state: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wrap the network."""
        model = _wrapped(pl_module, self._network, self._normalisation, self._layer)
        self.rounds = Rounds(model, self._dataset, epochs=_epochs(trainer), **self._options)
        self.rounds.load_state_dict(self._state)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Score the samples if a round begins."""
        if self.rounds is not None:
            self.rounds.begin(trainer.current_epoch)

    def on_train_batch_start(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Set the weights of the batch."""
        rows = rows_of(batch)
        if rows is None:
            raise missing_rows()
        if self.rounds is not None:
            setattr(pl_module, WEIGHTS, self.rounds(rows).to(pl_module.device))

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, for checkpoints."""
        return {} if self.rounds is None else dict(self.rounds.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the result of :meth:`state_dict`."""
        self._state = state_dict


def _wrapped(
    module: nn.Module,
    network: str,
    normalisation: tuple[Sequence[float], Sequence[float]],
    layer: str | Sequence[str],
) -> Model:
    return wrap(module.get_submodule(network), *normalisation, layer)


def _epochs(trainer: Trainer) -> int:
    """Return the number of epochs, which the schedule depends on.

    Raises:
        InputError: The training has no end in epochs.
    """
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        return trainer.max_epochs
    raise InputError(
        "max_epochs of the Trainer",
        expected="a number of epochs, which the schedule depends on",
        got=str(trainer.max_epochs),
        fix="give max_epochs",
    )


def _entry(batch: Batch, key: Key) -> Tensor:
    found: Tensor = batch[key]  # type: ignore[index]
    return found


def _replace(batch: Batch, key: Key, images: Tensor) -> None:
    """Replace the images of a batch, which lists and dicts allow; in place in tuples."""
    if isinstance(batch, MutableMapping | list):
        batch[key] = images  # type: ignore[index]
    elif not isinstance(batch, Mapping):
        with torch.no_grad():
            _entry(batch, key).copy_(images)
