"""Many small cases in a few processes, for the default tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from .cases import Case, case_folder, has_lost_digests, tasks_of
from .model import Kind, Variant
from .runner import Outcome, Task, Workplace
from .verdicts import judge

AT_ONCE = 50


def failures(place: Workplace, kinds: Mapping[str, Kind], cases: Sequence[Case]) -> list[str]:
    """Run cases, many in each process; return what has failed, a line each."""
    valid = valid_outcomes(place, kinds)
    return [
        line
        for start in range(0, len(cases), AT_ONCE)
        for line in _failures(place, kinds, cases[start : start + AT_ONCE], valid)
    ]


def valid_outcomes(place: Workplace, kinds: Mapping[str, Kind]) -> dict[Variant, list[Outcome]]:
    """Run the commands of all valid inputs in one process."""
    variants = {variant: None for kind in kinds.values() for variant in kind.variants}
    with ExitStack() as stack:
        tasks: dict[str, Task] = {}
        for number, variant in enumerate(variants):
            folder = stack.enter_context(case_folder(place, f"valid-{number}", variant))
            tasks |= _named(number, tasks_of(place, folder, variant))
        outcomes = place.run(tasks)
    for name, outcome in outcomes.items():
        assert outcome.code == 0, (tasks[name], outcome)
    return {variant: _own(number, outcomes) for number, variant in enumerate(variants)}


def _failures(
    place: Workplace,
    kinds: Mapping[str, Kind],
    cases: Sequence[Case],
    valid: Mapping[Variant, list[Outcome]],
) -> list[str]:
    with ExitStack() as stack:
        tasks: dict[str, Task] = {}
        changes, foreign = [], []
        for number, case in enumerate(cases):
            kind = kinds[case.kind]
            variant = case.variant(kind)
            folder = stack.enter_context(case_folder(place, str(case), variant))
            changes.append(case.change(kind, folder))
            foreign.append(has_lost_digests(place, folder, variant))
            tasks |= _named(number, tasks_of(place, folder, variant))
        outcomes = place.run(tasks)
    return [
        f"{case}: {'; '.join(done)}: {found}"
        for number, (case, done) in enumerate(zip(cases, changes, strict=True))
        for found in _judged(
            case.variant(kinds[case.kind]), _own(number, outcomes), valid, foreign[number]
        )
    ]


def _judged(
    variant: Variant,
    outcomes: list[Outcome],
    valid: Mapping[Variant, list[Outcome]],
    is_foreign: bool,
) -> Iterator[str]:
    """Yield a text for each command that has failed."""
    for step, outcome, good in zip(variant.steps, outcomes, valid[variant], strict=True):
        if found := judge(step, outcome, good, has_digests=not is_foreign):
            yield f"{' '.join(step.argv)}: {', '.join(found)}: {outcome.err[-400:]!r}"


def _named(number: int, tasks: Mapping[str, Task]) -> dict[str, Task]:
    return {f"{number}-{name}": task for name, task in tasks.items()}


def _own(number: int, outcomes: Mapping[str, Outcome]) -> list[Outcome]:
    """Return the outcomes of a case, in the order of its commands."""
    own = {n.partition("-")[2]: o for n, o in outcomes.items() if n.startswith(f"{number}-")}
    return [own[str(step)] for step in range(len(own))]
