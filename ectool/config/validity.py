"""Options of `validity`, and of the `[study]` table of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from ectool.config.groups import DeviceOptions, ForceOptions
from ectool.config.services import check_seeds
from ectool.config.trust import TrustOptions
from ectool.options import Number, Options, RadiusList, argument, option

MAPS = ("gradcam", "layercam", "input-x-gradient")
"""Heatmaps that draw the background of a candidate."""
REPLACEMENTS = ("fill", "blur", "swap", "replace")
"""Mean colour; blurred; another image; another image without its object."""
ATTACKS = ("pgd", "pgd-inverse", "pgd-full")
"""On the background that Grad-CAM selects; on the pixels it does not select; on all pixels."""
Map = Literal["gradcam", "layercam", "input-x-gradient"]
Replacement = Literal["fill", "blur", "swap", "replace"]
Attack = Literal["pgd", "pgd-inverse", "pgd-full"]


STUDIES = ("validity",)
"""Names of the study files that come with ectool."""


class ValidityConfig(ForceOptions, DeviceOptions, TrustOptions):
    """Options of `validity`."""

    file: Path = argument(
        f"Study file (TOML), or the name of a shipped one: {', '.join(STUDIES)}.",
        choices=STUDIES,
        role="input",
    )
    output: Path | None = option(
        None, "Folder to write. Default: run/NAME.", keyed=False, role="output"
    )


def check_shares(values: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse an empty list, and values outside of [0, 1].

    Raises:
        ValueError: What was expected.
    """
    if not values or min(values) < 0 or max(values) > 1:
        raise ValueError("one or more shares in [0, 1]")
    return values


def check_epochs(values: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse an empty list, and epochs that do not rise from 1.

    Raises:
        ValueError: What was expected.
    """
    if not values or values[0] < 1 or list(values) != sorted(set(values)):
        raise ValueError("one or more epochs of the schedule, in rising order")
    return values


Shares = Annotated[tuple[Number, ...], AfterValidator(check_shares)]


class StudyConfig(Options):
    """The `[study]` table: models, images and candidates."""

    title: str = option("Which score tells reliance on the background?", "Title of the page.")
    data: tuple[str, ...] = option(
        ("digits",), "Data sets with object masks and the variants of the Backgrounds Challenge."
    )
    rho: Shares = option(
        (0.3, 0.5, 0.7, 0.9), "Shares of images whose background belongs to their class."
    )
    seeds: Annotated[tuple[int, ...], AfterValidator(check_seeds)] = option(
        (0, 1), "Seeds of the trained models."
    )
    epochs: Annotated[tuple[int, ...], AfterValidator(check_epochs)] = option(
        (8, 15, 30), "Epochs of the schedule after which a model is measured."
    )
    split: str = option("validation", "Split on which candidates are compared.")
    draws: int = option(3, "Draws of the backgrounds of that split, each a data seed.", ge=1)
    first_draw: int = option(100, "First of these data seeds.", ge=0)
    test_split: str = option("test", "Split on which the chosen candidate is reported.")
    test_draws: int = option(1, "Draws of the backgrounds of that split; 0: no report.", ge=0)
    limit: int | None = option(None, "Maximum number of images of a draw.", ge=2)
    backgrounds: int = option(
        20, "Other backgrounds behind each object, for the true reliance.", ge=1
    )
    donors: int = option(4, "Replaced backgrounds of each image.", ge=1)
    layers: tuple[str, ...] = option(
        ("features.2", "features.8"), "Layers whose LayerCAM maps are fused."
    )
    maps: tuple[Map, ...] = option(MAPS, "Heatmaps that select the background.")
    replacements: tuple[Replacement, ...] = option(
        REPLACEMENTS, "What the background is replaced by."
    )
    attacks: tuple[Attack, ...] = option(ATTACKS, "Attacks: on background, object, all pixels.")
    levels: Shares = option(
        (0.5, 0.7, 0.85), "Shares of the image that a heatmap selects as background."
    )
    eps: RadiusList = option(
        tuple(level / 255 for level in (2, 4, 8, 16, 32)), "Radii of the attacks, in pixel units."
    )
    steps: int = option(5, "Steps of the attacks.", ge=1)
    resamples: int = option(500, "Bootstrap resamples of the intervals.", ge=100)
    chosen: str = option(
        "replace/input-x-gradient/0.7|cosine|softened",
        "Candidate that is also measured on test images: KIND/MAP/AMOUNT|SIMILARITY|STABILITY.",
    )
    default: str = option(
        "pgd/gradcam/16|cosine|probability", "Candidate that the others are compared with."
    )
