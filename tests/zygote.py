"""A process that imports all modules once and forks itself for every command.

A request arrives at its socket: one line of JSON (`argv`, `cwd`, `environment`) together with the
descriptors of the command's stdout and stderr. Optional entries: with `folder` and `crash_at` the
command kills itself (SIGKILL) before its Nth change of a file below `folder`; with `errno` that
change and all later ones fail instead, as on a full disk. With `folder` and `count_into` it counts
these changes into a file. With `dies_at_size` it is killed while it writes beyond this size of any
file. `limits` are resource limits by name.
`close` lists descriptors that are closed first. `module` is one with a `main` that runs in place
of ectool. Two lines are sent back: the process id, then the
exit code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES = (
    "torchvision",
    "h5py",
    "ectool.artifacts.zarr_store",
    "ectool.artifacts.hdf5_store",
    "PIL.PngImagePlugin",
    "ectool.cli.console",
    "ectool.__main__",
    "ectool.cli.main",
    "ectool.stages.evaluate.command",
    "ectool.stages.explain.work",
    "ectool.stages.perturb.work",
    "ectool.stages.evaluate.suites.classification.predict",
    "ectool.stages.train.command",
    "ectool.stages.train.work",
)
FREEING = {"os.remove", "os.rmdir"}
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}


def serve(listener: socket.socket) -> socket.socket | None:
    """Fork for every connection; return it in the child, and None when stdin is closed."""
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            return connection
        connection.close()
    return None


def handle(connection: socket.socket) -> None:
    """Fork once more to run the command; send its process id and its exit code."""
    message, streams, _, _ = socket.recv_fds(connection, 65536, 2)
    while not message.endswith(b"\n"):
        message += connection.recv(65536)
    child = os.fork()
    if child == 0:
        connection.close()
        run(json.loads(message), streams)
    send(connection, {"pid": child})
    send(connection, {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})


def send(connection: socket.socket, message: dict[str, int]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def watch_changes(folder: str, act: Callable[[int, str, Any], None]) -> None:
    """Call a function before each change of a file below a folder: number, event and path."""
    count = itertools.count(1)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if not (writes or event in CHANGES) or isinstance(arguments[0], int):
            return
        path = Path(os.fsdecode(arguments[0])).absolute()
        if os.path.normpath(path).startswith(folder):
            act(next(count), event, arguments[0])

    sys.addaudithook(watch)


def crash_before(folder: str, moment: int, fault: int | None) -> None:
    """Kill this process right before it changes a file below a folder for the Nth time.

    With a fault: let this change and all that follow fail with that number.
    """

    def act(number: int, event: str, path: Any) -> None:
        if fault is None and number == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault is not None and number >= moment and event not in FREEING:
            raise OSError(fault, os.strerror(fault), path)

    watch_changes(folder, act)


def count_changes(folder: str, into: str) -> None:
    """Write the number of changes of files below a folder into a file outside of it."""
    file = os.open(into, os.O_WRONLY | os.O_CREAT)
    watch_changes(folder, lambda number, *_: os.pwrite(file, str(number).encode(), 0))


def run(request: dict[str, Any], streams: list[int]) -> None:
    """Run the command line as `python -m ectool` does."""
    for stream, descriptor in enumerate(streams, start=1):
        os.dup2(descriptor, stream)
        os.close(descriptor)  # or a reader of this stream waits for its end forever
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if "crash_at" in request:
        crash_before(request["folder"], request["crash_at"], request.get("errno"))
    if "count_into" in request:
        count_changes(request["folder"], request["count_into"])
    if "dies_at_size" in request:
        # The system kills the process in the middle of a write, between two bytes.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        request["limits"] = {"FSIZE": request["dies_at_size"]}
    # Under a limit of the file size, Python writes a module that it compiles only in part, without
    # an error, and every later process would read that.
    sys.dont_write_bytecode = sys.dont_write_bytecode or "limits" in request
    for name, limit in request.get("limits", {}).items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    for descriptor in request.get("close", ()):
        os.close(descriptor)
    code: object = 1
    try:
        importlib.import_module(request.get("module", "ectool.__main__")).main(request["argv"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Tearing down the imported libraries would cost more than the command itself.
    os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for these processes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if (connection := serve(listener)) is not None:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            handle(connection)
            os._exit(0)
