"""What the tests share: one cached data set, one tiny model, and the artifacts made with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

# Before torch is imported, here and in every process the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SPLIT = "validation"
SHARD = 64

Tree = dict[str, bytes]


def _tree(root: Path) -> Tree:
    if root.is_file():
        return {root.name: root.read_bytes()}
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], Tree]:
    """Return every file below a folder, by its path in there."""
    return _tree


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
    """Cache made data sets in one folder for the whole session."""
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECTOOL_DATA", str(root))
        yield root


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 40 tiny pictures: bright ones and dark ones, `train` only."""
    from PIL import Image

    root = tmp_path_factory.mktemp("pictures")
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
    """Return a model that has seen the digits twice."""
    from ectool.config import TrainConfig
    from ectool.stages import train

    output = tmp_path_factory.mktemp("model") / "model"
    return train.run(TrainConfig(epochs=2, output=output, device="cpu"))


@pytest.fixture(scope="session")
def samples(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the perturbed validation digits; not to be changed, see `own`."""
    from ectool.config import PerturbConfig
    from ectool.stages import perturb

    output = tmp_path_factory.mktemp("samples") / "adv.zarr"
    config = PerturbConfig(
        model=str(model), split=SPLIT, shard_size=SHARD, output=output, device="cpu"
    )
    return perturb.run(config)


@pytest.fixture(scope="session")
def heatmaps(model: Path, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the heatmaps of `samples`; not to be changed, see `own`."""
    from ectool.config import ExplainConfig
    from ectool.stages import explain

    output = tmp_path_factory.mktemp("heatmaps") / "cams.zarr"
    config = ExplainConfig(
        model=str(model), samples=samples, shard_size=SHARD, output=output, device="cpu"
    )
    return explain.run(config)
