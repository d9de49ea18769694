"""Real processes, killed by signals."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.processes import Zygote

# A shell that runs the tests in the background has them ignore Ctrl-C, and their processes too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def zygote(zygote_socket: str, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Zygote:
    """Return the zygote; `data_root` sets the folder of the data."""
    return Zygote(zygote_socket, tmp_path_factory.mktemp("logs"))
