"""Draw docs/corruptions.png: every kind of corruption at its five severities.

    python -m docs.make_corruptions

The image is scikit-image's cat at 224 pixels; shown is its middle, at two fifths of the size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from ectool.corruptions import CORRUPTIONS, SEVERITIES, corrupt

FILE = Path(__file__).with_name("corruptions.png")
SQUARE = (75, 0, 375, 300)
SIDE = 224
MIDDLE = (34, 24, 180, 120)
TILE = (72, 48)
GAP = 2
NAMES = 112
HEADER = 16
COLOURS = 256
"""Of the palette: noise does not compress, and a page should load at once."""


def main() -> None:
    """Draw the table of images, kinds by severities."""
    width = NAMES + (len(SEVERITIES) + 1) * (TILE[0] + GAP)
    height = HEADER + len(CORRUPTIONS) * (TILE[1] + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for column, title in enumerate(("clean", *map(str, SEVERITIES))):
        pen.text((left(column) + TILE[0] / 2, 2), title, "black", font, anchor="ma")
    for row, kind in enumerate(CORRUPTIONS):
        top = HEADER + row * (TILE[1] + GAP)
        pen.text((0, top + TILE[1] / 2), kind.replace("_", " "), "black", font, anchor="lm")
        for column, image in enumerate(images(kind)):
            sheet.paste(tile(image), (left(column), top))
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(FILE, optimize=True)


def left(column: int) -> int:
    """Return where a column begins."""
    return NAMES + column * (TILE[0] + GAP)


def images(kind: str) -> list[np.ndarray]:
    """Return the clean image and those of every severity."""
    square = Image.fromarray(data.chelsea()).crop(SQUARE).resize((SIDE, SIDE))
    clean = np.asarray(square).transpose(2, 0, 1)[None]
    corrupted = [corrupt(clean, kind, s, sample_ids=["chelsea"], seed=0) for s in SEVERITIES]
    return [clean[0], *(batch[0] for batch in corrupted)]


def tile(image: np.ndarray) -> Image.Image:
    """Return the middle of an image, smaller."""
    whole = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    x, y, width, height = MIDDLE
    return whole.crop((x, y, x + width, y + height)).resize(TILE, Image.Resampling.BOX)


if __name__ == "__main__":
    main()
