"""The zygote and other modules of `tests/`, for this package."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parents[1]
if str(TESTS) not in sys.path:  # as pytest sets it
    sys.path.append(str(TESTS))

import records  # noqa: E402
from forked import Command  # noqa: E402

__all__ = ["Command", "records", "zygote"]


@contextmanager
def zygote() -> Iterator[str]:
    """Start a zygote; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "zygote")
        process = subprocess.Popen(
            [sys.executable, str(TESTS / "zygote.py"), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                yield address
            finally:
                process.stdin.close()
