"""Run hostile inputs through every command that reads files.

Each case is a valid input that was changed; its name is KIND:SEED:NUMBER, and the same name gives
the same input. To add a kind, see tests/fuzz/__init__.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .campaign import Campaign
from .cases import Case
from .corpus import make_corpus
from .kinds import KINDS
from .pointers import serving
from .runner import Workplace
from .zygotes import records, zygote

NAME = "fuzz"
MEMORY = Path("/dev/shm")


def parser() -> argparse.ArgumentParser:
    made = records.parser(__doc__ or "", name=NAME, count=5000)
    made.add_argument("--kind", action="append", choices=sorted(KINDS), help="default: all")
    made.add_argument("--minutes", type=float, help="start no case after this time")
    made.add_argument("--only-case", metavar="KIND:SEED:NUMBER", help="repeat one case")
    made.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the inputs that fail")
    made.add_argument(
        "--folder",
        type=Path,
        help="where to work, and keep the valid inputs for the next time, which begins sooner; "
        "remove it after a change of what ectool writes [a temporary folder in memory]",
    )
    return made


def cases_of(options: argparse.Namespace) -> list[Case]:
    """Return the cases, the kinds in turn."""
    if options.only_case:
        kind, seed, number = options.only_case.split(":")
        return [Case(kind, int(seed), int(number))]
    kinds = options.kind or sorted(KINDS)
    return [
        Case(kinds[place % len(kinds)], options.seed, place // len(kinds))
        for place in range(options.count)
    ]


def main() -> int:
    options = parser().parse_args()
    start, cases = time.monotonic(), cases_of(options)
    deadline = None if options.minutes is None else start + 60 * options.minutes
    with workplace(options.folder) as place:
        make_corpus(place, ["base", *sorted({n for c in cases for n in KINDS[c.kind].needs})])
        campaign = Campaign(place, KINDS, keep=options.keep, tell=show)
        result = campaign.run(cases, deadline)
    records.write(
        options,
        [failure.to_line() for failure in result.failures],
        cases=result.cases,
        seconds=time.monotonic() - start,
        counts=result.counts(),
    )
    return int(bool(result.failures))


@contextmanager
def workplace(folder: Path | None) -> Iterator[Workplace]:
    """Open a workplace in a folder; without one, in a temporary folder."""
    with ExitStack() as stack:
        if folder is None:
            parent = MEMORY if MEMORY.is_dir() else None
            made = tempfile.TemporaryDirectory(prefix="ectool-fuzz-", dir=parent)
            folder = Path(stack.enter_context(made))
        folder.mkdir(parents=True, exist_ok=True)
        url = stack.enter_context(serving(folder))
        yield Workplace(folder.absolute(), stack.enter_context(zygote()), url)


def show(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
