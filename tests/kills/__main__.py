"""Kill commands at random moments, and compare what they leave with an undisturbed run.

    python -m tests.kills --count 200 --seed 0

Each chain runs one command up to three times, and kills it each time (SIGKILL): at a random time,
before a random change of a file, before one of the last changes, or in the middle of a write; of
commands with several processes, also one of the workers. A chain fails if, after a kill, something
incomplete stands under a final name or passes `verify`, or `verify` finds damage; if the same
command does not end with the bytes of an undisturbed run, or leaves another file or folder; if a
process hangs or outlives its command.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from tests.kills.cases import CASES, Case, Command, environment_of, prepare
from tests.kills.moments import Extent, choose_moment, ended, killed
from tests.processes import Zygote, serving, tree_of
from tests.records import parser, write

UNFINISHED, TEMPORARY = ".partial-", ".tmp"
FOLDERS = ("run", "study", "audit")
"""Outputs of many artifacts. Their lock tells that more follow; a killed process leaves it."""
DAMAGED = re.compile(r'"state":\s*"damaged"')
IN_A_ROW = 3
"""Maximum number of kills before the command may finish."""
Tree = Mapping[str, bytes]


class Reference(NamedTuple):
    """What an undisturbed run leaves, what was there before, and how long it took."""

    tree: Tree
    folders: Collection[str]
    before: Path | None
    extent: Extent


class Harness:
    """Undisturbed runs, and chains of kills that are compared with them.

    Args:
        zygote: Starts the commands.
        root: Folder of all files.
    """

    def __init__(self, zygote: Zygote, root: Path) -> None:
        self.zygote, self.root = zygote, root
        self.temporary = root / "tmp"
        self.temporary.mkdir()
        self.environment = environment_of(root, self.temporary)
        self.counts: Counter[str] = Counter()
        self.reference = cache(self._reference)
        prepare(zygote, root, self.environment)

    def _reference(self, name: str) -> Reference:
        """Run the commands of a case without a kill."""
        case, before = CASES[name], None
        if case.before:
            before = self._folder(f"{name} before", None)
            for command in case.before:
                self._succeed(command, before)
        folder = self._folder(name, before)
        count = self.root / "count"
        count.unlink(missing_ok=True)
        start = time.monotonic()
        self._succeed(case.command, folder, folder=str(folder), count_into=str(count))
        seconds = time.monotonic() - start
        tree = tree_of(folder)
        changes = int(count.read_text() or 1)
        size = max(map(len, tree.values()))
        reference = Reference(tree, _folders(folder), before, Extent(seconds, changes, size))
        self._check_verified(case, folder, tree, reference)
        shutil.rmtree(folder)
        return reference

    def chain(self, name: str, choose: random.Random) -> int:
        """Kill a command some times, let it finish; return how often it died.

        Raises:
            AssertionError: A promise is broken.
            TimeoutError: A process hangs.
        """
        case, reference = CASES[name], self.reference(name)
        folder, died, told = self._folder(name, reference.before), 0, list[str]()
        try:
            for _ in range(choose.randint(1, IN_A_ROW)):
                moment = choose_moment(choose, case, reference.extent)
                told.append(str(moment))
                code, process = killed(self.zygote, case, moment, folder, self.environment)
                died += code != 0
                self.counts[f"kills by {moment.way}"] += code != 0
                log = process.log.read_text(errors="replace")
                assert "Traceback" not in log, log[-300:]
                self.counts["outputs checked after a kill"] += len(case.outputs)
                self._check_claims(case, folder, reference)
            self._check_finished(case, folder, reference)
        except (AssertionError, TimeoutError) as error:
            error.add_note(f"{name}, killed at {', '.join(told)}")
            raise
        finally:
            shutil.rmtree(folder)
        return died

    def _check_claims(self, case: Case, folder: Path, reference: Reference) -> None:
        """Check that what stands under a final name is complete."""
        tree = tree_of(folder)
        before = tree_of(reference.before) if reference.before else {}
        wrong = [
            name
            for name, content in tree.items()
            if UNFINISHED not in name
            and not name.endswith(TEMPORARY)
            and name not in case.growing
            and content not in (reference.tree.get(name), before.get(name))
        ]
        assert not wrong, f"incomplete under a final name: {wrong[:3]}"
        self._check_verified(case, folder, tree, reference)

    def _check_verified(self, case: Case, folder: Path, tree: Tree, reference: Reference) -> None:
        """Check that `verify` passes outputs that are complete and no others, and finds no damage.

        An output that was there before may be as it was, or between both.
        """
        before, is_clean = reference.before, tree.keys() == reference.tree.keys()
        for output in case.outputs:
            code = self._run(("verify", output), folder)[0]
            is_complete = _below(tree, output) == _below(reference.tree, output)
            must_pass = is_complete and (is_clean or output not in FOLDERS)
            may_pass = is_complete or (before is not None and (before / output).exists())
            as_promised = may_pass if code == 0 else not must_pass
            assert as_promised, f"verify {output}: {code}, {is_complete=}"
        text = self._run(("verify", ".", "--json", "--quiet"), folder)[1]
        assert not DAMAGED.search(text), f"verify finds damage: {text[:300]}"

    def _check_finished(self, case: Case, folder: Path, reference: Reference) -> None:
        """Check that the same command ends with the bytes of an undisturbed run."""
        code, log = self._run(case.command, folder)
        assert code == 0, f"the same command ends with {code}: {log[-300:]}"
        tree = tree_of(folder)
        left = {*tree, *_folders(folder)} - {*reference.tree, *reference.folders}
        assert not left, f"left behind: {left}"
        differing = [name for name in reference.tree if tree.get(name) != reference.tree[name]]
        assert not differing, f"other bytes: {differing[:3]}"
        self._check_verified(case, folder, tree, reference)

    def _folder(self, name: str, template: Path | None) -> Path:
        """Return a new folder, as deep as `inputs/`; a copy of another one, if given."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name.replace(' ', '-')}-", dir=self.root))
        if template is not None:
            shutil.copytree(template, folder, dirs_exist_ok=True)
        return folder

    def _run(self, command: Command, where: Path, **options: str) -> tuple[int, str]:
        process = self.zygote.start(
            *command, cwd=str(where), environment=self.environment, **options
        )
        return ended(process), process.log.read_text(errors="replace")

    def _succeed(self, command: Command, where: Path, **options: str) -> None:
        code, log = self._run(command, where, **options)
        assert code == 0, f"an undisturbed run of {command} ends with {code}: {log[-500:]}"


def _folders(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir()}


def _below(tree: Tree, output: str) -> Tree:
    return {
        name: content
        for name, content in tree.items()
        if f"{name}/".startswith(f"{output}/") and UNFINISHED not in name
    }


def tried(harness: Harness, options: argparse.Namespace) -> tuple[int, list[str]]:
    """Run chains until enough processes have died; return their number, and the failures."""
    died, failures = 0, list[str]()
    for number, name in enumerate(cycle(names_of(options))):
        if died >= options.count:
            return died, failures
        try:
            died += harness.chain(name, random.Random(f"{options.seed} {number}"))
        except (AssertionError, TimeoutError) as error:
            failures.append(
                " | ".join([str(error), *getattr(error, "__notes__", [name])]).replace("\n", " ")
            )
            sys.stderr.write(f"{failures[-1]}\n")
            died += 1
        harness.counts["chains"] += 1
        sys.stderr.write(f"{died} of {options.count} kills, {name}\n")
    raise AssertionError("cycle ends")


def names_of(options: argparse.Namespace) -> Iterator[str]:
    """Return the names of the cases, in an order that depends on the seed."""
    names = [name for name in CASES if name.startswith(options.only)]
    random.Random(options.seed).shuffle(names)
    return iter(names)


def main() -> None:
    """Run chains and write the record."""
    made = parser(__doc__, name="kills", count=200)
    made.add_argument("--only", default="", help="cases whose name begins like this")
    options = made.parse_args()
    start = time.monotonic()
    with serving() as address, tempfile.TemporaryDirectory(prefix="kills-") as folder:
        root = Path(folder).resolve()
        (root / "logs").mkdir()
        harness = Harness(Zygote(address, root / "logs"), root)
        died, failures = tried(harness, options)
        counts = {**harness.counts, "files left in TMPDIR": len(list(harness.temporary.iterdir()))}
    write(options, failures, cases=died, seconds=time.monotonic() - start, counts=counts)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
