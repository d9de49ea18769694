"""Explanation consistency inside each step of a training loop of another program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ectool.api.models import Model, classifier_of
from ectool.api.options import configured, named_as_arguments
from ectool.config.objectives import OBJECTIVE_OPTIONS, ONLINE, REPLACING, START, ObjectiveOptions
from ectool.errors import InputError, UsageError
from ectool.integrations.batches import check_images, check_labels, check_rows, to_unit
from ectool.models.classifier import Classifier
from ectool.options import rounded_up
from ectool.stages.train.objective import seeded
from ectool.training.batch import Position, TrainingBatch, step_generator
from ectool.training.objectives import OBJECTIVES, Setup
from ectool.training.objectives.explanation_consistency import ExplanationConsistency

MAX_BATCH = 65536
"""Largest batch without numbers of samples."""
_BY_LOSS = "rate"
"""Weighting that needs the loss, and so cannot be prepared before it."""
NAMES = tuple(
    name
    for name, made in OBJECTIVES.items()
    if made is ExplanationConsistency and OBJECTIVE_OPTIONS[name]["weighting"] != _BY_LOSS
)
"""Objectives that can be prepared before the loss."""


class Settings(TypedDict, total=False):
    """Options of the objective, as of `ectool train`; see docs/objectives.md."""

    objective_start: float
    eps: float
    attack_steps: int
    object_eps: float
    object_ramp: float
    mask_source: Literal["gradient", "heatmap", "other"]
    mask_level: float
    mask_sigma: float
    swap: float
    weighting: Literal["uniform", "consistency", "permuted", "random"]
    gamma: float
    cap: float
    weight_momentum: float
    scored_epochs: int


class Learned(NamedTuple):
    """What a step learns from.

    Attributes:
        images: The images of the batch, some of them perturbed, normalised as they were given.
        weights: Weight of each image in the loss; 1 for the objective `ec`.
    """

    images: Float[Tensor, "n 3 h w"]
    weights: Float[Tensor, "n"]


class InBatch:
    """Perturbed images and weights for each batch, by the objective `ec` of `ectool train`.

    Before its own forward pass, a loop calls it with the batch, and learns from what it returns::

        in_batch = InBatch(ectool.wrap(network, mean=mean, std=std), epochs=epochs)
        for epoch in range(epochs):
            in_batch.begin(epoch)
            for images, labels in loader:
                images, weights = in_batch(images, labels)
                losses = F.cross_entropy(network(images), labels, reduction="none")
                optimizer.zero_grad()
                (weights * losses).mean().backward()
                optimizer.step()

    Modes, gradients and hooks of the network, and the state of torch's random numbers, stay as they
    were. Random numbers depend on seed, epoch and step only, so a training that is resumed at an
    epoch continues in the same way.

    Args:
        model: The network in training, of :func:`ectool.wrap`, which tells the normalisation.
        epochs: Number of epochs of the whole training.
        steps: Steps per epoch; with it, the radius on the object rises in every step, as in
            `ectool train`, else in every epoch.
        objective: `ec`, or a part or control of it (docs/objectives.md).
        mix: Share of the images that are replaced by perturbed ones. Default: that of the
            objective.
        samples: Number of training samples. With it, the last perturbation and the weight of each
            sample are kept, and batches need the numbers of their samples. Default: attacks start
            at random points, and the objective has to score every batch.
        moves: Whether augmentation moves the pixels of a sample between epochs; then perturbations
            are not kept.
        seed: Seed of random starts, drawn images and backgrounds.
        options: Options of the objective, such as ``eps`` and ``swap``.

    Raises:
        UsageError: An option is unknown, out of bounds, or does not apply.

    Cost: for `ec` one forward and one input-gradient pass per batch.
    """

    @named_as_arguments
    def __init__(
        self,
        model: Model,
        *,
        epochs: int,
        steps: int | None = None,
        objective: str = ONLINE,
        mix: float | None = None,
        samples: int | None = None,
        moves: bool = True,
        seed: int = 0,
        **options: Unpack[Settings],
    ) -> None:
        _check_choice(objective, options)
        if epochs < 1:
            fix = "give that of the whole training"
            raise UsageError("epochs", expected="at least 1", got=str(epochs), fix=fix)
        chosen = configured(ObjectiveOptions, "train", options, Settings, objective=objective)
        self.settings: dict[str, Any] = chosen.settings()
        self.settings["mix"] = _checked_share("mix", REPLACING[objective] if mix is None else mix)
        if samples is None and self._keeps_weights():
            raise UsageError(
                "samples",
                expected="the number of samples, because each keeps its weight",
                got="none",
                fix="give samples=len(dataset) and the rows of each batch, or scored_epochs=0",
            )
        self.model, self.epochs, self.steps = model, epochs, steps
        self.samples, self.moves, self.seed = samples, moves, seed
        self.begins = rounded_up(float(self.settings[START]), epochs)
        self._objective: ExplanationConsistency | None = None
        self._state: Mapping[str, Tensor] = {}
        self._epoch = self._step = self._begun = -1

    def begin(self, epoch: int, step: int = 0) -> None:
        """Begin an epoch.

        Args:
            epoch: From 0.
            step: Step of the epoch that comes next, if the training is resumed inside an epoch.
        """
        self._epoch, self._step = epoch, step

    def __call__(
        self,
        images: Float[Tensor, "n 3 h w"],
        labels: Tensor,
        rows: Int64[Tensor, "n"] | None = None,
    ) -> Learned:
        """Return the images to learn from, and their weights in the loss.

        Before the objective begins (``objective_start``), the batch is returned unchanged, with
        weights of 1.

        Args:
            images: A batch as the network takes it: normalised, on its device.
            labels: True classes (n,); multi-label (n, c) with 1, 0 or -1 (not counted).
            rows: Numbers of the samples; required with ``samples``.

        Raises:
            InputError: Images, labels or rows are not valid.
        """
        if self._epoch < 0:
            raise InputError(
                "in_batch",
                expected="begin(epoch) before the first batch",
                got="no epoch",
                fix="call begin(epoch) at the start of each epoch",
            )
        check_images(images)
        self._step += 1
        ones = torch.ones(len(images), device=images.device)
        if self._epoch < self.begins:
            return Learned(images, ones)
        size = images.shape[2], images.shape[3]
        with classifier_of(self.model, size, multilabel=labels.ndim == 2) as classifier:
            batch = self._batch(classifier, images, labels, rows)
            objective = self._prepared(classifier, batch)
            learned = objective.prepare(batch, self._position(self._step - 1))
            changed = learned.pixels[learned.chosen].sub_(classifier.mean).div_(classifier.std)
        mixed = images.detach().index_copy(0, learned.chosen, changed.to(images))
        return Learned(mixed, learned.weights)

    def statistics(self) -> dict[str, float]:
        """Return means of E and its factors over the epoch so far; none before the objective."""
        return {} if self._objective is None else self._objective.statistics()

    def state_dict(self) -> dict[str, Tensor]:
        """Return perturbations and weights per sample; empty without ``samples``."""
        if self.samples is None:
            return {}
        return dict(self._state) if self._objective is None else self._objective.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load the result of :meth:`state_dict`."""
        self._state = dict(state)
        if self._objective is not None and state:
            self._objective.load_state_dict(state)

    def _keeps_weights(self) -> bool:
        weighs = self.settings["weighting"] in ("consistency", "permuted")
        return weighs and (
            self.settings["scored_epochs"] > 0 or self.settings["weight_momentum"] > 0
        )

    def _batch(
        self, classifier: Classifier, images: Tensor, labels: Tensor, rows: Tensor | None
    ) -> TrainingBatch:
        """Return the batch of a training step."""
        count = self.samples
        known = torch.arange(len(images)) if count is None else check_rows(rows, count)
        is_first = self._begun != self._epoch
        pixels = to_unit(images, classifier.mean, classifier.std, check=is_first)
        if is_first:
            check_labels(labels, len(images), len(classifier.class_names))
        weights = torch.ones(len(images), device=images.device)
        kind = torch.int64 if labels.ndim == 1 else torch.int8
        return TrainingBatch(
            pixels.contiguous(memory_format=torch.channels_last),
            labels.to(images.device, kind),
            weights,
            known.to(images.device),
        )

    def _prepared(self, classifier: Classifier, batch: TrainingBatch) -> ExplanationConsistency:
        """Return the objective, made in its first step, and begin its epoch."""
        if self._objective is None:
            count = MAX_BATCH if self.samples is None else self.samples
            _, channels, height, width = batch.pixels.shape
            setup = Setup(
                self.settings,
                classifier,
                torch.zeros(count, dtype=torch.int64),
                None,
                (channels, height, width),
                moves=self.moves or self.samples is None,
            )
            with seeded(self.seed, 0, batch.pixels.device):
                objective = ExplanationConsistency(setup)
            self._objective = objective.to(batch.pixels.device)
            if self._state:
                objective.load_state_dict(self._state)
        if self._begun != self._epoch:
            self._objective.epochs.fill_(self._epoch - self.begins)
            self._objective.begin_epoch()
            self._begun = self._epoch
        return self._objective

    def _position(self, step: int) -> Position:
        """Return the position of a step, with the random numbers of `ectool train`."""
        within = step / self.steps if self.steps else 0.0
        progress = (self._epoch - self.begins + within) / max(1, self.epochs - self.begins)
        generator = step_generator(self.seed, self._epoch, step)
        return Position(self._epoch, step, progress, generator)


def _check_choice(objective: str, options: Mapping[str, object]) -> None:
    """Check that the objective can be prepared before the loss."""
    if objective not in NAMES:
        raise UsageError(
            "objective",
            expected=f"one of {', '.join(NAMES)}",
            got=repr(objective),
            fix="choose one of them",
        )
    if options.get("weighting") == _BY_LOSS:
        raise UsageError(
            "weighting",
            expected="weights that do not depend on the loss",
            got=repr(_BY_LOSS),
            fix="choose another",
        )


def _checked_share(name: str, value: float) -> float:
    if 0 <= value <= 1:
        return value
    raise UsageError(name, expected="a share in [0, 1]", got=str(value), fix="change it")
