"""Draw docs/report-first-screen.png: the first screen of a report on a desktop.

    python -m docs.make_first_screen run/digits/report.html

Needs a Chromium in the PATH, and `pip install ectool[browser]`.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FILE = Path(__file__).with_name("report-first-screen.png")
SIZE = (1400, 900)
COLOURS = 256
"""Of the palette: the image stays small."""


def main(page: Path) -> None:
    """Take a screenshot of the page in light colours."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        shot = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        browser.close()
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(FILE, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
