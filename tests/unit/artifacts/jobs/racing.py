"""Races of two forked processes for one output: `racing.py FOLDER COUNT` prints how each ended.

A line of a race: the ids of both processes, each with `published`, `finished` or `told PID`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from ectool.artifacts.chunks.seal import checksum
from ectool.artifacts.folder import building
from ectool.artifacts.manifest import Recipe
from ectool.errors import BusyOutputError, FinishedMeanwhileError

CONTENT = b"content" * 1000


def write(output: Path) -> str:
    """Write a folder artifact; return how that ended."""
    try:
        with building(output, Recipe(kind="model", stage="train", config={})) as partial:
            partial.store.mkdir()
            (partial.store / "model.json").write_bytes(CONTENT)
            partial.publish({"model.json": checksum(CONTENT).hex()})
    except FinishedMeanwhileError:
        return "finished"
    except BusyOutputError as error:
        found = re.search(r"process (\d+) on", error.got)
        return f"told {found[1]}" if found else "told nothing"
    return "published"


def race(output: Path) -> str:
    """Return how the two processes of a race ended."""
    (waiting, start), (reading, result) = os.pipe(), os.pipe()
    pids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            os.close(start)
            os.read(waiting, 1)  # until the parent closes its end
            os.write(result, f"{os.getpid()} {write(output)}\n".encode())
            os._exit(0)
        pids.append(pid)
    for number in (start, waiting, result):
        os.close(number)
    for pid in pids:
        os.waitpid(pid, 0)
    with os.fdopen(reading) as file:
        return "; ".join(sorted(line.strip() for line in file))


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        sys.stdout.write(race(Path(sys.argv[1]) / str(number)) + "\n")
        sys.stdout.flush()
