"""`--nproc N`: this command line again in N processes, started by torch's elastic launcher."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ectool.distributed.failures import OWN, Failure, cause, parts_of
from ectool.distributed.world import has_others

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
    from torch.distributed.launcher.api import LaunchConfig

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that torch's launcher passes on to its processes."""
PATIENCE = 5
"""Seconds that processes have to end, after which they are killed."""
CLOSED_PIPE = 141
"""Exit code of a process whose reader of stdout is gone."""
THREADS = "OMP_NUM_THREADS"
LOOK = 0.5
"""Seconds between two looks at the launcher."""


class RanksNeededError(Exception):
    """There is work to do, and several processes shall do it: the command line starts them.

    Attributes:
        count: Their number.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(count)


def need_ranks(count: int) -> None:
    """Leave the work to several processes, unless this process is one of them or one is enough.

    Args:
        count: The number that the command asks for.

    Raises:
        RanksNeededError: Others shall do the work.
    """
    if count > 1 and not has_others():
        raise RanksNeededError(count)


def launch(count: int, arguments: Sequence[str]) -> int:
    """Run a command line in several processes of this machine, and wait for them.

    Args:
        count: Number of processes.
        arguments: The arguments of the command line.

    Returns:
        0, or the exit code for a closed pipe.

    Raises:
        EctoolError: That of the process that failed first, or how it was killed.
        KeyboardInterrupt: This process or the job was interrupted.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    with tempfile.TemporaryDirectory(prefix=OWN) as folder, _prepared(count):
        start = elastic_launch(_settings(count, folder), sys.executable)
        try:
            start(*_beginning(arguments), *arguments)
        except SignalException:
            raise KeyboardInterrupt from None
        except ChildFailedError as error:
            return _end([_failure(*item) for item in error.failures.items()], count)
    return 0


def _settings(count: int, folder: str) -> LaunchConfig:
    """Return the settings of torch's launcher, as those of `torchrun --standalone`."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    # Older versions of torch, such as 2.7, have only their own patience of 30 seconds.
    patience: dict[str, Any] = {"shutdown_timeout": PATIENCE}
    if "shutdown_timeout" not in {field.name for field in dataclasses.fields(LaunchConfig)}:
        patience = {}
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=OWN + uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=folder),
        **patience,
    )


def _beginning(arguments: Sequence[str]) -> list[str]:
    """Return what this process was started with, between Python and the arguments."""
    own = sys.orig_argv[1:]
    rest = len(own) - len(arguments)
    return own[:rest] if rest > 0 and own[rest:] == list(arguments) else ["-m", "ectool"]


def _failure(rank: int, found: ProcessFailure) -> Failure:
    return Failure(rank, found.exitcode, found.timestamp, parts_of(found.error_file_data))


def _end(failures: list[Failure], count: int) -> int:
    """Raise the error that ended a job, or return the exit code for a closed pipe."""
    if any(failure.code == CLOSED_PIPE for failure in failures):
        return CLOSED_PIPE
    if error := cause(failures, count):
        raise error
    raise KeyboardInterrupt


@contextmanager
def _prepared(count: int) -> Iterator[None]:
    """Share the cores, silence torch's launcher, and keep the handlers of signals."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    before, level = dict(os.environ), logging.root.manager.disable
    os.environ.setdefault(THREADS, str(max(1, cores() // count)))
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        os.environ.clear()
        os.environ.update(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end_with_launcher(end: Callable[[int], None] = os._exit) -> None:
    """End this process when the one that started it is gone, in a thread that looks often.

    A launcher that was killed cannot end its processes.

    Args:
        end: Ends this process with an exit code.
    """
    launcher = os.getppid()

    def look() -> None:
        while os.getppid() == launcher:
            time.sleep(LOOK)
        end(1)

    threading.Thread(target=look, daemon=True).start()
