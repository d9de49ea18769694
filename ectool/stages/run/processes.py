"""The chains of an experiment in several processes, each with its share of the threads.

Afterwards `run` finds their artifacts up to date: it only writes the record and the report.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from typing import TypeAlias

from ectool.config import RunConfig
from ectool.errors import MachineError
from ectool.stages.run.arm import Chain
from ectool.stages.run.plan import Experiment, open_experiment
from ectool.types import SILENT, Outcome, Reporter, SilentReporter

Messages: TypeAlias = "SimpleQueue[tuple[str, str] | None]"
"""Queue of messages: their kind, and the text; None at the end."""
Task = tuple[int, tuple[str, ...]]
"""A seed, and arms that one process runs one after the other."""


def run_ahead(config: RunConfig, experiment: Experiment, reporter: Reporter) -> list[Outcome]:
    """Run all chains in `config.processes` processes; return the outcomes of their stages.

    Raises:
        EctoolError: That of the first chain with an error; the other processes end.
    """
    share = max(1, (os.cpu_count() or 1) // config.processes)
    config = config.model_copy(update={"threads": config.threads or share})
    outcomes, left = list[Outcome](), tasks_of(experiment)
    with workers(min(config.processes, len(left)), reporter=reporter) as pool:
        futures = {pool.submit(_run_task, config, task): task for task in left}
        with reporter.task("run", len(left)) as advance:
            for future in as_completed(futures):
                seed, arms = futures[future]
                outcomes += future.result()
                reporter.note(f"seed {seed}, {' and '.join(arms)}: done")
                advance(1)
    return outcomes


def tasks_of(experiment: Experiment) -> list[Task]:
    """Return the tasks of an experiment, those with most rounds first.

    Arms with the same options of train share the warm-up of a seed, so one process runs them.
    """
    arms = experiment.config.arms
    shared = tuple(name for name, arm in arms.items() if not arm.train)
    alone = [(name,) for name, arm in arms.items() if arm.train]
    tasks = [
        (seed, names)
        for names in ([shared] if shared else []) + alone
        for seed in experiment.config.seeds
    ]
    return sorted(tasks, key=lambda task: -sum(arms[n].reweight == "consistency" for n in task[1]))


def _run_task(config: RunConfig, task: Task) -> list[Outcome]:
    """Run the chains of a task, in a process of its own."""
    warnings.simplefilter("ignore")
    experiment = open_experiment(config)
    seed, arms = task
    outcomes, told = list[Outcome](), set[str]()
    for name in arms:
        chain = Chain(experiment, seed, name, experiment.config.arms[name], _reporters[-1], told)
        chain.run()
        outcomes += chain.outcomes
    return outcomes


class Sender(SilentReporter):
    """Reporter of a process that sends notes and warnings to the first process.

    Args:
        queue: Takes the kind of each message, and the message.
    """

    def __init__(self, queue: Messages) -> None:
        self.queue = queue

    def note(self, message: str) -> None:
        """Send a note."""
        self.queue.put(("note", message))

    def warn(self, message: str) -> None:
        """Send a warning."""
        self.queue.put(("warning", message))


_SAFE_PATH = "PYTHONSAFEPATH"
_reporters: list[Reporter] = [SILENT]
"""Reporters of this process; the last one counts."""


@contextmanager
def _told_to(reporter: Reporter, queue: Messages) -> Iterator[None]:
    """Report the messages of other processes while the block runs."""

    def tell() -> None:
        while (found := queue.get()) is not None:
            kind, message = found
            (reporter.warn if kind == "warning" else reporter.note)(message)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        queue.put(None)
        thread.join()


@contextmanager
def _without_folder() -> Iterator[None]:
    """Let processes that start meanwhile run no code of the current folder.

    Python would look there first, for the modules by which it starts such a process.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


@contextmanager
def workers(count: int, *, reporter: Reporter = SILENT) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of new Python processes, which end with the block and with this process.

    Processes of a pool outlive one that was killed. Here, each waits for the end of a pipe, which
    the system closes.

    Args:
        count: Number of processes.
        reporter: Receives the notes and warnings of all processes.

    Raises:
        MachineError: One of the processes was killed.
    """
    with _without_folder():
        yield from _pool(count, reporter)


def _pool(count: int, reporter: Reporter) -> Iterator[ProcessPoolExecutor]:
    """Yield the pool of `workers`."""
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    queue: Messages = context.SimpleQueue()
    with (
        _told_to(reporter, queue),
        ProcessPoolExecutor(count, context, _begin, (reader, queue)) as pool,
    ):
        try:
            yield pool
        except BrokenProcessPool as error:
            raise MachineError(
                "a process of this command",
                expected="one that ends by itself",
                got="one that was killed, often for its memory",
                fix="run the same command again, with fewer --processes if memory is short",
            ) from error
        except BaseException:
            writer.close()  # at an interrupt or error, no task is finished first
            raise
    writer.close()
    reader.close()


def _begin(reader: Connection, queue: Messages) -> None:
    """Leave interrupts to the first process, tell it messages, and end with it."""
    _reporters.append(Sender(queue))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(reader,), daemon=True).start()


def _end_with(reader: Connection, end: Callable[[int], None] = os._exit) -> None:
    with suppress(EOFError, OSError):
        reader.recv_bytes()
    end(1)
