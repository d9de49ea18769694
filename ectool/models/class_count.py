"""The number of classes of a checkpoint or program, read from its head."""

from __future__ import annotations

from pathlib import Path

from ectool.errors import InputError
from ectool.models.checkpoints.backbones import is_below
from ectool.models.checkpoints.checkpoint import find_weights
from ectool.models.checkpoints.fit import fix_of, misfit, misfit_error
from ectool.models.layers.head import head_layers
from ectool.models.layers.probe import HeadError
from ectool.models.registry import without_layer
from ectool.models.sources.base import Size

_TRIED = 2
"""Number of classes of the network that shows which weights are its head."""


def class_count(
    architecture: str, path: Path | None, *, entry: str | None = None, size: Size | None = None
) -> int:
    """Return the number of classes of a checkpoint: the rows of its head.

    Args:
        architecture: As for :func:`ectool.models.registry.create`.
        path: File or folder of the checkpoint; None for a program, which has its weights.
        entry: Part of the checkpoint to load, as for
            :func:`ectool.models.checkpoints.checkpoint.load_weights`.
        size: (height, width) of the images. Default: that of the architecture.

    Raises:
        InputError: The file has no head of this architecture, or is a backbone of self-supervised
            training; it is unreadable; or the architecture is unknown.

    Cost: the network is made once, and runs on one image.
    """
    try:
        model = without_layer(architecture, _TRIED, size)
    except HeadError as error:  # a program, or a factory of a fixed number of classes
        return error.found
    if path is None:
        return _TRIED
    head, expected = head_layers(model), model.network.state_dict()
    found = find_weights(model, path, entry=entry)
    state = found.state
    counts = {
        int(state[name].shape[0])
        for name, own in expected.items()
        if is_below(name, head) and name in state and own.ndim > 1
        if state[name].shape[1:] == own.shape[1:]
    }
    if len(counts) == 1:
        return counts.pop()
    if counts:
        raise InputError(
            f"weights {path}",
            expected=f"one number of rows in the head ({', '.join(sorted(head))})",
            got=", ".join(map(str, sorted(counts))),
            fix="give --classes",
        )
    got = misfit(state, expected, found.others) or "no head"
    raise misfit_error(path, got, fix_of(state, expected))
