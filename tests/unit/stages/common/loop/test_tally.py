"""Counts and checks that wait until a shard is finished."""

import numpy as np
import pytest
import torch

from ectool.errors import InputError
from ectool.scores.similarity import is_constant
from ectool.stages.common.constant_maps import FINDING
from ectool.stages.common.loop.tally import Tally

NAN, INF = float("nan"), float("inf")


def test_counts_add_up_and_begin_again():
    tally = Tally()
    for found in ([True, False, True], [True]):
        tally.count("still", torch.tensor(found))
    tally.count("other", torch.tensor([False]))
    assert tally.take() == {"still": 3, "other": 0}
    assert tally.take() == {}


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_the_first_sample_with_bad_logits_is_named(bad):
    tally, logits = Tally(), torch.zeros(3, 4)
    tally.check_finite(logits, ["a", "b", "c"])
    logits = logits.clone()
    logits[1, 2] = logits[2, 0] = bad
    tally.check_finite(logits, ["d", "e", "f"])
    tally.check_finite(logits, ["g", "h", "i"])
    with pytest.raises(InputError, match="expected finite logits, got NaN or infinity for 'e'"):
        tally.take()
    assert tally.take() == {}


def test_constant_maps_are_those_of_the_definition():
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(8, 2, 3, 3, generator=generator)
    maps[:3, 0], maps[5, 1] = 0.25, 0
    maps[4, 0] = 0.25 + 1e-7 * torch.arange(9).view(3, 3)
    targets = torch.zeros(8, 2, dtype=torch.int64)
    targets[1] = -1
    expected = int((is_constant(maps.numpy()) & (targets >= 0).numpy()).sum())
    assert expected == 4
    tally = Tally()
    tally.note_maps(maps[:5], targets[:5])
    tally.note_maps(maps[5:], targets[5:])
    assert tally.take() == {FINDING: expected}
    tally.note_maps(maps[6:], targets[6:])
    assert FINDING not in tally.take()


def test_discarded_batches_do_not_count():
    tally = Tally()
    tally.count("still", torch.tensor([True]))
    tally.check_finite(torch.full((1, 2), NAN), ["a"])
    tally.note_maps(torch.zeros(1, 2, 2), torch.zeros(1, dtype=torch.int64))
    tally.discard()
    assert tally.take() == {}


def test_nothing_is_read_from_the_device_before_the_shard_ends():
    """A tensor on the meta device has no values, so that reading one is an error."""
    tally, device = Tally(), torch.device("meta")
    tally.count("still", torch.ones(3, dtype=torch.bool, device=device))
    tally.check_finite(torch.zeros(3, 4, device=device), ["a", "b", "c"])
    tally.note_maps(torch.zeros(3, 2, 2, device=device), torch.zeros(3, device=device))
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        tally.take()
    assert np.isfinite(sum(tally.take().values()))
