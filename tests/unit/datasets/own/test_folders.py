from __future__ import annotations

from collections import Counter

import pytest
from PIL import Image

from ectool.datasets.own.folders import list_split
from ectool.datasets.splits import drawn_split


def test_the_drawn_split_is_about_eighty_ten_ten_and_fixed():
    counts = Counter(drawn_split(f"ant/{number}.png") for number in range(10_000))
    assert counts["train"] == pytest.approx(8000, abs=150)
    assert counts["validation"] == pytest.approx(1000, abs=100)
    assert counts["test"] == pytest.approx(1000, abs=100)
    first = [drawn_split(f"ant/{number}.png") for number in range(12)]
    assert first == [
        "train",
        "train",
        "test",
        "train",
        "train",
        "validation",
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
    ]


def test_a_split_folder_is_one_that_holds_folders(tmp_path):
    for name in ("test", "zebra"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "0.png")
    listing = list_split(tmp_path, "all")
    assert listing.classes == ("test", "zebra")
    assert listing.sample_ids == ("test/0.png", "zebra/0.png")
    assert listing.labels == (0, 1)
    assert listing.masks is None
