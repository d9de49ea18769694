"""Calls in a copy of the process: their results, errors, crashes and limits."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ectool.artifacts.guard.child import CrashError, in_child


def test_what_it_returns_arrives_whole():
    data = os.urandom(3_000_000)
    assert in_child(lambda: data) == data
    assert in_child(lambda: b"") == b""


def test_nothing_of_this_process_changes():
    found = []
    in_child(lambda: bytes(found.append(os.getpid()) or b""))
    assert found == []


def test_no_copy_is_left():
    copy = int.from_bytes(in_child(lambda: os.getpid().to_bytes(8, "big")), "big")
    with pytest.raises(ChildProcessError):
        os.waitpid(copy, os.WNOHANG)


def test_several_threads_have_copies_at_the_same_time():
    with ThreadPoolExecutor(8) as workers:
        assert list(workers.map(lambda n: in_child(lambda: bytes([n])), range(16))) == [
            bytes([number]) for number in range(16)
        ]


WITHOUT_PROCESSES = """
import os, resource
from ectool.artifacts.guard.child import in_child
from ectool.errors import MachineError
if os.geteuid() == 0:  # which has no limit
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    in_child(lambda: b"")
except MachineError as error:
    print(error, len(os.listdir("/proc/self/fd")))
"""


def test_no_more_processes_are_no_fault_of_the_file():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_PROCESSES], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith(
        "this machine: expected to start another process, got Resource temporarily unavailable; "
        "raise `ulimit -u`, or stop other programs"
    )
    assert run.stdout.endswith(" 4\n")  # three streams, and the folder itself: no end of a pipe


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("no such array"), "^no such array$"),
        (ValueError("wrong"), "^wrong$"),
        (OSError(28, "No space left on device"), r"\[Errno 28\] No space left on device"),
        (MemoryError(), "need more than 1 GB"),
        (RuntimeError(), "^RuntimeError$"),
    ],
)
def test_errors_arrive_as_errors_of_reading(error, message):
    with pytest.raises(OSError, match=message) as found:
        in_child(lambda: fail(error))
    assert found.value.errno == getattr(error, "errno", None)


def test_a_crash_is_an_error():
    with pytest.raises(CrashError, match="its library ends with SIGSEGV"):
        in_child(lambda: ctypes.string_at(0))
    with pytest.raises(CrashError, match="its library ends with SIGABRT"):
        in_child(lambda: os.abort())


def spin():
    while True:
        pass


def test_memory_and_time_are_limited():
    with pytest.raises(OSError, match="need more than 1 GB"):
        in_child(lambda: bytes(2**31))
    start = time.process_time()
    with pytest.raises(CrashError, match="its library ends with SIGXCPU"):
        in_child(spin, seconds=1)
    assert time.process_time() - start < 1
