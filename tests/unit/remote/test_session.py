"""Folders of processes that were killed do not stay."""

from __future__ import annotations

import fcntl

from ectool import urls
from ectool.remote import session


def test_only_folders_of_ended_processes_are_removed(begin):
    begin()
    sessions = urls.cache_folder() / "sessions"
    for name in ("dead", "alive", "odd"):
        (sessions / name).mkdir(parents=True)
    (sessions / "dead/lock").touch()
    with (sessions / "alive/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        own = session.begin()
        assert {path.name for path in sessions.iterdir()} == {"alive", "odd", own.name}
    assert own == urls.mirror()
    urls.mirror.cache_clear()
    session.begin.cache_clear()
