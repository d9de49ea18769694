"""A limit of the address space, for one block."""

from __future__ import annotations

import resource

import pytest

from ectool.artifacts.guard.memory import bounded_memory


def test_the_limit_ends_with_the_block():
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), bounded_memory(2**26):
        bytearray(2**27)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with bounded_memory(2**28):
        bytearray(2**27)
