"""Save the weights of a model, and load weights of ectool or of other programs into it."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save

from ectool.artifacts.jobs.sealed import write_checked
from ectool.errors import InputError, listed
from ectool.models.checkpoints.backbones import is_below, is_self_supervised, select_backbone
from ectool.models.checkpoints.containers import COUNTER, Selected, select_weights
from ectool.models.checkpoints.fit import (
    Weights,
    check_classes,
    check_finite,
    check_numbers,
    fix_of,
    misfit,
    misfit_error,
)
from ectool.models.checkpoints.plain_heads import plain_head
from ectool.models.checkpoints.positions import Grid, fit_positions
from ectool.models.checkpoints.tensors import StateDict, read_tensors
from ectool.models.classifier import Classifier
from ectool.models.layers.head import head_layers

# Heads that googlenet and inception_v3 have only during training.
_AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")
_SHOWN = 3


@dataclass(frozen=True)
class Loaded:
    """What was loaded, where that is not all of the file's weights as they are.

    Attributes:
        prefix: Beginning of the names of the weights in the file.
        fresh: Layers of the head, which were not loaded.
        ignored: Names of the other tensors of the file.
        grids: Sides of both grids of position embeddings that were interpolated, by name.
        renamed: Names in the file by the names in the network, where they differ.
    """

    prefix: str = ""
    fresh: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    grids: Mapping[str, Grid] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def remarks(self) -> Iterator[str]:
        """Yield a sentence for each difference that changes predictions."""
        if self.renamed:
            yield f"{listed(list(self.renamed.values()))} loaded as {listed(list(self.renamed))}"
        for name, (old, new) in self.grids.items():
            yield f"{name} interpolated from {old}x{old} to {new}x{new} positions"
        if self.fresh:
            start = f"the weights in {self.prefix.rstrip('.')}" if self.prefix else "the weights"
            beside = f", {len(self.ignored)} others ignored" if self.ignored else ""
            yield f"{start}{beside}; the head is new: {listed(self.fresh, _SHOWN)}"


def save_weights(model: Classifier, path: Path) -> str:
    """Write the weights of a network as safetensors; equal weights give equal bytes.

    Args:
        model: On any device, in any memory format.
        path: The file, which is overwritten.

    Returns:
        The checksum of the file; see `write_checked`.
    """
    state = {
        # Copies: weights that a network uses twice share memory, which the format does not support.
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.network.state_dict().items()
    }
    return write_checked(path, save(state))


def load_weights(
    model: Classifier, path: Path, *, entry: str | None = None, reset_head: bool = False
) -> Loaded:
    """Load weights that fit the network of a model exactly; after an error it is unchanged.

    The file is a safetensors or torch file with a state dict, alone or in containers such as
    ``state_dict`` or ``model``, and with any prefix that wrappers put before every name. Ignored
    are other contents, such as the state of an optimizer or the buffers of a loss, and the weights
    of auxiliary heads that the network does not have. Position embeddings of a square grid are
    interpolated to that of the network.

    Args:
        model: Its device, type and memory format do not change.
        path: ``.safetensors``, ``.pth``, ``.pt``, ``.ckpt``, ``.bin`` or ``.tar``.
        entry: Part of the file to load. Default: the plain weights. ``ema``: their exponential
            moving average. Else the dotted name of the container, or of the part of a network, that
            contains the weights.
        reset_head: Keep the weights of the model's last layer and ignore those of the file: for
            data of other classes, and for backbones of self-supervised training.

    Returns:
        What differs from the file.

    Raises:
        InputError: The file is unreadable or contains other objects than tensors; has no such
            entry, or several sets of weights; lacks weights or has additional ones; is for another
            number of classes; or contains NaN or infinity.

    Cost: none, or one forward pass of one image to find the head.
    """
    expected = model.network.state_dict()
    head = head_layers(model) if reset_head else set()
    found = find_weights(model, path, entry=entry, without=head)
    state = {n: v for n, v in found.state.items() if not is_below(n, head)}
    state |= {n: v for n, v in expected.items() if is_below(n, head)}
    state, grids = fit_positions(state, expected)
    check_numbers(state, expected, path)
    check_classes(state, expected, len(model.class_names), path)
    check_finite(state, path)
    if got := misfit(state, expected, found.others):
        raise misfit_error(path, got, fix_of(state, expected))
    trial = copy.deepcopy(model.network)
    try:
        trial.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise misfit_error(path, str(error).splitlines()[-1].strip()) from error
    model.network.load_state_dict(trial.state_dict())
    ignored = tuple(found.others) if head else ()
    return Loaded(found.prefix, tuple(sorted(head)), ignored, grids, found.renamed)


def find_weights(
    model: Classifier, path: Path, *, entry: str | None = None, without: Collection[str] = ()
) -> Selected:
    """Find the weights of a network in a file; whether they fit is not checked.

    Args:
        model: The model, which stays as it is.
        path: The file, as for :func:`load_weights`.
        entry: Part of the file to load, as for :func:`load_weights`.
        without: Layers of the head, if that is not loaded.

    Raises:
        InputError: The file is unreadable; has no such entry, or several sets of weights; or has a
            backbone, but no head, and `without` is empty.
    """
    expected = model.network.state_dict()
    tensors = read_tensors(path)
    if without and (found := select_backbone(tensors, expected, without, entry, path)):
        return _without_auxiliary(found, expected)
    found = _without_auxiliary(select_weights(tensors, expected, entry, path), expected)
    if not without and is_self_supervised(found.prefix):
        raise _headless(found, expected, path)
    if not without and any(n not in found.state for n in expected if not n.endswith(COUNTER)):
        return _with_head(found, tensors, model, entry, path)
    return found


def _without_auxiliary(found: Selected, expected: Weights) -> Selected:
    return found._replace(
        state={
            name: value
            for name, value in found.state.items()
            if name in expected or not name.startswith(_AUXILIARY_HEADS)
        }
    )


def _with_head(
    found: Selected, tensors: StateDict, model: Classifier, entry: str | None, path: Path
) -> Selected:
    """Return the weights of a file that lacks some, with its head under the name of the network's.

    Raises:
        InputError: The file has a whole backbone and no such head.
    """
    expected, backbone = model.network.state_dict(), None
    with suppress(InputError):  # no head, or several backbones: the other error is more precise
        head = head_layers(model)
        backbone = select_backbone(tensors, expected, head, entry, path)
    if backbone is None or not any(is_below(n, head) and n not in backbone.state for n in expected):
        return found
    names = plain_head(backbone.state, expected, head)
    if not names or is_self_supervised(backbone.prefix):
        raise _headless(backbone, expected, path)
    state = {n: v for n, v in backbone.state.items() if n not in names.values()}
    state |= {own: backbone.state[name] for own, name in names.items()}
    return backbone._replace(state=state, renamed=names)


def _headless(found: Selected, expected: Weights, path: Path) -> InputError:
    where = f" in {found.prefix.rstrip('.')}" if found.prefix else ""
    state, _ = fit_positions(found.state, expected)
    got = misfit(state, expected, found.others) or "a projection in place of the head"
    fix = "load it as a backbone with a new head: --reset-head of adopt and train"
    return misfit_error(path, f"a backbone{where}: {got}", fix)
