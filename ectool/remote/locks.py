"""The lock of a remote output: an object with its owner, which expires unless it is renewed."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from ectool.errors import EctoolError
from ectool.parsing import parse_json
from ectool.remote import objects
from ectool.remote.failures import LockedError

SUFFIX = ".lock"
LIFETIME, RENEWAL = 60.0, 15.0
"""Seconds until a lock expires, and between renewals."""
Entry = Mapping[str, Any]


class Lock:
    """A lock that this process holds.

    Args:
        url: Address of the output.
    """

    def __init__(self, url: str) -> None:
        self.output = url
        self.url = url + SUFFIX
        self.owner = token_hex(8)

    def take(self, *, force: bool) -> None:
        """Make the object of the lock, also in place of one that has expired or whose owner died.

        Raises:
            LockedError: Another process holds it, and `force` is off.
        """
        for _ in range(3):
            with suppress(FileExistsError):
                objects.write(self.url, self._text(), new=True)
                return
            found = self._found()
            if found is not None and not (force or _is_over(found)):
                raise _held(self.output, found)
            objects.delete([self.url])
        raise _held(self.output, self._found() or {})

    def check(self) -> None:
        """Check that nobody has taken it.

        Raises:
            LockedError: Another process has.
        """
        found = self._found()
        if found is None or found.get("owner") != self.owner:
            raise _held(self.output, found or {})

    def renew(self) -> None:
        """Move its end."""
        self.check()
        objects.write(self.url, self._text())

    def release(self) -> None:
        """Remove the object, if it is still that of this process."""
        with suppress(EctoolError):
            self.check()
            objects.delete([self.url])

    def _text(self) -> bytes:
        now = time.time()
        entry = {
            "owner": self.owner,
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "time": now,
            "expires": now + LIFETIME,
        }
        return json.dumps(entry).encode()

    def _found(self) -> Entry | None:
        data = objects.read(self.url)
        with suppress(ValueError):
            found = parse_json(data or b"")
            return found if isinstance(found, dict) else {}
        return None if data is None else {}


def _machine() -> str:
    """Return what tells the processes of this machine from those of others."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _is_over(found: Entry) -> bool:
    """Return whether a lock has expired, or its process on this machine has ended."""
    if not isinstance(found.get("expires"), float) or found["expires"] < time.time():
        return True
    return found.get("machine") == _machine() and not Path(f"/proc/{found.get('pid')}").exists()


def _held(output: str, found: Entry) -> LockedError:
    since = time.strftime("%H:%M:%S UTC", time.gmtime(float(found.get("time", 0))))
    left = max(0, round(float(found.get("expires", 0)) - time.time()))
    who = f"process {found.get('pid')} on {found.get('host')}, last seen at {since}"
    return LockedError(
        output,
        expected="one process writing it",
        got=who if found else "another one",
        fix=f"wait for it, or {left} s if it was killed; or --force, if nothing writes it",
    )


@contextmanager
def held(url: str, *, force: bool) -> Iterator[Lock]:
    """Hold the lock of an output, and renew it, while the block runs.

    Raises:
        LockedError: Another process holds it.
    """
    lock, ended = Lock(url), threading.Event()
    lock.take(force=force)

    def keep() -> None:
        while not ended.wait(RENEWAL):
            with suppress(EctoolError):  # the check before publishing tells it
                lock.renew()

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield lock
    finally:
        ended.set()
        keeper.join()
        lock.release()
