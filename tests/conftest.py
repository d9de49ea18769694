"""Shared fixtures: one cached data set, one tiny model, and the artifacts made with it."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
import numpy as np
import pytest

from tests.processes import serving, tree_of

# Before torch is imported, here and in every process the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
gc.disable()  # while tests are collected: hardly anything of it is garbage

hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")
"""How long an example takes tells how busy the machine is."""

SPLIT = "validation"
SHARD = 64

Tree = dict[str, bytes]


def pytest_collection_finish() -> None:
    """Keep imported modules out of the garbage collector, which `evaluate` calls often."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _coverage_leaves_zarr_alone() -> None:
    """Do not trace zarr's threads: they run no code of ectool, and tracing doubles their time."""
    trace = threading.gettrace()
    if trace is None:
        return

    def trace_others(frame: FrameType, event: str, argument: Any) -> Any:
        if threading.current_thread().name.startswith("zarr"):
            sys.settrace(None)
            return None
        return trace(frame, event, argument)

    threading.settrace(trace_others)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Skip fsync: thousands of calls take minutes on a slow disk.

    The processes that `tests/cli`, `tests/faults` and `tests/pipelines` start do call it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], Tree]:
    """Return the content of every file below a folder, by its relative path."""
    return tree_of


@pytest.fixture(scope="session")
def flip() -> Callable[[Path, int], None]:
    """Return a function that inverts one byte of a file."""

    def invert(path: Path, position: int) -> None:
        content = bytearray(path.read_bytes())
        content[position % len(content)] ^= 0xFF
        path.write_bytes(content)

    return invert


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of generated data sets, one for the whole session."""
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECTOOL_DATA", str(root))
        yield root


@pytest.fixture(scope="session")
def zygote_socket() -> Iterator[str]:
    """Return the address of the process that forks commands; they share only its imports.

    A command that starts there, see `forked.py`, takes three seconds less than in a new Python.
    """
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 40 tiny images: bright ones and dark ones, `train` only."""
    from PIL import Image

    root = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for number in range(40):
        name, low = ("dark", 0) if number % 2 else ("light", 128)
        folder = root / "train" / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(low, low + 128, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return root


@pytest.fixture(scope="session")
def model(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model trained on the digits for two epochs."""
    from ectool.config import TrainConfig
    from ectool.stages import train

    output = tmp_path_factory.mktemp("model") / "model"
    return train.run(TrainConfig(epochs=2, output=output, device="cpu")).path


@pytest.fixture(scope="session")
def samples(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the perturbed validation digits; not to be changed, see `own`."""
    from ectool.config import PerturbConfig
    from ectool.stages import perturb

    output = tmp_path_factory.mktemp("samples") / "adv.zarr"
    config = PerturbConfig(
        model=str(model), split=SPLIT, shard_size=SHARD, output=output, device="cpu"
    )
    return perturb.run(config).path


@pytest.fixture(scope="session")
def heatmaps(model: Path, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the heatmaps of `samples`; not to be changed, see `own`."""
    from ectool.config import ExplainConfig
    from ectool.stages import explain

    output = tmp_path_factory.mktemp("heatmaps") / "cams.zarr"
    config = ExplainConfig(
        model=str(model), samples=samples, shard_size=SHARD, output=output, device="cpu"
    )
    return explain.run(config).path
