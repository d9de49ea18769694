"""Commands of the zygote, for tests and, as a program, for shells: `forked.py ADDRESS ARGUMENTS`.

It needs only the standard library, so that `python -IS` starts it fast.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any


class Command:
    """A running command line of ectool."""

    def __init__(self, address: str, argv: list[str], streams: tuple[int, int], **options: Any):
        here = {"argv": argv, "cwd": str(Path.cwd()), "environment": dict(os.environ)}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            request = json.dumps(here | options).encode() + b"\n"
            sent = socket.send_fds(connection, [request], streams)
            connection.sendall(request[sent:])
            self._replies = connection.makefile()
        self.pid: int = json.loads(self._replies.readline())["pid"]

    def wait(self) -> int:
        """Return the exit code; negative for the signal that ended it."""
        with self._replies:
            return json.loads(self._replies.readline())["code"]


if __name__ == "__main__":
    code = Command(sys.argv[1], sys.argv[2:], (1, 2)).wait()
    sys.exit(code if code >= 0 else 128 - code)
