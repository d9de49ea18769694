"""Run the command line as `python -m ectool`, and as `ectool`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; Ctrl-C has one line and one exit code from the first moment on."""
    code: object = INTERRUPTED
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
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
