"""Which files count as images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, features

from ectool.datasets.formats import is_image_name, readable_formats
from ectool.datasets.images import read_image
from ectool.datasets.own.folders import list_split

SAVED = ["gif", "jfif", "jpe", "webp", "tif", "ppm", "pnm", "jp2", "tga", "pcx", "sgi", "qoi"]
SAVED += ["apng", "dds", "bmp", "dib", "mpo"]
SAVED += ["avif"] if features.check("avif") else []

LOSSY = ["jfif", "jpe", "webp", "avif", "mpo"]


@pytest.mark.parametrize("extension", SAVED)
def test_all_formats_of_pillow_count_in_folders(tmp_path, extension):
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / f"0.{extension.upper()}"
    image.save(path)
    assert list_split(tmp_path, "all").sample_ids == (f"a/{path.name}",)
    difference = np.asarray(read_image(path)).astype(int) - np.asarray(image)
    assert abs(difference).max() <= (0 if extension not in LOSSY else 8)


@pytest.mark.parametrize("name", ["a.eps", "a.wmf", "a.h5", "a.pdf", "a.mpg", "a.txt", "png", "a"])
def test_what_starts_other_programs_or_holds_no_pixels_does_not(name):
    assert not is_image_name(name)


def test_bytes_without_a_signature_are_an_image_only_by_their_extension():
    assert "TGA" not in readable_formats("a.png")
    assert readable_formats("a.TGA")[-1] == "TGA"
    assert all(is_image_name(name) for name in ("a.jpeg", "a.png", "a.avif", "a.tga"))


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_no_image(tmp_path, seed):
    generator = np.random.default_rng(seed)
    for number in range(200):
        path = tmp_path / f"{number}.png"
        path.write_bytes(generator.bytes(200))
        with pytest.raises(Exception, match="expected a readable image"):
            read_image(path)
