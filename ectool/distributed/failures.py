"""Errors of the processes of a job: each writes its own, the launcher finds the cause. No torch."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ectool.distributed.world import RANK
from ectool.errors import EctoolError, MachineError, OutcomeError, PeerError

FILE, RUN = "TORCHELASTIC_ERROR_FILE", "TORCHELASTIC_RUN_ID"
"""Variables of torch's launchers: the file for the error of a process, and the name of the job."""
OWN = "ectool-"
"""Beginning of the name of a job that `--nproc` has started."""
TOLD = "told"
"""File beside the folders of the processes: one of them has printed its error."""
INTERRUPTED = 130
"""Exit code of a process that was interrupted, also by its launcher (SIGTERM)."""
PARTS = ("subject", "expected", "got", "fix")
SLACK = 2.0
"""Seconds by which the death of a process may be noticed later than its effect on others."""


_KINDS = (OutcomeError, PeerError)
"""Classes of errors that the launcher tells apart from all others."""


class RankError(EctoolError):
    """The error that ended one process of a job; its exit code is that of the process."""


@dataclass(frozen=True)
class Failure:
    """How one process of a job has ended.

    Attributes:
        rank: Its rank.
        code: Its exit code; negative for a signal.
        seconds: When that was noticed, in seconds since 1970.
        error: The error that it has written: its parts and its `kind`; empty if there is none.
    """

    rank: int
    code: int
    seconds: float
    error: Mapping[str, str]

    @property
    def is_consequence(self) -> bool:
        """Return whether the failure of another process has caused it."""
        is_ended = self.code in (INTERRUPTED, -signal.SIGTERM)
        return is_ended or self.error.get("kind") == PeerError.__name__


def is_own_job(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether `--nproc` has started this process; then its launcher prints the errors."""
    return environ.get(RUN, "").startswith(OWN)


def prints_interrupt(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process prints that it was interrupted: no launcher and no rank 0 do.

    It raises no errors: variables are perhaps not checked yet.
    """
    return not is_own_job(environ) and environ.get(RANK, "0") == "0"


def record(error: EctoolError, environ: Mapping[str, str] = os.environ) -> bool:
    """Write the error of this process for the launcher, in the format of torch.

    Returns:
        Whether this process prints the error: one of each machine does.
    """
    path = environ.get(FILE)
    if not path:
        return True
    kind = next((one for one in _KINDS if isinstance(error, one)), type(error))
    parts = {name: getattr(error, name) for name in PARTS} | {"kind": kind.__name__}
    extra = {"timestamp": str(int(time.time())), "py_callstack": str(error)}
    text = json.dumps({"message": {"message": str(error), "extraInfo": extra}, **parts})
    with contextlib.suppress(OSError):
        Path(path).write_text(text, encoding="utf-8")
    return not is_own_job(environ) and _is_first(Path(path).parents[1])


def _is_first(folder: Path) -> bool:
    try:
        (folder / TOLD).touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def parts_of(data: object) -> dict[str, str]:
    """Return the parts and the kind of an error that a process has written; empty without one."""
    names = (*PARTS, "kind")
    found = data if isinstance(data, dict) and all(name in data for name in names) else {}
    return {name: str(found[name]) for name in names if name in found}


def cause(failures: Iterable[Failure], size: int) -> EctoolError | None:
    """Return the error of the process that failed first, with its rank; None for an interrupt.

    What the whole job has found, such as a missed gate, has no rank.

    Args:
        failures: How the processes of a job have ended that did not succeed, at least one.
        size: Number of processes.
    """
    found = sorted(failures, key=_order)
    first = found[0]
    if first.is_consequence and any(one.code == INTERRUPTED for one in found):
        return None
    return _killed(first, size) if first.code < 0 else _written(first, size)


def _order(failure: Failure) -> tuple[bool, float, int]:
    seconds = failure.seconds - SLACK if failure.code < 0 else failure.seconds
    return failure.is_consequence, seconds, failure.rank


def _killed(failure: Failure, size: int) -> EctoolError:
    number = -failure.code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    often = " (often for its memory)" if number == signal.SIGKILL else ""
    return MachineError(
        f"rank {failure.rank} of {size}",
        expected="a process that ends by itself",
        got=f"one that was killed by {name}{often}",
        fix="run the same command again: it continues from what is finished; "
        "with fewer processes if memory is short",
    )


def _written(failure: Failure, size: int) -> EctoolError:
    error = failure.error
    if not error:
        return MachineError(
            f"rank {failure.rank} of {size}",
            expected="exit code 0",
            got=str(failure.code),
            fix="see the lines above, then run the same command again",
        )
    place = "" if error["kind"] == OutcomeError.__name__ else f"rank {failure.rank}: "
    found = RankError(
        place + error["subject"], expected=error["expected"], got=error["got"], fix=error["fix"]
    )
    found.exit_code = failure.code
    return found
