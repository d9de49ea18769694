"""The overview: the first screen of the page, with the story of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ectool.reports.content import Sample
from ectool.reports.page.images import data_uri, overlay, to_pixels
from ectool.reports.report import Report
from ectool.reports.story import COUNT, Headline, Strip, tell
from ectool.reports.story_text import note, sentence


@dataclass(frozen=True)
class Tile:
    """An image of the strip: its caption, its `data:` URI, and its description."""

    caption: str
    uri: str
    description: str


@dataclass(frozen=True)
class StripSample:
    """A sample of the strip.

    Attributes:
        place: Place in the order of explanation consistency.
        label: True class.
        tiles: Image and its heatmaps, then the perturbed image and its heatmaps.
        results: Results by name of the model.
        is_small: Whether the images are enlarged without smoothing.
    """

    place: str
    label: str
    tiles: tuple[Tile, ...]
    results: Mapping[str, Sample]
    is_small: bool


@dataclass(frozen=True)
class Overview:
    """Variables of the overview.

    Attributes:
        sentence: What was measured.
        note: Where intervals and marks come from.
        names: The reference and the best model, or a single model.
        headlines: The headline metrics of the first screen.
        more: Number of further headline metrics.
        strip: The samples; empty without heatmaps.
        order: Model whose explanation consistency orders the samples.
        perturbed: Model whose perturbed images are shown.
        differs: Whether the models have different perturbed images.
    """

    sentence: str
    note: str
    names: tuple[str, ...]
    headlines: tuple[Headline, ...]
    more: int
    strip: tuple[StripSample, ...]
    order: str
    perturbed: str
    differs: bool


def overview(report: Report) -> Overview | None:
    """Return the overview of a report; None without evaluated models."""
    story = tell(report)
    if story is None:
        return None
    strip = story.strip
    models = list(strip.models.values()) if strip else [""]
    return Overview(
        sentence=sentence(story),
        note=note(story),
        names=tuple(side.name for side in story.sides),
        headlines=story.headlines[:COUNT],
        more=len(story.headlines[COUNT:]),
        strip=tuple(_samples(strip)) if strip else (),
        order=models[0],
        perturbed=models[-1],
        differs=strip is not None and _has_different_images(strip),
    )


def _samples(strip: Strip) -> Iterator[StripSample]:
    for place, sample in strip.samples.items():
        results = {name: sample.by_model[model] for name, model in strip.models.items()}
        yield StripSample(
            place=place,
            label=sample.first.label,
            tiles=tuple(_tiles(results)),
            results=results,
            is_small=sample.first.is_small,
        )


def _tiles(results: Mapping[str, Sample]) -> Iterator[Tile]:
    """Yield the image with the heatmaps of the models, and the perturbed image with its own."""
    last = list(results.values())[-1]
    name = last.sample_id
    yield Tile("image", data_uri(to_pixels(last.image)), f"image {name}")
    for model, one in results.items():
        pixels = overlay(one.image, one.clean, one.scale)
        yield Tile(model, data_uri(pixels), f"heatmap of {model} for image {name}")
    yield Tile("perturbed", data_uri(to_pixels(last.perturbed)), f"perturbed image {name}")
    for model, one in results.items():
        pixels = overlay(one.perturbed, one.adversarial, one.scale)
        yield Tile(model, data_uri(pixels), f"heatmap of {model} for perturbed image {name}")


def _has_different_images(strip: Strip) -> bool:
    """Report whether a sample has other perturbed images in other models."""
    return any(
        len({sample.by_model[model].perturbed.tobytes() for model in strip.models.values()}) > 1
        for sample in strip.samples.values()
    )
