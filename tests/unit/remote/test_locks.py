"""One process writes an output; locks end with their process, or expire."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ectool.remote import locks
from ectool.remote.failures import LockedError
from ectool.remote.locks import Lock, held

URL = "memory://bucket/w.zarr"


def change(store, **entries):
    found = json.loads(store.cat_file(f"{URL}.lock"))
    store.pipe_file(f"{URL}.lock", json.dumps({**found, **entries}).encode())


@pytest.mark.usefixtures("store")
def test_a_second_writer_is_refused_by_name():
    match = rf"{URL}: .*got process {os.getpid()} on .*; wait for it, or 60 s if it was killed"
    with held(URL, force=False), pytest.raises(LockedError, match=match):
        Lock(URL).take(force=False)
    Lock(URL).take(force=False)


def test_force_takes_the_lock_and_the_first_writer_finds_out(store):
    match = "expected one process writing it"
    with (
        held(URL, force=False) as first,
        held(URL, force=True),
        pytest.raises(LockedError, match=match),
    ):
        first.check()
    assert not store.exists(f"{URL}.lock")


def test_an_expired_lock_is_taken(store):
    Lock(URL).take(force=False)
    change(store, expires=1.0, machine="another")
    Lock(URL).take(force=False)


def test_the_lock_of_a_process_that_has_ended_here_is_taken(store):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    Lock(URL).take(force=False)
    change(store, pid=done.pid)
    Lock(URL).take(force=False)
    change(store, pid=done.pid, machine="another")
    with pytest.raises(LockedError, match=f"got process {done.pid} on"):
        Lock(URL).take(force=False)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}"])
def test_a_lock_without_its_entries_is_taken(data, store):
    store.pipe_file(f"{URL}.lock", data)
    Lock(URL).take(force=False)


def test_it_is_renewed(store, monkeypatch):
    monkeypatch.setattr(locks, "RENEWAL", 0.01)
    with held(URL, force=False):
        before = json.loads(store.cat_file(f"{URL}.lock"))["expires"]
        while json.loads(store.cat_file(f"{URL}.lock"))["expires"] == before:
            pass
