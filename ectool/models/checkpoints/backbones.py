"""Backbones in checkpoints: networks without their head, after any prefix.

Self-supervised training saves them next to what it trains them with. MoCo has ``encoder_q`` and the
projection ``fc.0``, ``fc.2`` in place of the head (v3: ``base_encoder``), SwAV has
``projection_head`` and ``prototypes``, DINO has ``student`` and ``teacher`` with a ``backbone`` and
a ``head``, SimCLR an ``encoder`` and a ``projector``, MAE a ``decoder`` beside the encoder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from ectool.models.checkpoints.containers import (
    Selected,
    complete_prefixes,
    inside,
    several_sets,
)
from ectool.models.checkpoints.tensors import StateDict

_STUDENT = "student"
"""Where there is a teacher too, the teacher is evaluated."""
_SELF_SUPERVISED = re.compile(r"(^|\.)(encoder_q|base_encoder|online_\w+)\.")
"""Prefixes of networks whose last layer is a projection, even if its shape is that of a head."""
_BESIDE = (
    "projection",
    "projector",
    "prototypes",
    "predictor",
    "decoder",
    "mask_token",
    "queue",
)
"""Beginnings of names of weights that only the self-supervised training uses."""


def select_backbone(
    tensors: StateDict,
    expected: Iterable[str],
    head: Collection[str],
    entry: str | None,
    path: Path,
) -> Selected | None:
    """Find the weights of a network without its head.

    Args:
        tensors: Result of :func:`~ectool.models.checkpoints.tensors.read_tensors`.
        expected: Names of the network's weights.
        head: Layers of its head.
        entry: Dotted name that the names begin with; None for any.
        path: The file, for errors.

    Returns:
        All weights after the prefix of the backbone, except those of projections, prototypes,
        decoders and queues; None if no prefix has a whole backbone.

    Raises:
        InputError: Several prefixes have one, and none of them is known as the one to use.
    """
    names = [name for name in expected if not is_below(name, head)]
    prefixes = complete_prefixes(tensors, names, entry)
    prefixes = [p for p in prefixes if _STUDENT not in p.split(".")] or prefixes
    if not prefixes:
        return None
    if len(prefixes) > 1:
        raise several_sets(prefixes, path)
    (prefix,) = prefixes
    state, others = inside(tensors, prefix)
    beside = [n for n in state if n not in names and n.startswith(_BESIDE)]
    used = {name: value for name, value in state.items() if name not in beside}
    return Selected(used, [*others, *(prefix + name for name in beside)], prefix)


def is_below(name: str, layers: Collection[str]) -> bool:
    """Return whether a weight belongs to one of these layers, or is one of them."""
    return any(name == layer or name.startswith(f"{layer}.") for layer in layers)


def is_self_supervised(prefix: str) -> bool:
    """Return whether a prefix is one of self-supervised training."""
    return _SELF_SUPERVISED.search(prefix) is not None
