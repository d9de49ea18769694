from __future__ import annotations

import errno
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.image_files import ImageFiles
from ectool.datasets.shared import SharedImages, shared
from ectool.datasets.subset import Subset
from ectool.datasets.views import View

COUNT, SIDE = 20, 10
EVERY = np.arange(COUNT)


@dataclass(frozen=True, eq=False)
class Counted(ImageFiles):
    """Image files that remember which of them were decoded."""

    decoded: list[int] = field(default_factory=list)

    def images(self, indices, framing=None):
        self.decoded.extend(indices.tolist())
        return super().images(indices, framing)


@pytest.fixture
def counted(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    names = tuple(f"{number}.png" for number in range(COUNT))
    for name in names:
        pixels = generator.integers(0, 256, (12, 15, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return Counted(
        name="noise/test",
        folder=folder,
        paths=names,
        sample_ids=names,
        labels=EVERY % 2,
        classes=("even", "odd"),
        view=View(SIDE),
        root=tmp_path,
        facts={"data": "noise"},
    )


def test_images_are_the_same_and_decoded_once(counted, tmp_path):
    expected = counted.images(EVERY)
    counted.decoded.clear()
    with shared({"original": counted}, tmp_path) as opened:
        for rows in ([3, 1, 3], [0, 3, 19], [], EVERY, EVERY[::-1]):
            indices = np.array(rows, np.int64)
            np.testing.assert_array_equal(opened["original"].images(indices), expected[indices])
    assert sorted(counted.decoded) == EVERY.tolist()


def test_threads_that_ask_at_once_decode_nothing_twice(counted, tmp_path):
    expected = counted.images(EVERY)
    counted.decoded.clear()
    together = threading.Barrier(4)
    with shared({"original": counted}, tmp_path) as opened, ThreadPoolExecutor(4) as pool:

        def read(seed):
            together.wait()
            order = np.random.default_rng(seed).permutation(COUNT)
            for rows in np.split(order, 4):
                np.testing.assert_array_equal(opened["original"].images(rows), expected[rows])

        assert len(list(pool.map(read, range(4)))) == 4
    assert sorted(counted.decoded) == EVERY.tolist()


def test_everything_else_is_the_data_sets_own(counted, tmp_path):
    with shared({"original": counted}, tmp_path) as opened:
        found = opened["original"]
        assert isinstance(found, SharedImages)
        for name in ("name", "classes", "sample_ids", "groups", "size", "fingerprint"):
            assert getattr(found, name) == getattr(counted, name)
        assert found.labels is counted.labels
        assert found.annotations(EVERY) == counted.annotations(EVERY)

        def framing(index, width, height):
            return (1, 2, width - 3, height - 1)

        np.testing.assert_array_equal(found.images(EVERY, framing), counted.images(EVERY, framing))


def test_subsets_of_files_are_shared_and_arrays_are_not(counted, tmp_path):
    rows = np.array([2, 5, 11])
    some = Subset(counted, rows)
    with shared({"some": some}, tmp_path) as opened:
        assert isinstance(opened["some"], SharedImages)
        np.testing.assert_array_equal(
            opened["some"].images(np.array([2])), counted.images(rows[2:])
        )
        array = opened["some"]  # not decoded from files itself
        with shared({"again": array}, tmp_path) as again:
            assert again["again"] is array


def test_nothing_is_left_behind_and_nothing_written_where_there_is_no_room(
    counted, tmp_path, monkeypatch
):
    before = sorted(tmp_path.iterdir())
    with shared({"original": counted}, tmp_path) as opened:
        opened["original"].images(EVERY)
        assert sorted(tmp_path.iterdir()) == before
    free = 2 * COUNT * 3 * SIDE**2
    for left, is_shared in ((free, True), (free - 1, False)):
        usage = shutil.disk_usage(tmp_path)._replace(free=left)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        with shared({"original": counted}, tmp_path) as opened:
            assert isinstance(opened["original"], SharedImages) == is_shared


def test_a_disk_that_fills_up_is_an_error(counted, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: len(data) - 1)
    with (
        shared({"original": counted}, tmp_path) as opened,
        pytest.raises(OSError, match="No space left") as stop,
    ):
        opened["original"].images(EVERY)
    assert stop.value.errno == errno.ENOSPC
