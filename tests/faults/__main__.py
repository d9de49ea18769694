"""Faults of the machine around every command with an output: `python -m tests.faults`.

Each case is one command and one fault: a full disk, no room for files, a read-only file system, a
limit of file size, descriptors or memory, a failing change of a file, an output or input removed
while the command runs, no home or temporary folder, closed or full streams, files of 1970 or 2100.
The command must end with one line and a documented exit code, or finish; without the fault, the
same command must finish with the bytes of an undisturbed run. Then writers race for one output.
"""

from __future__ import annotations

import random
import sys
import time

from tests import records
from tests.faults.machine.bench import NotHereError
from tests.faults.machine.commands import benches
from tests.faults.machine.kinds import KINDS
from tests.faults.machine.races import race


def main() -> int:
    """Run the cases, write the record, and return the exit code."""
    parser = records.parser(__doc__ or "", name="faults", count=400)
    parser.add_argument("--races", type=int, default=1000, help="races of two writers [1000]")
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin no case later")
    parser.add_argument("--only", help="kinds of faults, with commas")
    options = parser.parse_args()
    start, failures, counts = time.monotonic(), list[str](), dict[str, int]()
    with benches() as bench:
        kinds = options.only.split(",") if options.only else list(KINDS)
        cases = [(kind, name) for kind in kinds for name in bench.commands]
        random.Random(options.seed).shuffle(cases)
        for number in range(options.count):
            if time.monotonic() - start > options.seconds:
                break
            kind, name = cases[number % len(cases)]
            choose = random.Random(f"{options.seed}/{number}")
            try:
                found = KINDS[kind](bench, name, choose)
            except NotHereError:
                continue
            counts[kind] = counts.get(kind, 0) + 1
            failures += [f"{number}: {kind}, {name}: {one}" for one in found]
            for line in found:
                sys.stderr.write(f"{number}: {kind}, {name}: {line}\n")
        for number in range(options.races):
            if time.monotonic() - start > options.seconds:
                break
            found = race(bench, random.Random(f"{options.seed}/race/{number}"))
            counts["race"] = counts.get("race", 0) + 1
            failures += [f"race {number}: {one}" for one in found]
            for line in found:
                sys.stderr.write(f"race {number}: {line}\n")
    seconds, total = time.monotonic() - start, sum(counts.values())
    records.write(options, failures, cases=total, seconds=seconds, counts=counts)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
