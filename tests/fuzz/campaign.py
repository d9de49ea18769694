"""Cases of many kinds, two at a time, and what has failed."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .cases import Case, case_folder, has_lost_digests, tasks_of
from .model import Kind, Variant
from .runner import Outcome, Workplace
from .verdicts import contradicts, judge

AT_ONCE = 2
SPARSE = 1 << 24
"""Files of more bytes are not kept."""


@dataclass
class Failure:
    """A command that has failed on an input, also alone in a new process.

    Attributes:
        changes: In words, what was changed in the input.
        verdicts: Names of what is wrong.
    """

    case: Case
    changes: list[str]
    argv: tuple[str, ...]
    verdicts: tuple[str, ...]
    outcome: Outcome

    def to_line(self) -> str:
        return f"{self.case}: ectool {' '.join(self.argv)}: {', '.join(self.verdicts)}"

    def to_text(self) -> str:
        error = self.outcome.err.decode(errors="backslashreplace")[-600:].strip()
        return (
            f"{self.to_line()}\n  changes: {'; '.join(self.changes)}\n"
            f"  exit {self.outcome.code}, {self.outcome.seconds:.1f} s, "
            f"{self.outcome.peak >> 20} MiB, changed {list(self.outcome.changed)}\n"
            f"  stderr: {error!a}"
        )


@dataclass
class Result:
    """Counts of a campaign; `unconfirmed` failed only after other commands on the same input."""

    cases: int = 0
    commands: int = 0
    cpu: float = 0.0
    unconfirmed: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def counts(self) -> dict[str, float]:
        """Return further numbers: commands, cases of each kind, failures of each kind and name."""
        verdicts = Counter(name for one in self.failures for name in one.verdicts)
        kinds = Counter(one.case.kind for one in self.failures)
        return {
            "commands": self.commands,
            "seconds of processors in commands": round(self.cpu, 1),
            "failed only after other commands": self.unconfirmed,
            **{f"cases of {name}": count for name, count in sorted(self.by_kind.items())},
            **{f"failures of {name}": count for name, count in sorted(kinds.items())},
            **{f"failures: {name}": count for name, count in sorted(verdicts.items())},
        }


class Campaign:
    """Runs cases and keeps their failures.

    Args:
        place: Folder with the corpus.
        kinds: Kinds by name.
        keep: Folder for inputs that fail.
        tell: Receives a text for each failure.
    """

    def __init__(
        self,
        place: Workplace,
        kinds: Mapping[str, Kind],
        *,
        keep: Path | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.place = place
        self.kinds = kinds
        self.keep = keep
        self.tell = tell
        self.result = Result()
        self._valid: dict[Variant, dict[str, Outcome]] = {}
        self._lock = threading.Lock()
        self._measuring: dict[Variant, threading.Lock] = {}

    def run(self, cases: Iterable[Case], deadline: float | None = None) -> Result:
        """Run cases, until a deadline if there is one."""

        def one(case: Case) -> None:
            if deadline is None or time.monotonic() < deadline:
                self._case(case)

        with ThreadPoolExecutor(AT_ONCE) as workers:
            for done in [workers.submit(one, case) for case in cases]:
                done.result()
        return self.result

    def _case(self, case: Case) -> None:
        kind = self.kinds[case.kind]
        variant = case.variant(kind)
        valid = self.valid_outcomes(variant)
        with case_folder(self.place, str(case), variant) as folder:
            changes = case.change(kind, folder)
            is_foreign = has_lost_digests(self.place, folder, variant)
            kept = self._keep(case, folder)
            tasks = tasks_of(self.place, folder, variant)
            outcomes = self.place.run(tasks)
        found = {step: outcomes[str(number)] for number, step in enumerate(variant.steps)}
        failures = []
        for name, (step, outcome) in zip(tasks, found.items(), strict=True):
            argv = tuple(tasks[name].argv)
            if judge(step, outcome, valid[name], has_digests=not is_foreign):
                again, verdicts = self._alone(case, name, has_digests=not is_foreign)
            else:
                again, verdicts = outcome, contradicts(step, outcome, found)
            if verdicts:
                failures.append(Failure(case, changes, argv, tuple(verdicts), again))
        if kept is not None and not failures:
            shutil.rmtree(kept)
        self._add(case, outcomes.values(), failures)

    def _add(self, case: Case, ended: Collection[Outcome], failures: list[Failure]) -> None:
        with self._lock:
            self.result.cases += 1
            self.result.by_kind[case.kind] += 1
            self.result.commands += len(ended)
            self.result.cpu += sum(outcome.cpu for outcome in ended)
            self.result.failures += failures
            for failure in failures:
                self.tell(failure.to_text())

    def _alone(self, case: Case, name: str, *, has_digests: bool) -> tuple[Outcome, list[str]]:
        """Repeat a command on a new copy of the same input, alone."""
        kind = self.kinds[case.kind]
        variant = case.variant(kind)
        with case_folder(self.place, f"{case}-alone", variant) as folder:
            case.change(kind, folder)
            outcome = self.place.run({name: tasks_of(self.place, folder, variant)[name]})[name]
        verdicts = judge(
            variant.steps[int(name)],
            outcome,
            self._valid[variant][name],
            has_digests=has_digests,
        )
        with self._lock:
            self.result.unconfirmed += not verdicts
        return outcome, verdicts

    def _keep(self, case: Case, folder: Path) -> Path | None:
        """Keep a copy of an input before the commands run."""
        if self.keep is None:
            return None
        target = self.keep / str(case).replace(":", "-")
        shutil.rmtree(target, ignore_errors=True)
        for name in ("in", "out", "canary"):
            shutil.copytree(folder / name, target / name, symlinks=True, ignore=_not_kept)
        return target

    def valid_outcomes(self, variant: Variant) -> dict[str, Outcome]:
        """Run the commands on the valid input, once; they must end as they should."""
        with self._lock:
            measuring = self._measuring.setdefault(variant, threading.Lock())
        with measuring:
            if variant not in self._valid:
                name = f"valid-{len(self._valid)}-{variant.name}"
                with case_folder(self.place, name, variant) as folder:
                    found = self.place.run(tasks_of(self.place, folder, variant))
                for number, step in enumerate(variant.steps):
                    outcome = found[str(number)]
                    if outcome.code not in step.codes:
                        raise RuntimeError(f"valid {variant.source}: {step.argv}: {outcome}")
                self._valid[variant] = found
        return self._valid[variant]


def _not_kept(folder: str, names: list[str]) -> list[str]:
    """Return the names of special files and of huge ones."""
    paths = [path for path in (Path(folder, name) for name in names) if not path.is_symlink()]
    return [
        path.name
        for path in paths
        if not (path.is_dir() or path.is_file()) or path.stat().st_size > SPARSE
    ]
