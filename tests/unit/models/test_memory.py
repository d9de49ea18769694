"""Freed memory is kept if the C library supports it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from ectool.models.memory import keep_freed_memory

FAULTS = """
import resource
import torch
from ectool.models.memory import keep_freed_memory
if {told}:
    keep_freed_memory()
torch.zeros(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own setting")
def test_large_blocks_are_not_cleared_again():
    def faults(told: bool) -> int:
        code = FAULTS.format(told=told)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert faults(told=True) < faults(told=False) / 2


def test_it_can_be_set_more_than_once():
    assert keep_freed_memory() == keep_freed_memory()
