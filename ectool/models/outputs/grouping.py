"""Classifiers over groups of classes: the logit of a group is the maximum of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ectool.models.classifier import Classifier

OTHER = "(other)"
"""Name of the group of all classes that belong to no other group."""


class Grouped(nn.Module):
    """Return the maximum logit of each group of classes.

    ``logits[g] = max_{c in g} network(x)[c]``, so the predicted group is that of the class that
    the network predicts among all classes.

    Args:
        network: Maps normalised images to logits of all classes.
        groups: Group of each class, numbered from 0; -1 for classes that are ignored.
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
        """Return the logits of the groups.

        Args:
            images: Input of the network.

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
    """Return a classifier over groups of the classes of another one; they share their weights.

    Args:
        model: A classifier with one class for each entry of `mapping`.
        mapping: Group of each class, from 0; -1 for classes without a group.
        names: Names of the groups.
        others: Whether classes without a group form one more group. Else they are ignored, as for
            multi-label data, where classes do not compete.

    Returns:
        A classifier over the groups. If some classes have no group, the last group is
        :data:`OTHER`. No label is, so an image that is predicted as one of them is misclassified.
    """
    groups = torch.where(mapping < 0, len(names), mapping) if others else mapping
    has_others = bool((groups == len(names)).any())
    return model.wrapped(
        Grouped(model.network, groups),
        class_names=(*names, OTHER) if has_others else tuple(names),
    )
