"""Run rounds of a small experiment for a long time in one process, with random kills in between.

    python -m tests.soak --minutes 30

A cycle is a training of three epochs with two rounds of perturb, explain, score and train, then
evaluate, report, convert and verify, in one folder; formats alternate. One long-living process runs
all commands. Before half of them, the same command is started in another process and killed at a
random moment, and the long-living process goes on from what it left. The soak fails if a command
does, if a cycle leaves other bytes than the first one of its format, or if memory, descriptors,
threads, processes, temporary files or the disk use grow (tests/gauges.py has the criterion).
Ctrl-C ends it early, with a record of the cycles so far.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.gauges import FIRST, gauges, leaks
from tests.kills.cases import (
    DATA,
    EVALUATE,
    TRAIN,
    WORK,
    Case,
    Command,
    environment_of,
    write_images,
)
from tests.kills.moments import Extent, choose_moment, killed
from tests.processes import Zygote, serving, tree_of
from tests.records import parser, write

KILLED = 0.5
"""Share of the commands that are killed first."""
FORMATS = ("zarr", "h5")
OTHER = {"zarr": "h5", "h5": "zarr"}
MEGABYTE = 1e6


def cycle(suffix: str) -> Iterator[Command]:
    """Yield the commands of a cycle that writes one format."""
    train = (*TRAIN[:-1], 3)
    yield (*train, "--until-epoch", 1, "--output", "0/model")
    for number in (1, 2):
        model = ("--model", f"{number - 1}/model")
        samples, maps, weights = (
            f"{number}/{name}.{suffix}" for name in ("adv", "cams", "weights")
        )
        yield ("perturb", *model, *DATA, *WORK, "--steps", 1, "--output", samples)
        yield ("explain", *model, "--samples", samples, *WORK, "--output", maps)
        yield ("score", "--heatmaps", maps, "--shard-size", 4, "--output", weights)
        yield (
            *(*train, "--resume", model[1], "--weights", weights, "--samples", samples),
            *("--until-epoch", number + 1, "--output", f"{number}/model"),
        )
    yield (*EVALUATE, "--model", "2/model", "--output", "eval")
    yield ("report", "eval", "--output", "report.html")
    yield ("convert", f"1/adv.{suffix}", f"1/copy.{OTHER[suffix]}")
    yield ("verify", ".")


@contextmanager
def _streams_into(log: Path) -> Iterator[None]:
    """Send what this process prints into a file."""
    kept = [os.dup(stream) for stream in (1, 2)]
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        yield
    finally:
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)


def call(command: Command, log: Path) -> int:
    """Run a command in this process; return its exit code."""
    from ectool.__main__ import main as ectool

    with _streams_into(log):
        try:
            ectool([str(part) for part in command])
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    return 0


class Soak:
    """Cycles in this process, and what they left.

    Args:
        zygote: Starts the commands that are killed.
        root: Folder of all files.
        seed: Chooses what is killed, and when.
    """

    def __init__(self, zygote: Zygote, root: Path, seed: int) -> None:
        self.zygote, self.root, self.log = zygote, root, root / "log"
        self.choose = random.Random(seed)
        self.rounds: list[dict[str, float]] = []
        self.failures: list[str] = []
        self.counts: Counter[str] = Counter()
        self._first: dict[str, dict[str, str]] = {}
        self._extents: dict[Command, Extent] = {}

    def run_cycle(self) -> None:
        """Run all commands of a cycle, compare its bytes, measure, and remove its folder."""
        folder = self.root / "cycle"
        folder.mkdir()
        os.chdir(folder)
        suffix = FORMATS[len(self.rounds) % len(FORMATS)]
        for command in cycle(suffix):
            self._run(command, folder)
        tree = {name: _digest(content) for name, content in tree_of(folder).items()}
        first = self._first.setdefault(suffix, tree)
        if differing := [
            name for name in tree.keys() | first.keys() if tree.get(name) != first.get(name)
        ]:
            self.failures.append(f"cycle {len(self.rounds)}: other bytes: {sorted(differing)[:5]}")
        os.chdir(self.root)
        shutil.rmtree(folder)
        self._measure()

    def _run(self, command: Command, folder: Path) -> None:
        """Run a command in this process; before that, sometimes in another one that is killed."""
        if (extent := self._extents.get(command)) and self.choose.random() < KILLED:
            case = Case(command, ())
            moment = choose_moment(self.choose, case, extent)
            code, process = killed(self.zygote, case, moment, folder, dict(os.environ))
            process.log.unlink()
            self.counts["kills"] += code != 0
            self._remove_temporary()
        start = time.monotonic()
        code = call(command, self.log)
        if command not in self._extents:
            largest = max(map(len, tree_of(folder).values()), default=1)
            self._extents[command] = Extent(time.monotonic() - start, 60, largest)
        self.counts["commands"] += 1
        if code != 0:
            line = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
            self.failures.append(f"cycle {len(self.rounds)}: {command[0]} ends with {code}: {line}")

    def _remove_temporary(self) -> None:
        """Remove the temporary files of a killed process, as the system does."""
        for path in (self.root / "tmp").iterdir():
            self.counts["temporary files of killed processes"] += 1
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _measure(self) -> None:
        """Note what this process holds, and what lies outside of the folder of a cycle."""
        self.log.unlink()
        sizes = [path.lstat().st_size for path in self.root.rglob("*") if path.is_file()]
        self.rounds.append(
            gauges()
            | {
                "files": len(sizes),
                "bytes on disk": sum(sizes),
                "shared memory files": len(list(Path("/dev/shm").glob(f"*torch_{os.getpid()}*"))),
            }
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def soak(made: Soak, minutes: float) -> None:
    """Run cycles for some minutes, more than those of the warm-up; print a line about each."""
    stop = time.monotonic() + 60 * minutes
    while time.monotonic() < stop or len(made.rounds) <= FIRST:
        made.run_cycle()
        last = made.rounds[-1]
        left = max(0, stop - time.monotonic()) / 60
        sys.stderr.write(
            f"cycle {len(made.rounds)}: {last['memory'] / MEGABYTE:.0f} MB, "
            f"{last['descriptors']} descriptors, {last['threads']} threads, {last['files']} files, "
            f"{made.counts['kills']} kills, {len(made.failures)} failures, {left:.0f} min left\n"
        )


def summary(made: Soak) -> dict[str, float]:
    """Return the numbers of the record."""
    memory = [one["memory"] / MEGABYTE for one in made.rounds]
    found: dict[str, float] = {**made.counts, "cycles": len(made.rounds)}
    for place, number in {"first": 0, "middle": len(memory) // 2, "last": -1}.items():
        found[f"memory in MB, {place} cycle"] = round(memory[number], 1)
    last: Mapping[str, float] = made.rounds[-1]
    return found | {
        f"{name}, last cycle": value for name, value in last.items() if name != "memory"
    }


def main() -> None:
    """Run cycles and write the record."""
    given = parser(__doc__, name="soak", count=0)
    given.add_argument("--minutes", type=float, default=30)
    options = given.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        root = Path(name).resolve()
        for folder in ("logs", "tmp", "inputs"):
            (root / folder).mkdir()
        # Before torch is imported, here and in the zygote: both compute with one thread.
        os.environ.update(environment_of(root, root / "tmp"))
        write_images(root / "inputs" / "images" / "train")
        with serving() as address:
            made = Soak(Zygote(address, root / "logs"), root, options.seed)
            try:
                soak(made, options.minutes)
            except KeyboardInterrupt:
                sys.stderr.write("interrupted: the record has the cycles so far\n")
        os.chdir("/")
    failures = [*made.failures, *leaks(made.rounds)]
    seconds = time.monotonic() - start
    write(options, failures, cases=len(made.rounds), seconds=seconds, counts=summary(made))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
