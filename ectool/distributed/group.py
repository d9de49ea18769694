"""The process group of a job: barriers, small values, sums. Alone, it does nothing.

Waiting polls: a process that waits inside torch would not notice Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ectool.distributed.meeting import TIMEOUT, met, wait_until
from ectool.distributed.world import World, apart, world
from ectool.errors import EctoolError, PeerError

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")

GRACE = 2.0
"""Seconds until a process that lost another one fails too: the launcher sees the cause first."""


class Group:
    """The processes of a job; all of them must call every method, in the same order.

    Args:
        world: This process among them.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    def barrier(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until all processes are here.

        Args:
            meanwhile: Called often while this process waits.

        Raises:
            PeerError: One has ended, or did not come in time.
        """
        if not self.world.is_alone:
            import torch

            self._add(torch.zeros(1), meanwhile)

    def broadcast(self, value: Any) -> Any:  # noqa: ANN401 (of any type)
        """Return the value of rank 0, in every process.

        Args:
            value: A small value, such as a number or a list; only that of rank 0 is used.

        Raises:
            PeerError: A process has ended, or did not come in time.
        """
        if self.world.is_alone:
            return value
        return self._exchange(value, row=0 if self.world.is_first else None, rows=1)[0]

    def from_first(self, call: Callable[[], Result]) -> Result:
        """Return what rank 0 gets from a call that it alone makes, as a single process.

        Raises:
            EctoolError: That of the call, in every process.
            PeerError: A process has ended, or did not come in time.
        """
        if self.world.is_alone:
            return call()
        result: Result | EctoolError | None = None
        if self.world.is_first:
            with apart():
                result = _result_of(call)
        found: Result | EctoolError = self.broadcast(result)
        if isinstance(found, EctoolError):
            raise result if isinstance(result, EctoolError) else found
        return found

    def gather(self, value: Any) -> list[Any]:  # noqa: ANN401 (of any type)
        """Return the values of all processes in the order of their ranks, in every process.

        Args:
            value: A small value.

        Raises:
            PeerError: A process has ended, or did not come in time.
        """
        if self.world.is_alone:
            return [value]
        return self._exchange(value, row=self.world.rank, rows=self.world.size)

    def all_reduce(self, tensor: torch.Tensor) -> None:
        """Replace a tensor by its sum over all processes, in place.

        Raises:
            PeerError: A process has ended, or did not come in time.
        """
        if not self.world.is_alone:
            self._add(tensor, lambda: None)

    def _exchange(self, value: Any, *, row: int | None, rows: int) -> list[Any]:  # noqa: ANN401
        """Return the values of all rows, as sums of bytes to which one process each adds its own.

        Torch's functions for objects wait without an end that a signal could bring, and leave
        tensors to their thread, see `_add`.
        """
        import torch

        data = b"" if row is None else pickle.dumps(value)
        sizes = torch.zeros(rows, dtype=torch.int64)
        if row is not None:
            sizes[row] = len(data)
        self.all_reduce(sizes)
        table = torch.zeros(rows, int(sizes.max()), dtype=torch.uint8)
        if row is not None:
            table[row, : len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        self.all_reduce(table)
        filled = zip(table.numpy(), sizes.tolist(), strict=True)
        return [pickle.loads(line[:size].tobytes()) for line, size in filled]  # noqa: S301 (ours)

    def _add(self, tensor: torch.Tensor, meanwhile: Callable[[], None]) -> None:
        from torch import distributed

        count = cast(Any, tensor)._use_count
        uses = count()
        with _noticing_loss():
            work = distributed.all_reduce(tensor, async_op=True)
            if work is None:
                return
            # A GPU waits by itself, in the order of its work, while the host goes on.
            if not tensor.is_cuda:
                _wait(work.is_completed, meanwhile)
            work.wait()
        del work
        # The thread of Gloo lets go of the tensor a moment later. If it were the last to do so, it
        # would wait for the interpreter, whose lock the end of the group holds while it waits for
        # the thread.
        if not tensor.is_cuda:
            _wait(lambda: count() <= uses, lambda: None)


def _wait(is_time: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
    late = partial(_lost, f"none after {TIMEOUT}")
    wait_until(is_time, TIMEOUT.total_seconds(), late, meanwhile)


ALONE = Group(World())
"""The group of a single process."""


def _result_of(call: Callable[[], Result]) -> Result | EctoolError:
    try:
        return call()
    except EctoolError as error:
        return error


@contextmanager
def joined(device: torch.device | str = "cpu") -> Iterator[Group]:
    """Join the other processes of this job while the block runs; inside another block, share it.

    Args:
        device: Device that computes: NCCL connects GPUs, and Gloo everything else.

    Raises:
        PeerError: A process did not come in time.
    """
    here = world()
    if here.is_alone:
        yield Group(here)
        return
    import torch

    if torch.distributed.is_initialized():
        yield Group(here)
        return
    with _noticing_loss():
        _join(here, torch.device(device).type)
    try:
        yield Group(here)
    finally:
        torch.distributed.destroy_process_group()


def _join(here: World, kind: str) -> None:
    from torch import distributed

    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo",
        store=met(here),
        rank=here.rank,
        world_size=here.size,
        timeout=TIMEOUT,
    )


@contextmanager
def _noticing_loss() -> Iterator[None]:
    """Turn the errors of torch for a connection that ended into one line."""
    try:
        yield
    except RuntimeError as error:
        time.sleep(GRACE)
        raise _lost(str(error).strip().partition("\n")[0]) from error


def _lost(got: str) -> PeerError:
    return PeerError(
        "another process of this job",
        expected="an answer",
        got=got,
        fix="see its error, then run the same command again: it continues from what is finished",
    )
