"""Ask a classifier of many classes about fewer: each answer is the best of a group of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ectool.models.classifier import Classifier

OTHER = "(other)"
"""Name of the group of all classes that belong to none."""


class Grouped(nn.Module):
    """Return the greatest logit of each group of classes.

    ``logits[g] = max_{c in g} network(x)[c]``, so the group of the greatest logit is that of the
    greatest of all classes: the answer is taken over all of them first and translated then.

    Args:
        network: Maps normalised images to logits of all classes.
        groups: Group of each class; all of the last one's have the greatest number. -1 for classes
            that are left out.
    """

    groups: Tensor

    def __init__(self, network: nn.Module, groups: Int64[Tensor, "c"]) -> None:
        super().__init__()
        self.network = network
        self.count = int(groups.max()) + 1
        is_order = sorted(groups.tolist()) == list(range(len(groups)))
        self.order = torch.argsort(groups).tolist() if is_order else None
        self.register_buffer("groups", groups, persistent=False)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n g"]:
        """Answer with groups.

        Args:
            images: What the network takes.

        Returns:
            One logit per group.
        """
        logits = cast(Tensor, self.network(images))
        if self.order is not None:
            return logits[:, self.order]
        best = [logits[:, self.groups == group].amax(dim=1) for group in range(self.count)]
        return torch.stack(best, dim=1)


def group_classes(
    model: Classifier, mapping: Int64[Tensor, "c"], names: Sequence[str], *, others: bool = True
) -> Classifier:
    """Return the classifier over groups of another one's classes; both share their weights.

    Args:
        model: Answers with as many classes as there are entries in `mapping`.
        mapping: Group of each class, from 0; -1 for classes that belong to none.
        names: Names of the groups.
        others: Whether classes that belong to none are one more; else they are left out, as for
            multi-label data, where no class competes with another.

    Returns:
        A classifier of the groups. Where some classes belong to none, the last answer is
        :data:`OTHER`, which no label is, so that an image taken for one of those is taken wrongly.
    """
    groups = torch.where(mapping < 0, len(names), mapping) if others else mapping
    layer = model.spec.target_layer
    further = [replace(other, name=_inner(other.name)) for other in model.further_layers]
    spec = replace(
        model.spec,
        class_names=(*names, OTHER) if bool((groups == len(names)).any()) else tuple(names),
        target_layer=None if layer is None else _inner(layer),
    )
    return Classifier(Grouped(model.network, groups), spec, further)


def _inner(layer: str) -> str:
    """Return a layer's name as seen from outside of :class:`Grouped`."""
    return f"network.{layer}"
