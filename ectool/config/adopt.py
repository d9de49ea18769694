"""Options of adopt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from ectool.config.groups import CheckpointOptions, OutputOptions
from ectool.errors import UsageError
from ectool.options import TextList, option


class AdoptConfig(CheckpointOptions, OutputOptions):
    """Options of `adopt`."""

    PANEL = CheckpointOptions.PANEL

    model: str = option(
        ...,
        "Architecture of the checkpoint: a name in torchvision, timm:NAME, openclip:ARCH or "
        "import:package.module:factory.",
        main=True,
        metavar="MODEL",
    )
    names: TextList = option(
        (),
        "Names of the classes, in the order of the logits: cat,dog.",
        keyed=False,
        main=True,
        metavar="NAME,...",
    )
    classes_from: Path | None = option(
        None,
        "Where the names of the classes are: a folder of class folders; or a file with one name in "
        "each line, or JSON, such as ImageNet's class index.",
        keyed=False,
        main=True,
        role="input",
    )
    classes: int | None = option(
        None, "Number of classes. Default: read from the checkpoint.", ge=2, keyed=False
    )
    class_order: Literal["natural", "text"] | None = option(
        None,
        "Order of class folders that are integers: natural (0, 1, 2, 10) or text (0, 1, 10, 2). "
        "Default: text, as in torchvision.",
        keyed=False,
    )
    image_size: int | None = option(
        None,
        "Side of the square images in pixels. Default: that of preprocessor_config.json beside the "
        "checkpoint, else that of the architecture.",
        ge=8,
        main=True,
    )
    layer: str | None = option(
        None, "Target layer of the heatmaps. Default: found automatically.", metavar="LAYER"
    )
    reset_head: bool = option(
        False,
        "Do not load the last layer: for backbones of self-supervised training, and for other "
        "classes.",
        main=True,
    )
    seed: int = option(0, "Seed of the new head of --reset-head.", ge=0)
    dry_run: bool = option(
        False,
        "Load and check the model, and print what it is; write nothing.",
        keyed=False,
        main=True,
    )

    @model_validator(mode="after")
    def _check_names(self) -> AdoptConfig:
        """Refuse names of classes from two places.

        Raises:
            UsageError: There are names, and a place to read them from.
        """
        if self.names and self.classes_from is not None:
            raise UsageError(
                "--names",
                expected="names from one place",
                got=f"--classes-from {self.classes_from} as well",
                fix="leave out one of them",
            )
        return self

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result; the seed only where it is used."""
        keyed = super().keyed()
        return keyed if self.reset_head else {n: v for n, v in keyed.items() if n != "seed"}
