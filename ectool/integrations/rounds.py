"""Weights of training samples, scored between the epochs of a training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ectool.api.measuring import consistency
from ectool.api.models import Model, classifier_of
from ectool.api.options import WeightOptions, named_as_arguments
from ectool.api.perturbing import perturb
from ectool.api.weighting import weights
from ectool.errors import InputError, UsageError
from ectool.integrations.batches import Samples, check_rows, keys_of, to_unit
from ectool.options import rounded_up

CHUNK = 1024
"""Samples that are read and scored at once; other backgrounds come from the same ones."""


class Rounds:
    """One weight per training sample, from the explanation consistency of the present network.

    ``v = (1 - E)^gamma`` of mean 1, as of `ectool score`, before the epochs that begin a round. A
    loop multiplies the loss of each sample by its weight::

        rounds = Rounds(ectool.wrap(network, mean=mean, std=std), dataset, epochs=epochs)
        for epoch in range(epochs):
            rounds.begin(epoch)
            for images, labels, rows in DataLoader(Rows(dataset), shuffle=True):
                losses = F.cross_entropy(network(images), labels, reduction="none")
                (rounds(rows) * losses).mean().backward()

    Args:
        model: The network in training, of :func:`ectool.wrap`, which tells the normalisation.
        dataset: The training samples by index: images as the network takes them, and labels. If it
            augments, samples are scored as it returns them.
        epochs: Number of epochs of the whole training.
        start: Share of the epochs with weights of 1 before the first round.
        every: Epochs of a round.
        attack: Options of :func:`ectool.perturb` for the perturbed images. Default: other
            backgrounds, as in :func:`ectool.consistency`.
        seed: Seed of backgrounds and attacks.
        batch_size: Images in a forward pass.
        options: ``gamma``, ``momentum``, ``cap`` and ``floor``.

    Raises:
        UsageError: An option is out of bounds.

    Cost: a round reads all samples, and computes the heatmaps of each before and after the change.
    """

    @named_as_arguments
    def __init__(
        self,
        model: Model,
        dataset: Samples,
        *,
        epochs: int,
        start: float = 0.2,
        every: int = 1,
        attack: Mapping[str, Any] | None = None,
        seed: int = 0,
        batch_size: int = 64,
        **options: Unpack[WeightOptions],
    ) -> None:
        if not 0 <= start <= 1 or every < 1:
            raise UsageError(
                "start" if every >= 1 else "every",
                expected="a share in [0, 1]" if every >= 1 else "at least 1",
                got=str(start if every >= 1 else every),
                fix="change it",
            )
        weights([0.5], **options)  # refuses options before the first epoch
        self.model, self.dataset, self.options = model, dataset, options
        self.begins, self.every = rounded_up(start, epochs), every
        self.attack = None if attack is None else dict(attack)
        self.seed, self.batch_size = seed, batch_size
        self.weights: Float[Tensor, "n"] = torch.ones(len(dataset))
        self._is_scored = False

    def begin(self, epoch: int) -> bool:
        """Score the samples if a round begins with this epoch, or is missing.

        Args:
            epoch: From 0.

        Returns:
            Whether the weights are new.

        Raises:
            InputError: Samples are not valid.
        """
        due = (epoch - self.begins) % self.every == 0 or not self._is_scored
        if epoch < self.begins or not due:
            return False
        previous = self.weights.cpu().numpy() if self._is_scored else None
        found = weights(self.score(), previous=previous, **self.options)
        self.weights, self._is_scored = torch.from_numpy(found), True
        return True

    def score(self) -> Float[np.ndarray, "n"]:
        """Return the explanation consistency of all samples with the present network."""
        total = len(self.dataset)
        # A last chunk of one sample would have no other background.
        parts = np.array_split(np.arange(total), max(1, -(-total // CHUNK)))
        return np.concatenate([self._score(part) for part in parts])

    def __call__(self, rows: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return the weights of samples, on the device of `rows`.

        Args:
            rows: Numbers of the samples in the data set.

        Raises:
            InputError: A number is not one of the data set.
        """
        check_rows(rows, len(self.weights))
        return self.weights.to(rows.device)[rows]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the weights; empty before the first round."""
        return {"weights": self.weights} if self._is_scored else {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load the result of :meth:`state_dict`.

        Raises:
            InputError: It is that of another number of samples.
        """
        if not state:
            return
        found = state["weights"].float().cpu()
        if found.shape != self.weights.shape:
            raise InputError(
                "weights",
                expected=f"{len(self.weights)}, one per sample",
                got=str(len(found)),
                fix="resume on the same data set",
            )
        self.weights, self._is_scored = found, True

    def _score(self, rows: Int64[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
        images, labels = self._read(rows)
        size = images.shape[2], images.shape[3]
        with classifier_of(self.model, size) as classifier:
            mean, std = classifier.mean.cpu(), classifier.std.cpu()
        pixels = to_unit(images, mean, std, check=True)
        shared: dict[str, Any] = {
            **{"seed": self.seed, "ids": rows, "batch_size": self.batch_size},
        }
        perturbed = None
        if self.attack is not None:
            perturbed = perturb(self.model, pixels, labels, **shared, **self.attack)
        found = consistency(self.model, pixels, labels, perturbed=perturbed, **shared)
        return found.explanation_consistency

    def _read(self, rows: Int64[np.ndarray, "m"]) -> tuple[Tensor, Tensor]:
        """Return images and labels of samples as tensors on the CPU."""
        samples = [self.dataset[int(row)] for row in rows]
        images, labels = keys_of(samples[0], "sample of the data set")
        stacked = [torch.as_tensor(sample[images]).cpu() for sample in samples]
        return torch.stack(stacked), torch.stack([torch.as_tensor(s[labels]) for s in samples])
