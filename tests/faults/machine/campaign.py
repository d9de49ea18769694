"""Cases and races, and what has failed: the work of one process."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.faults.machine.bench import Bench, NotHereError
from tests.faults.machine.commands import benches
from tests.faults.machine.kinds import KINDS
from tests.faults.machine.races import race

RACE = "race"


def cases_of(options: argparse.Namespace, commands: list[str]) -> list[tuple[str, str]]:
    """Return a kind of fault and a command of each case, in an order that depends on the seed."""
    kinds = options.only.split(",") if options.only else list(KINDS)
    cases = [(kind, name) for kind in kinds for name in commands]
    random.Random(options.seed).shuffle(cases)
    return [cases[number % len(cases)] for number in range(options.count)]


def tried(
    bench: Bench, options: argparse.Namespace, place: int
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the kind and the command of every so many-th case and race, and what is wrong."""
    own = slice(place, None, options.processes)
    cases = list(enumerate(cases_of(options, list(bench.commands))))
    for number, (kind, name) in cases[own]:
        choose = random.Random(f"{options.seed}/{number}")
        try:
            yield kind, f"{number}: {kind}, {name}", KINDS[kind](bench, name, choose)
        except NotHereError:
            continue
    for number in range(options.races)[own]:
        choose = random.Random(f"{options.seed}/race/{number}")
        yield RACE, f"race {number}", race(bench, choose)


def ran(options: argparse.Namespace, place: int, end: float) -> tuple[Counter[str], list[str]]:
    """Run the cases and races of one process until a time; return their counts, and failures."""
    counts, failures = Counter[str](), list[str]()
    with benches() as bench:
        for kind, what, found in tried(bench, options, place):
            counts[kind] += 1
            failures += [f"{what}: {one}" for one in found]
            for one in found:
                sys.stderr.write(f"{what}: {one}\n")
            if time.time() > end:
                break
    return counts, failures
