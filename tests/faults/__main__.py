"""Faults of the machine around every command with an output: `python -m tests.faults`.

Each case is one command and one fault: a full disk, no room for files, a read-only file system, a
limit of file size, descriptors or memory, a failing change of a file, an output or input removed
while the command runs, no home or temporary folder, closed or full streams, files of 1970 or 2100.
The command must end with one line and a documented exit code, or finish; without the fault, the
same command must finish with the bytes of an undisturbed run. Then writers race for one output.
Two processes share cases and races; `--processes 1` runs them one after the other.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests import records
from tests.faults.machine.campaign import ran

PROCESSES = 2


def main() -> int:
    """Run the cases, write the record, and return the exit code."""
    parser = records.parser(__doc__ or "", name="faults", count=400)
    parser.add_argument("--races", type=int, default=1000, help="races of two writers [1000]")
    parser.add_argument("--seconds", type=float, default=1200.0, help="begin no case later [1200]")
    parser.add_argument("--only", default="", help="kinds of faults, with commas")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="at the same time [2]")
    options = parser.parse_args()
    start, end = time.monotonic(), time.time() + options.seconds
    counts, failures = Counter[str](), list[str]()
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        parts = [pool.submit(ran, options, place, end) for place in range(options.processes)]
        for part in parts:
            counts += part.result()[0]
            failures += part.result()[1]
    seconds, total = time.monotonic() - start, sum(counts.values())
    records.write(
        options, failures, cases=total, seconds=seconds, counts=dict(sorted(counts.items()))
    )
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
