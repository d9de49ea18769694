"""Loaded models: read from disk, with the classes of a data set, frozen and on a device."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ectool.config import DeviceOptions, ModelOptions
from ectool.datasets.base import Dataset, is_multilabel
from ectool.datasets.class_order import order_matters
from ectool.datasets.registry import find_entry
from ectool.distributed.world import world
from ectool.errors import InputError, listed
from ectool.models.checkpoints.checkpoint import load_weights
from ectool.models.class_count import class_count
from ectool.models.classifier import Classifier
from ectool.models.folding import folded
from ectool.models.layers.target_layer import named_target_layer
from ectool.models.memory import keep_freed_memory
from ectool.models.modes import frozen, use_deterministic_algorithms
from ectool.models.outputs.class_matching import match_classes
from ectool.models.outputs.grouping import group_classes
from ectool.models.outputs.probabilities import with_logits
from ectool.models.registry import create
from ectool.models.sources.zoo import imagenet_class_names
from ectool.stages.common.devices import AUTO, check_device, no_device
from ectool.stages.common.found_models import ModelReference
from ectool.stages.common.loop.tally import refuse_unless_finite
from ectool.stages.common.model_folder import load_artifact
from ectool.stages.common.zero_shot import zero_shot_model
from ectool.types import SILENT, Reporter, Unnamed

_SHOWN = 12


def pick_device(options: DeviceOptions) -> torch.device:
    """Return the device to compute on, and set threads, allocator and algorithms.

    Of several processes of a machine with GPUs, each has its own one.

    Raises:
        UsageError: This machine has no such device.
    """
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.deterministic:
        use_deterministic_algorithms()
    device = find_device(options.device)
    local = world().local_rank
    if str(device) == "cuda" and local:
        return torch.device("cuda", local % torch.cuda.device_count())
    return device


def find_device(name: str) -> torch.device:
    """Return the device of a name; for `auto` an accelerator if there is one, else the CPU.

    Raises:
        UsageError: This machine has no such device.
    """
    if name == AUTO:
        accelerator = torch.accelerator.is_available() and torch.accelerator.current_accelerator()
        return accelerator or torch.device("cpu")
    check_device(name)
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise no_device(name, str(error).splitlines()[0]) from None
    return device


@contextmanager
def loaded_model(
    reference: ModelReference,
    options: ModelOptions,
    device: torch.device,
    dataset: Dataset,
    data: str | None = None,
    reporter: Reporter = SILENT,
) -> Iterator[Classifier]:
    """Load a model, and keep it frozen in evaluation mode while the block runs.

    Batch normalisations are folded into the convolutions before them while the block runs, because
    the weights do not change. The classes of the model become those of the data set: by name, by
    position if the model has no names, or by the groups of classes that the data set defines.

    Args:
        reference: The model.
        options: Target layer, and how to read a checkpoint from another program.
        device: Device of the model.
        dataset: Images and classes that the model is used on.
        data: URI of the data set; some data sets define groups of ImageNet's classes.
        reporter: Receives a note if classes were not matched by name in the same order.

    Yields:
        The model on the device.

    Raises:
        InputError: The weights do not fit, or the model does not fit the data set.
    """
    found = load(reference, options, dataset.size, reporter, dataset.classes)
    model = _with_logits(found, dataset, reporter)
    model = _with_data_classes(model, reference, options, dataset, data, reporter)
    example = torch.rand(1, 3, *dataset.size, generator=torch.Generator().manual_seed(0))
    has_layers = model.spec.target_layer is not None
    keep = [at.target_module for at in model.each_layer()] if has_layers else []
    model = model.to(device)
    with frozen(model):
        check_data(model, dataset)
        with folded(model, example.to(device), keep=keep):
            yield model


def _with_logits(model: Classifier, dataset: Dataset, reporter: Reporter) -> Classifier:
    """Return the model with logits as outputs; note it if its outputs are probabilities."""
    found = with_logits(model, dataset.size, multilabel=is_multilabel(dataset.labels))
    if found is not model:
        reporter.note(
            f"{model.architecture}: its outputs are probabilities; their logarithms are used as "
            "logits. Give the network without its softmax, whose rounding loses gradients"
        )
    return found


def _with_data_classes(
    model: Classifier,
    reference: ModelReference,
    options: ModelOptions,
    dataset: Dataset,
    data: str | None,
    reporter: Reporter,
) -> Classifier:
    """Return the model with a logit for each class of the data set; note how they were matched."""
    class_names = dataset.classes
    groups = None if data is None else find_entry(data).groups
    if groups is not None and may_be_imagenet(model, reference):
        mapping = groups()
        if len(mapping) == len(model.class_names):
            return group_classes(model, torch.tensor(mapping), class_names)
    is_named = reference.architecture is None or model.spec.prompts is not None
    has_names = is_named and model.spec.has_names
    found = match_classes(
        model,
        class_names,
        f"classes of {dataset.name}",
        has_names=has_names,
        by_position=options.classes_by_position,
        others=not is_multilabel(dataset.labels),
    )
    if found.way == "subset" and not has_names:
        reporter.note(f"{dataset.name}: the model has no class names; assumed those of ImageNet")
    elif found.way == "order":
        reporter.note(
            f"{dataset.name}: the model has these classes in another order; matched by name"
        )
    elif found.way == "position" and order_matters(class_names):
        reporter.note(
            f"{dataset.name}: classes matched by position, {listed(class_names, _SHOWN)}; "
            "--class-order sorts them by value (natural) or as text"
        )
    return found.model


def may_be_imagenet(model: Classifier, reference: ModelReference) -> bool:
    """Return whether the classes of a model may be those of ImageNet.

    They may if the model has no class names, the names of ImageNet, or sorted ids of WordNet.
    """
    if reference.architecture is not None or not model.spec.has_names:
        return True
    names = model.class_names
    ids = all(re.fullmatch(r"n\d{8}", name) for name in names) and list(names) == sorted(names)
    return ids or names == imagenet_class_names()


def load(
    reference: ModelReference,
    options: ModelOptions,
    size: tuple[int, int] | None = None,
    reporter: Reporter = SILENT,
    class_names: Sequence[str] | None = None,
) -> Classifier:
    """Load a model artifact, or a checkpoint from another program into its architecture.

    Args:
        reference: The model.
        options: Target layer, and how to read a checkpoint from another program.
        size: (height, width) of the images; layers are searched and checked at this size.
        reporter: Receives a note if weights were interpolated.
        class_names: Classes of a zero-shot classifier. Default: those of its prompts.

    Raises:
        InputError: The weights do not fit, or their number of classes is not found.
        IntegrityError: The artifact's files have changed since they were written.
    """
    if reference.held is not None:
        return reference.held(size)
    first, *further = options.layer or (None,)
    model = _load(reference, options, first, size, reporter, class_names)
    model.further_layers = tuple(
        named_target_layer(model.network, size or model.input_size, layer) for layer in further
    )
    return model


def _load(
    reference: ModelReference,
    options: ModelOptions,
    layer: str | None,
    size: tuple[int, int] | None,
    reporter: Reporter,
    class_names: Sequence[str] | None,
) -> Classifier:
    if reference.architecture is None:
        return load_artifact(reference.path, layer, size, trust_code=options.trust_code)
    if reference.prompts is not None:
        return zero_shot_model(
            reference.architecture,
            reference.prompts,
            class_names,
            reference.path,
            options=options,
            size=size,
            layer=layer,
            reporter=reporter,
        )
    path = None if reference.is_program else reference.path
    model = create(
        reference.architecture,
        Unnamed.of(
            reference.classes
            or class_count(reference.architecture, path, entry=options.entry, size=size)
        ),
        seed=0,
        input_size=size,
        layer=layer,
        mean=options.mean,
        std=options.std,
    )
    if path is not None:
        for remark in load_weights(model, path, entry=options.entry).remarks():
            reporter.note(f"{path}: {remark}")
    return model


def check_data(model: Classifier, dataset: Dataset) -> None:
    """Check that a model accepts the images of a data set.

    Raises:
        InputError: The network does not accept the size of the images.

    Cost: one forward pass of one image, if their size is not that of the model.
    """
    if dataset.size != model.input_size:
        _check_size(model, dataset)


def _check_size(model: Classifier, dataset: Dataset) -> None:
    """Try a black image: many networks accept images of any size, some only of one."""
    try:
        with torch.no_grad():
            model(model.mean.new_zeros(1, 3, *dataset.size))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise InputError(
            f"images of {dataset.name}",
            expected=f"a size that {model.architecture} accepts, such as {model.input_size}",
            got=f"{dataset.size} ({str(error).partition(chr(10))[0]})",
            fix="change --size, or give another model",
        ) from None


def check_finite(logits: Tensor, sample_ids: list[str]) -> None:
    """Check that the logits of a model are finite; this waits for the device.

    Raises:
        InputError: They are not; the message names the first sample.
    """
    refuse_unless_finite(logits.isfinite().all(dim=1).cpu().numpy(), sample_ids)
