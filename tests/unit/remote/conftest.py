"""A store in memory, and processes that begin without knowing anything of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest

from ectool import urls
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.remote import objects, outputs, reading, session
from ectool.urls import local_path

ROWS, SHARD = 10, 4
RECIPE = Recipe(kind="heatmaps", stage="explain", config={"rows": ROWS})
OTHER = Recipe(kind="heatmaps", stage="explain", config={"rows": "others"})


class StoppedError(Exception):
    """Ends a writer between two shards."""


def rows_of(start, stop):
    """Return the rows of a small heatmaps artifact."""
    count = stop - start
    ids = np.array([f"sample/{row}" for row in range(start, stop)], dtype=np.dtypes.StringDType())
    generator = np.random.default_rng(start)
    found = {"sample_id": ids, "label": np.arange(start, stop), "target": np.arange(start, stop)}
    for name in ("clean", "adversarial"):
        found[name] = generator.random((count, 4, 4)).astype(np.float16)
        found[f"logits_{name}"] = generator.random((count, 3)).astype(np.float32)
    return found


def write(path, recipe=RECIPE, *, until=None, rows=ROWS):
    """Write an artifact; return how many shards were computed."""
    computed = 0
    with growing(path, recipe, length=rows, shard_size=SHARD) as partial:
        for number in partial.missing():
            if computed == until:
                raise StoppedError
            partial.write(number, rows_of(*partial.ranges[number]), {"zero": number})
            computed += 1
        partial.publish()
    return computed


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that forgets what this process knows, as a new one on another machine."""
    count = iter(range(100))

    def forget() -> None:
        monkeypatch.setenv(urls.CACHE_VARIABLE, str(tmp_path / f"machine-{next(count)}"))
        for known in (urls.mirror, session.begin):
            known.cache_clear()
        for found in (reading._mirrored, reading._looked, reading._fresh, reading._copies):
            found.clear()
        for found in (outputs._forced, outputs._written):
            found.clear()

    return forget


@pytest.fixture
def store(begin, monkeypatch: pytest.MonkeyPatch):
    """Return a store in memory, whose addresses begin with `memory://`."""
    monkeypatch.setitem(urls.PACKAGES, "memory", ("fsspec", "fsspec"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    objects._system.cache_clear()
    begin()
    yield system
    system.store.clear()
    begin()
    urls.mirror.cache_clear()


@pytest.fixture
def path(store) -> Callable[[str], Path]:
    """Return the path of an address in the bucket `bucket`."""
    return lambda name: local_path(f"memory://bucket/{name}", "--output")
