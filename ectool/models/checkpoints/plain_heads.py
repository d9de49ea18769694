"""Heads of training scripts that put one linear layer among others, such as dropout."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from ectool.models.checkpoints.backbones import is_below

WEIGHT, BIAS = "weight", "bias"


def plain_head(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], head: Collection[str]
) -> dict[str, str]:
    """Return the names of the one linear layer of a file that is the head of a network.

    ``fc = Sequential(Dropout(), Linear())`` saves ``fc.1.weight`` where the network has
    ``fc.weight``. Dropout does nothing in evaluation, so the logits are the same. More than one
    linear layer, or one next to other weights, is another head.

    Args:
        state: Weights of the file by their names in the network.
        expected: Weights of the network.
        head: Layers of its head.

    Returns:
        The names in the file by the names in the network; empty if the head is not such a layer.
    """
    own = sorted(name for name in expected if is_below(name, head))
    layers = {name.rpartition(".")[0] for name in own}
    if len(layers) != 1 or any(name in state for name in own):
        return {}
    (layer,) = layers
    root = layer.partition(".")[0]
    found = sorted(n for n in state if n not in expected and is_below(n, {root}))
    parts = {name.rpartition(".")[0] for name in found}
    ends = [[name.rpartition(".")[2] for name in names] for names in (found, own)]
    if len(parts) != 1 or ends[0] != ends[1]:
        return {}
    names = dict(zip(own, found, strict=True))
    same = all(state[n].shape[1:] == expected[name].shape[1:] for name, n in names.items())
    return names if same else {}
