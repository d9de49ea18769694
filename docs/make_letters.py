"""Draw docs/letters.png: the same letters in every variant of the data set `letters`.

python -m docs.make_letters
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ectool.config import DataOptions
from ectool.datasets.registry import find_entry
from ectool.stages.common.inputs import open_data

FILE = Path(__file__).with_name("letters.png")
COUNT = 10
GAP = 2
NAMES = 80
COLOURS = 256
"""Of the palette: a page should load at once."""


def main() -> None:
    """Draw the table of images, variants by letters."""
    variants = find_entry("letters").variants
    options = DataOptions(data="letters")
    rows = [open_data(options, "test", name).images(np.arange(COUNT)) for name in variants]
    side = rows[0].shape[-1]
    sheet = Image.new("RGB", (NAMES + COUNT * (side + GAP), len(rows) * (side + GAP)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for row, (variant, images) in enumerate(zip(variants, rows, strict=True)):
        top = row * (side + GAP)
        pen.text((0, top + side / 2), variant, "black", font, anchor="lm")
        for column, image in enumerate(images):
            tile = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
            sheet.paste(tile, (NAMES + column * (side + GAP), top))
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(FILE, optimize=True)


if __name__ == "__main__":
    main()
