"""Run the command line as `python -m ectool`, and as `ectool`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence

INTERRUPTED = 130


def _print_fault(fault: threading.ExceptHookArgs) -> None:
    """Print in one line that a thread of a library has failed."""
    line = " ".join(f"note: {fault.exc_type.__name__} in a thread: {fault.exc_value}".split())
    with contextlib.suppress(OSError):
        os.write(2, line.encode(errors="backslashreplace") + b"\n")


def _print_interrupt() -> None:
    """Print that this process was interrupted, unless its launcher prints why it ended it."""
    from ectool.distributed.failures import prints_interrupt  # as fast as a module can be

    if prints_interrupt():
        with contextlib.suppress(OSError):
            os.write(2, b"error: interrupted\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; Ctrl-C prints one line and exits with 130, also during imports."""
    code: object = None
    is_interrupted = False
    if "--debug" not in (sys.argv if arguments is None else arguments):
        # Python prints tracebacks of exceptions that it cannot raise, such as too many open files.
        sys.unraisablehook = lambda _: None
        threading.excepthook = _print_fault
    try:
        from ectool.cli.main import main as run  # here, as its import takes long

        run(arguments)
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        code, is_interrupted = INTERRUPTED, True
    # Nothing is left to do: another Ctrl-C may end the process at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if is_interrupted:
        _print_interrupt()
    if code == INTERRUPTED and arguments is None:
        # After a Ctrl-C during an `exec`, as of dataclasses, Python would end itself by a signal.
        os._exit(INTERRUPTED)
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
