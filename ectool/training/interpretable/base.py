"""What a loss of interpretable filters is: a module that maps the maps of a layer to a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ectool.models.objective import Labels
from ectool.training.batch import Position

Maps = Float[Tensor, "n c h w"]
AllMaps = Callable[[], Iterable[tuple[Maps, Labels]]]
"""Returns maps and labels of the training images in batches, without graphs."""


@dataclass(frozen=True)
class FilterSetup:
    """What a loss of filters is made from.

    Attributes:
        settings: The options that apply to it, by name.
        filters: Number of filters of the layer.
        size: (height, width) of their maps in cells.
        classes: Number of classes.
    """

    settings: Mapping[str, float]
    filters: int
    size: tuple[int, int]
    classes: int


class FilterLoss(nn.Module):
    """Loss of the filters of a layer, to add to the loss of any objective.

    Its state are its buffers, which are saved and resumed with the model.

    Attributes:
        has_masks: Whether its networks mask the maps of the layer by templates, also after the
            training.
    """

    has_masks = False

    def begin(self, maps: AllMaps, position: Position) -> None:
        """Prepare an epoch; nothing by default.

        Args:
            maps: Maps of the training images, in evaluation mode.
            position: The first step of the epoch.
        """

    def forward(self, maps: Maps, labels: Labels) -> Float[Tensor, ""]:
        """Return the loss of a batch, and update the state with its maps.

        Args:
            maps: Output of the layer for the images of the batch, before a mask.
            labels: Their true classes (n,), or present (1), absent (0) and ignored (-1) classes.
        """
        raise NotImplementedError
