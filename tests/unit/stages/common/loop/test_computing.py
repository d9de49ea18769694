"""The loop over batches: order, memory that runs out, and results that are still on the device."""

import numpy as np
import pytest
import torch

from ectool.config.groups import AutomaticSize
from ectool.stages.common.loop.computing import Pace, batches_of, computed, fetched

SHARDS = [(0, 0, 8), (1, 8, 16), (2, 16, 21)]


class Doubles:
    """Doubles each row; a batch of more than `fits` rows asks for more memory than exists."""

    def __init__(self, fits=100):
        self.fits = fits
        self.sizes, self.counted, self.discarded = [], 0, 0

    def load(self, rows):
        return rows

    def compute(self, batch):
        self.sizes.append(len(batch))
        self.counted += len(batch)
        if len(batch) > self.fits:
            torch.empty(2**60, dtype=torch.uint8)
        return ({"row": batch, "double": torch.from_numpy(batch) * 2},)

    def findings(self, arrays):
        return ({},)

    def discard(self):
        self.counted, self.discarded = 0, self.discarded + 1


def run(work, pace, listener, shards=SHARDS):
    steps = []
    found = {}
    for number, (arrays,) in computed(work, shards, pace, steps.append, listener):
        found[number] = arrays["double"].tolist()
        work.counted = 0
    return found, steps


EXPECTED = {number: [2 * row for row in range(start, stop)] for number, start, stop in SHARDS}


def test_no_batch_crosses_a_shard():
    found = [(number, rows.tolist()) for number, rows in batches_of([(4, 2, 7), (5, 7, 9)], 3)]
    assert found == [(4, [2, 3, 4]), (4, [5, 6]), (5, [7, 8])]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("size", [1, 3, 8, 50])
def test_tensors_and_arrays_become_shards_in_order(size, workers, listener):
    found, steps = run(Doubles(), Pace(size, workers), listener)
    assert found == EXPECTED
    assert sum(steps) == 21


def test_batches_are_halved_until_they_fit(listener):
    work = Doubles(fits=2)
    found, steps = run(work, Pace(AutomaticSize(8)), listener)
    assert found == EXPECTED
    assert work.sizes[:3] == [8, 4, 2]
    assert max(work.sizes[2:]) == 2
    assert work.discarded == 2
    assert sum(steps) == 21
    assert listener.notes == [f"memory ran out; going on in batches of {n}" for n in (4, 2)]


def test_finished_shards_are_not_repeated(listener):
    work = Doubles(fits=5)
    found, _ = run(work, Pace(AutomaticSize(8)), listener, [(0, 0, 5), (1, 5, 13)])
    assert sorted(found) == [0, 1]
    assert work.sizes == [5, 8, 4, 4]


def test_what_was_counted_before_the_memory_ran_out_does_not_count(listener):
    work, seen = Doubles(fits=4), []
    for _ in computed(work, [(0, 0, 11)], Pace(AutomaticSize(8)), lambda _: None, listener):
        seen.append(work.counted)
    assert seen == [11]


@pytest.mark.parametrize(("size", "fits"), [(8, 4), (AutomaticSize(8), 0)])
def test_a_given_size_is_kept_and_a_single_image_has_to_fit(size, fits, listener):
    with pytest.raises(RuntimeError, match=r"allocate memory|not enough memory"):
        run(Doubles(fits), Pace(size), listener)


def test_other_errors_are_not_about_memory(listener):
    class Broken(Doubles):
        def compute(self, batch):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        run(Broken(), Pace(AutomaticSize(8)), listener)
    assert listener.notes == []


def test_arrays_are_fetched_unchanged():
    rows = np.arange(3)
    found = fetched({"rows": rows, "maps": torch.ones(3, 2, dtype=torch.float16)})
    assert found["rows"] is rows
    assert found["maps"].dtype == np.float16
    assert fetched({"rows": rows})["rows"] is rows
