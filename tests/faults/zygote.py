"""A process that has imported everything once and forks itself for every command.

Requests are lines of JSON on stdin: `argv`, `log` (where stderr goes), and for a crash at a
chosen moment `folder` and `crash_at`: the command kills itself (SIGKILL) before its Nth change of
a file below `folder`. For each request two lines come back: the process id, then how it ended.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import signal
import sys
import traceback
from typing import Any

MODULES = (
    "torchvision",
    "h5py",
    "ectool.artifacts.zarr_store",
    "ectool.artifacts.hdf5_store",
    "ectool.cli.console",
    "ectool.stages.evaluate",
    "ectool.stages.explain_work",
    "ectool.stages.perturb_work",
    "ectool.stages.predict_work",
    "ectool.stages.train",
    "ectool.stages.train_work",
)
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}


def serve() -> dict[str, Any] | None:
    """Fork for every request; return it in the child, and None when there are no more."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            return json.loads(line)
        tell({"pid": child})
        tell({"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})
    return None


def tell(message: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def crash_before(folder: str, moment: int) -> None:
    """Kill this process right before it changes a file below a folder for the Nth time."""
    count = itertools.count(1)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if not (writes or event in CHANGES) or isinstance(arguments[0], int):
            return
        if os.fsdecode(arguments[0]).startswith(folder) and next(count) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def run(request: dict[str, Any]) -> None:
    """Run the command line as `python -m ectool` does."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    if "crash_at" in request:
        crash_before(request["folder"], request["crash_at"])
    code: object = 1
    try:
        importlib.import_module("ectool.cli.main").main(request["argv"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    # Tearing down the imported libraries would cost more than the command itself.
    os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()
    tell({"ready": 1})
    if (request := serve()) is not None:
        run(request)
