"""Callbacks of the Trainer of Hugging Face transformers, for image classification."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ectool.api.models import Model, wrap
from ectool.errors import InputError
from ectool.integrations.batches import ROW, keys_of, missing_rows
from ectool.integrations.in_batch import InBatch
from ectool.integrations.rounds import Rounds
from ectool.models.objective import sample_losses

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "transformers is not installed; pip install 'ectool[integrations]'", name=error.name
    ) from error

Inputs = dict[str, Any]
Learn = Callable[[Inputs], Tensor | None]
"""Changes the inputs of the model, and returns the weights of the samples, None for none."""
LOSS, LOGITS, COUNT = "loss", "logits", "num_items_in_batch"


class InBatchCallback(TrainerCallback):
    """Train on perturbed images and weights that are made in each step; see :class:`InBatch`.

    ::

        Trainer(model, args, train_dataset=data, callbacks=[InBatchCallback(mean, std)])

    The callback changes the images that the model receives in training mode, and, if the objective
    has weights, replaces the loss of its output by the weighted mean of the losses of the samples.
    It keeps nothing per sample, so a training that is resumed at an epoch continues in the same
    way.

    Args:
        mean: Mean of each channel of the normalisation, such as ``processor.image_mean``.
        std: Standard deviation of each channel, such as ``processor.image_std``.
        layer: Target layer of the heatmaps; ``auto`` finds it.
        options: Arguments of :class:`InBatch`, without `epochs`, `steps`, `samples` and `moves`.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        layer: str | Sequence[str] = "auto",
        **options: Any,  # noqa: ANN401 (those of InBatch)
    ) -> None:
        self._hooks = _Hooks(mean, std, layer, self._learn)
        self._options = options
        InBatch(wrap(nn.Identity(), mean, std), epochs=1, **options)  # refuses options at once
        self.in_batch: InBatch | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Watch the forward passes of the model."""
        model = self._hooks.watch(kwargs["model"])
        steps = len(kwargs["train_dataloader"])
        epochs = int(state.num_train_epochs)
        self.in_batch = InBatch(model, epochs=epochs, steps=steps, **self._options)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Begin an epoch, possibly inside, where a training is resumed."""
        if self.in_batch is not None:
            steps = self.in_batch.steps or 1
            self.in_batch.begin(*divmod(round((state.epoch or 0) * steps), steps))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Leave the model as it was."""
        self._hooks.remove()

    def _learn(self, inputs: Inputs) -> Tensor | None:
        """Replace the images, and return the weights, None where all are 1."""
        images, labels = _keys(inputs)
        if self.in_batch is None:
            return None
        learned = self.in_batch(inputs[images], inputs[labels])
        inputs[images] = learned.images
        return None if self.in_batch.settings["weighting"] == "uniform" else learned.weights


class RoundsCallback(TrainerCallback):
    """Train with weights that are scored between epochs; see :class:`Rounds`.

    ::

        args = TrainingArguments(..., remove_unused_columns=False)
        Trainer(model, args, train_dataset=Rows(data), callbacks=[RoundsCallback(data, mean, std)])

    The loss of the model's output is replaced by the weighted mean of the losses of the samples.

    Args:
        dataset: The training samples, without :class:`Rows`: what ``train_dataset`` contains.
        mean: Mean of each channel of the normalisation, such as ``processor.image_mean``.
        std: Standard deviation of each channel, such as ``processor.image_std``.
        layer: Target layer of the heatmaps; ``auto`` finds it.
        options: Arguments of :class:`Rounds`, without `epochs`.
    """

    def __init__(
        self,
        dataset: Any,  # noqa: ANN401 (of other programs)
        mean: Sequence[float],
        std: Sequence[float],
        *,
        layer: str | Sequence[str] = "auto",
        **options: Any,  # noqa: ANN401 (those of Rounds)
    ) -> None:
        self._hooks = _Hooks(mean, std, layer, self._learn)
        self._dataset, self._options = dataset, options
        Rounds(wrap(nn.Identity(), mean, std), dataset, epochs=1, **options)
        self.rounds: Rounds | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Watch the forward passes of the model."""
        model = self._hooks.watch(kwargs["model"])
        epochs = int(state.num_train_epochs)
        self.rounds = Rounds(model, self._dataset, epochs=epochs, **self._options)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Score the samples if a round begins."""
        if self.rounds is not None:
            self.rounds.begin(int(state.epoch or 0))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Leave the model as it was."""
        self._hooks.remove()

    def _learn(self, inputs: Inputs) -> Tensor | None:
        """Return the weights of the samples."""
        if ROW not in inputs:
            raise missing_rows()
        rows: Tensor = inputs.pop(ROW)
        return None if self.rounds is None else self.rounds(rows)


class _Hooks:
    """Hooks of a model in training mode: before it, and on its output with the loss.

    Args:
        mean: Mean of each channel.
        std: Standard deviation of each channel.
        layer: Target layer of the heatmaps.
        learn: Called with the inputs of each forward pass in training mode.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], layer: str | Sequence[str], learn: Learn
    ) -> None:
        self._normalisation, self._layer, self._learn = (mean, std), layer, learn
        self._handles: list[RemovableHandle] = []
        self._weights: Tensor | None = None

    def watch(self, module: nn.Module) -> Model:
        """Register the hooks, and return the model for the functions of ectool."""
        self.remove()
        self._handles = [
            module.register_forward_pre_hook(self._before, with_kwargs=True),
            module.register_forward_hook(self._after, with_kwargs=True),
        ]
        return wrap(module, *self._normalisation, self._layer)

    def remove(self) -> None:
        """Remove the hooks."""
        while self._handles:
            self._handles.pop().remove()

    def _before(
        self, module: nn.Module, arguments: tuple[Any, ...], inputs: Inputs
    ) -> tuple[tuple[Any, ...], Inputs] | None:
        if not module.training:  # evaluation, or our own passes
            return None
        changed = dict(inputs)
        self._weights = self._learn(changed)
        return arguments, changed

    def _after(
        self,
        module: nn.Module,
        arguments: tuple[Any, ...],  # noqa: ARG002
        inputs: Inputs,
        output: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Replace the loss of the output by that of weighted samples."""
        if not module.training or self._weights is None:
            return None
        if not isinstance(output, MutableMapping):
            raise InputError(
                "output of the model",
                expected="a dict with the logits",
                got=f"a {type(output).__name__}",
                fix="leave out return_dict=False",
            )
        labels = inputs[_keys(inputs)[1]]
        losses = self._weights * sample_losses(output[LOGITS], labels)
        count = inputs.get(COUNT) if labels.ndim == 1 else None
        output[LOSS] = losses.mean() if count is None else losses.sum() / count
        return output


def _keys(inputs: Inputs) -> tuple[str, str]:
    """Return the keys of images and labels in the inputs of the model.

    Raises:
        InputError: There are none.
    """
    try:
        images, labels = keys_of(inputs)
    except InputError as error:
        raise InputError(
            "inputs of the model",
            expected=error.expected.replace("as a tuple or ", ""),
            got=error.got,
            fix="leave out label_smoothing_factor and compute_loss_func, which take the labels",
        ) from error
    return str(images), str(labels)
