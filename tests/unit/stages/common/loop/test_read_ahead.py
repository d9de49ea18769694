"""Batches that are read ahead, on one or several threads."""

import threading
import time

import pytest

from ectool.config import ExplainConfig, MapOptions
from ectool.stages.common.loop.read_ahead import MOST, read_ahead, workers_of


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_does_not_depend_on_which_reader_is_first(workers):
    def read(item):
        time.sleep(0.002 * (item % 3 == 0))
        return item * item

    assert list(read_ahead(read, range(20), workers=workers)) == [n * n for n in range(20)]
    assert list(read_ahead(read, [], workers=workers)) == []


def test_several_threads_read_at_once():
    both = threading.Barrier(2, timeout=10)

    def read(item):
        if item in (1, 2):
            both.wait()
        return item

    assert list(read_ahead(read, range(4), workers=2)) == [0, 1, 2, 3]


def test_the_first_is_read_alone():
    running, most = 0, []
    lock = threading.Lock()

    def read(item):
        nonlocal running
        with lock:
            running += 1
        time.sleep(0.01)
        with lock:
            most.append((item, running))
            running -= 1
        return item

    list(read_ahead(read, range(6), workers=3))
    assert dict(most)[0] == 1


@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_no_more_is_read_than_asked(ahead):
    read = []
    batches = read_ahead(lambda item: read.append(item) or item, range(50), ahead=ahead)
    for position in range(5):
        next(batches)
        time.sleep(0.005)
        assert len(read) <= position + 1 + max(ahead, 2)
    batches.close()
    assert len(read) < 12


def test_an_error_is_raised_where_its_batch_would_come():
    def read(item):
        if item == 2:
            raise ValueError("image 2")
        return item

    batches = read_ahead(read, range(9), workers=3)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ValueError, match="image 2"):
        next(batches)


@pytest.mark.parametrize(("given", "device", "low", "high"), [
    (0, "cpu", 1, 1), (3, "cpu", 3, 3), (3, "cuda:1", 3, 3), (0, "cuda:0", 1, MOST),
])  # fmt: skip
def test_number_of_readers(given, device, low, high, tmp_path):
    options = ExplainConfig(model="m", output=tmp_path / "c.zarr", workers=given)
    assert low <= workers_of(options, device) <= high
    assert workers_of(MapOptions(output=tmp_path / "w.zarr"), device) == 1
