"""`strip.png`: an image of a few samples, one row each, for a README."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from ectool.reports.content import PIXEL_ART, Sample
from ectool.reports.numbers import plain
from ectool.reports.page.images import Pixels, amplification, tiles
from ectool.reports.selection import LEAST, MOST

TILE, GAP, MARGIN = 128, 8, 16
HEADER, SIDE = 46, 200
"""Height of the header and width of the labels on the right, in pixels."""
PAPER, INK, GREY = "#ffffff", "#1a1a1a", "#5c5c5c"
TEXT, SMALL = 14, 12
LINE = 18
"""Height of a line next to the tiles: seven lines for a row."""
LEAST_ROWS, MOST_ROWS = 3, 2


def pick(samples: Sequence[Sample]) -> list[Sample]:
    """Pick rows for the strip: the least consistent samples, then the most consistent.

    Args:
        samples: Samples of a round. A class appears twice only if there are no other classes.
    """
    least = sorted((s for s in samples if s.choice == LEAST), key=lambda s: s.consistency)
    rows = least[:LEAST_ROWS]
    taken = {sample.label for sample in rows}
    most = (s for s in samples if s.choice == MOST)
    return rows + sorted(most, key=lambda s: (s.label in taken, -s.consistency))[:MOST_ROWS]


def strip(samples: Sequence[Sample]) -> bytes:
    """Draw image, perturbed image, amplified difference and both heatmaps of each sample.

    Args:
        samples: The rows, at least one.

    Returns:
        A PNG file.
    """
    factor = amplification(samples)
    width = 2 * MARGIN + 5 * (TILE + GAP) + SIDE
    height = MARGIN + HEADER + len(samples) * (TILE + GAP)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, sample in enumerate(samples):
        top = HEADER + row * (TILE + GAP)
        found = tiles(sample, factor)
        for column, pixels in enumerate(found.values()):
            sheet.paste(_enlarged(pixels), (MARGIN + column * (TILE + GAP), top))
        _draw_label(draw, sample, top)
    _draw_header(draw, list(found))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _draw_header(draw: ImageDraw.ImageDraw, names: Sequence[str]) -> None:
    for column, name in enumerate(names):
        place = (MARGIN + column * (TILE + GAP) + TILE / 2, HEADER - 6)
        text = name.replace(" of ", " of\n")
        draw.multiline_text(place, text, INK, _font(TEXT), anchor="md", align="center", spacing=2)


def _draw_label(draw: ImageDraw.ImageDraw, sample: Sample, top: int) -> None:
    before, after = sample.predicted
    lines = (
        (f"class {sample.label}", INK, TEXT),
        (sample.choice, GREY, SMALL),
        (f"consistency {plain(sample.consistency)}", INK, TEXT),
        (f"= similarity {plain(sample.similarity)}", GREY, SMALL),
        (f"× stability {plain(sample.stability)}", GREY, SMALL),
        (f"weight {plain(sample.weight)}", INK, TEXT),
        (f"predicted {before}, then {after}", GREY, SMALL),
    )
    for number, (text, colour, size) in enumerate(lines):
        place = (MARGIN + 5 * (TILE + GAP) + GAP, top + 2 + number * LINE)
        draw.text(place, _shortened(text, size), colour, _font(size))


def _shortened(text: str, size: int) -> str:
    """Cut a text to the width next to the tiles."""
    font = _font(size)
    if font.getlength(text) <= SIDE:
        return text
    while text and font.getlength(text + "…") > SIDE:
        text = text[:-1]
    return text + "…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of matplotlib, which is the same on every machine."""
    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _enlarged(pixels: Pixels) -> Image.Image:
    """Fit an image into a tile; the pixels of small images stay visible."""
    small = max(pixels.shape[:2]) <= PIXEL_ART
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    scale = TILE / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    tile = Image.new("RGB", (TILE, TILE), PAPER)
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), method)
    tile.paste(image, ((TILE - width) // 2, (TILE - height) // 2))
    return tile
