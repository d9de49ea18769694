"""The zygote and other modules of `tests/`, for this package."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
if str(TESTS) not in sys.path:  # as pytest sets it
    sys.path.append(str(TESTS))

from tests import records  # noqa: E402
from tests.forked import Command  # noqa: E402
from tests.processes import serving as zygote  # noqa: E402

__all__ = ["Command", "records", "zygote"]
