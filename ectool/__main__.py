"""Run the command line as `python -m ectool`, and as `ectool`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence

INTERRUPTED = 130


def _told(fault: threading.ExceptHookArgs) -> None:
    """Say in one line that a thread of a library has failed."""
    line = " ".join(f"note: {fault.exc_type.__name__} in a thread: {fault.exc_value}".split())
    with contextlib.suppress(OSError):
        os.write(2, line.encode(errors="backslashreplace") + b"\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; Ctrl-C has one line and one exit code from the first moment on."""
    code: object = INTERRUPTED
    if "--debug" not in (sys.argv if arguments is None else arguments):
        # What cannot be raised is printed with a traceback, most of it when files run out.
        sys.unraisablehook = lambda _: None
        threading.excepthook = _told
    try:
        from ectool.cli.main import main as run  # here, for importing it takes a while

        run(arguments)
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            os.write(2, b"error: interrupted\n")
    # Nothing is left to do, so another Ctrl-C may end it at once, and without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if code == INTERRUPTED and arguments is None:
        # Python ends itself by a signal where Ctrl-C met an `exec`, as of dataclasses, whatever
        # became of it.
        os._exit(INTERRUPTED)
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
