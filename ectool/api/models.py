"""Models of the functions: loaded from files, or wrapped around a module in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.api.classifiers import Size, classifier_around, device_of
from ectool.api.images import Array, as_pixels, batches, check_images
from ectool.api.options import named_as_arguments
from ectool.api.outputs import AUTO, to_logits
from ectool.config import ModelOptions
from ectool.datasets.base import is_multilabel
from ectool.datasets.image_arrays import ImageArrays
from ectool.datasets.labels import check_label_range
from ectool.errors import InputError
from ectool.models.classifier import Channels, Classifier, check_normalisation
from ectool.models.folding import folded
from ectool.models.modes import forward_hooks, frozen
from ectool.models.outputs.probabilities import with_logits
from ectool.models.wrappers import inside
from ectool.settings import validate
from ectool.stages.common import loaded
from ectool.stages.common.found_models import ModelReference, find_model


@dataclass(eq=False, repr=False)
class Model:
    """A classifier for the functions of ectool, made by :func:`load` or :func:`wrap`.

    It shares its weights with ``module``: during a training it is always the current network.
    Functions that use it leave the modes, gradients, hooks and `requires_grad` of ``module`` as
    they found them.

    Attributes:
        module: The network, which maps normalised images to logits.
    """

    module: nn.Module
    _make: Callable[[Size | None], Classifier]
    _output: str | int = AUTO
    _reference: ModelReference | None = None
    _settings: str = ""
    _made: dict[object, Classifier] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        return f"ectool.Model({type(self.module).__name__}, {self.device})"

    @property
    def device(self) -> torch.device:
        """Return the device of the weights; the CPU for a module without weights."""
        return device_of(self.module)

    @named_as_arguments
    def __call__(self, images: Array, *, batch_size: int = 64) -> Float[Tensor, "n c"]:
        """Return the logits of images, without a graph, in evaluation mode.

        Args:
            images: uint8 or floats in [0, 1], (n, 3, h, w).
            batch_size: Images in a forward pass.

        Raises:
            InputError: The images are not valid, or the network does not accept their size.
        """
        checked = check_images(images)
        with classifier_of(self, _size(checked)) as classifier, torch.no_grad():
            parts = (checked[rows] for rows in batches(len(checked), batch_size))
            return torch.cat([classifier(as_pixels(part, self.device)).float() for part in parts])

    @named_as_arguments
    def layer(self, size: int | Size) -> str | None:
        """Return the name of the layer of the heatmaps, for images of a size; None without one."""
        with classifier_of(self, _pair(size)) as classifier:
            return classifier.spec.target_layer

    def _classifier(self, size: Size, *, multilabel: bool) -> Classifier:
        """Return the classifier for images of a size, made at its first use on each device."""
        key = size, multilabel, self.device
        if key not in self._made:
            self._made[key] = with_logits(self._make(size), size, multilabel=multilabel)
        return self._made[key]


@named_as_arguments
def load(
    model: str | PathLike[str],
    *,
    checkpoint: str | PathLike[str] | None = None,
    classes: int | None = None,
    layer: str | Sequence[str] = AUTO,
    size: int | Size | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    entry: str | None = None,
    prompts: str | PathLike[str] | None = None,
    device: str | torch.device = AUTO,
    trust_code: bool = False,
) -> Model:
    """Load a model as the command line does.

    Args:
        model: A model artifact (a folder); or an architecture with ``checkpoint``: a name in
            torchvision, ``timm:NAME``, ``openclip:ARCH`` or ``import:package.module:factory``; or
            ``torchscript:FILE`` or ``exported:FILE``.
        checkpoint: Weights from another program (.pth, .pt, .ckpt, .safetensors).
        classes: Number of classes of the checkpoint or program. Default: that of its head.
        layer: Target layer of the heatmaps, or several; ``auto`` finds it.
        size: Side of the images in pixels, or (height, width). Default: that of the model.
        mean: Mean of each channel for pixels in [0, 1]. Default: that of the public weights.
        std: Standard deviation of each channel. Default: that of the public weights.
        entry: Part of the checkpoint to load: ``ema``, or a dotted name.
        prompts: openclip: TOML file with a table ``[classes]``, which names the classes.
        device: ``auto`` takes an accelerator if there is one.
        trust_code: Run the code of a model artifact or of a program: it can do whatever you can.

    Returns:
        The model in evaluation mode.

    Raises:
        InputError: Model or weights do not exist or do not fit, or code is not trusted.
        UsageError: An argument is out of bounds, or ``device`` does not exist.
    """
    if isinstance(model, nn.Module | Model):
        got, fix = f"a {type(model).__name__}", "wrap a module by ectool.wrap"
        raise InputError("model", expected="a path or a name", got=got, fix=fix)
    given: Mapping[str, Any] = {
        **{"checkpoint": checkpoint, "classes": classes, "entry": entry, "prompts": prompts},
        **{"mean": _listed(mean), "std": _listed(std), "layer": _layers(layer)},
        "trust_code": trust_code,
    }
    options = validate(ModelOptions, {"model": str(model), **given}, "explain")
    place = loaded.find_device(str(device))
    reference = find_model(options)
    made = loaded.load(reference, options, None if size is None else _pair(size))
    classifier = made.to(place).eval()

    def make(_size: Size | None) -> Classifier:
        network = classifier.network
        present = device_of(network)  # the user may have moved it
        return Classifier(network, classifier.spec, classifier.further_layers).to(present)

    return Model(
        classifier.network, make, AUTO, reference, f"{classifier.spec} {classifier.further_layers}"
    )


@named_as_arguments
def wrap(
    module: nn.Module,
    mean: Sequence[float],
    std: Sequence[float],
    layer: str | Sequence[str] = AUTO,
    *,
    class_names: Sequence[str] | None = None,
    output: str | int = AUTO,
) -> Model:
    """Wrap a network in memory; its weights are shared, and nothing is copied.

    Args:
        module: Maps normalised images (n, 3, h, w) to logits (n, c). It may return them in a tuple,
            a dict, or an output of Hugging Face, and may itself be wrapped by DataParallel,
            DistributedDataParallel or `torch.compile`.
        mean: Mean of each channel of its training images, for pixels in [0, 1].
        std: Standard deviation of each channel; ``(0, 0, 0)`` and ``(1, 1, 1)`` for a network of
            pixels in [0, 1].
        layer: Name of the target layer of the heatmaps in ``module``, or several, whose heatmaps
            are fused; ``auto`` finds the last feature map in the first forward pass.
        class_names: Names of the classes, in the order of the logits. Default: their numbers.
        output: Key or index of the logits in the output of ``module``. ``auto``: the entry
            ``logits``, else the first matrix.

    Returns:
        The model. The network first runs when a function uses the model, with the size of its
        images.

    Raises:
        InputError: ``module`` is no module, or ``mean`` or ``std`` is out of bounds.
    """
    if not isinstance(module, nn.Module):
        raise InputError(
            "module",
            expected="a torch.nn.Module",
            got=f"a {type(module).__name__}",
            fix="give the network; ectool.load opens files and names",
        )
    network = inside(module)
    channels = _channels("mean", mean), _channels("std", std)
    layers = _layers(layer)

    def make(size: Size | None) -> Classifier:
        if size is None:
            raise ValueError("the size of the images")
        return classifier_around(network, channels, layers, class_names, size)

    settings = f"{type(network).__qualname__} {channels} {layers} {class_names} {output}"
    return Model(network, make, output, _settings=settings)


@contextmanager
def opened(model: Model, images: ImageArrays) -> Iterator[tuple[Classifier, ImageArrays]]:
    """Keep a model frozen in evaluation mode while the block runs, as stages do.

    Args:
        model: The model; restored afterwards.
        images: The images that it is used on.

    Yields:
        The classifier, and the images with its classes.

    Raises:
        InputError: The network does not accept the images, or a label is no class.
    """
    with classifier_of(model, images.size, multilabel=is_multilabel(images.labels)) as classifier:
        known = replace(images, classes=classifier.class_names)
        check_label_range(known)
        loaded.check_data(classifier, known)
        example = torch.rand(1, 3, *images.size, generator=torch.Generator().manual_seed(0))
        layers = classifier.each_layer() if classifier.spec.target_layer is not None else ()
        keep = [at.target_module for at in layers]
        with folded(classifier, example.to(model.device), keep=keep):
            yield classifier, known


@contextmanager
def classifier_of(model: Model, size: Size, *, multilabel: bool = False) -> Iterator[Classifier]:
    """Keep the classifier of a model, for images of a size, frozen in evaluation mode.

    Raises:
        InputError: ``model`` is no model, or the network does not accept images of this size.
    """
    with held(model):
        classifier = model._classifier(size, multilabel=multilabel)
        with frozen(classifier):  # making it may change modes
            yield classifier


@contextmanager
def held(model: Model) -> Iterator[Callable[[Size | None], Classifier]]:
    """Keep a model frozen in evaluation mode, its output reduced to logits.

    The gradient mode, inference mode and autocast of the caller have no effect inside.

    Yields:
        A function that returns a new classifier for images of a size.

    Raises:
        InputError: ``model`` is no model.
    """
    if not isinstance(model, Model):
        raise InputError(
            "model",
            expected="a model of ectool.load or ectool.wrap",
            got=f"a {type(model).__name__}",
            fix="wrap it: ectool.wrap(module, mean=…, std=…)",
        )
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(model.device.type, enabled=False))
        stack.enter_context(forward_hooks([model.module], to_logits(model._output)))
        stack.enter_context(frozen(model.module))
        yield model._make


def _layers(layer: str | Sequence[str]) -> tuple[str, ...]:
    if layer is None or isinstance(layer, str):
        return () if layer in (None, AUTO) else (layer,)
    return tuple(layer)


def _channels(name: str, values: Sequence[float]) -> Channels:
    found = _listed(values)
    if found is None or len(found) != 3:
        raise InputError(
            name,
            expected="three numbers, for red, green and blue",
            got=repr(values),
            fix="give those of the training images",
        )
    return check_normalisation(name, found)


def _listed(values: Sequence[float] | None) -> Channels | None:
    return None if values is None else tuple(float(value) for value in np.atleast_1d(values))


def _pair(size: int | Size) -> Size:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _size(images: Tensor) -> Size:
    return images.shape[2], images.shape[3]
