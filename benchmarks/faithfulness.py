"""Measure insertion, deletion and ROAD against Quantus and the bare forward passes they need.

    python -m benchmarks.faithfulness [--device cuda] [--runs N] [--batch N] [--only JOB]

ResNet-50 at 224, and the small network at 32, which is a thousand times faster, so that most of the
time is overhead. Ours is the model as `ectool evaluate` prepares it; Quantus gets the plain
network, the same images, the same maps upsampled, and the same number of features in a step.
Deletion: a feature of Quantus is a value of one channel, so colour images take three passes for
every one of ours; the rows "pass by pass" correct for that. Quantus has no insertion. ROAD: Quantus
0.6 confuses channels with pixels in colour images and stops; it gets maps with which it finds the
pixels. Prints a table; without --only also writes benchmarks/faithfulness.json.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies, on import
    import quantus

from benchmarks.networks import Networks, compare, prepare
from benchmarks.table import Row, run_jobs, save
from ectool.faithfulness import Explained, deletion, insertion, road
from ectool.faithfulness.road import SHARES
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.folding import fold_batch_norm
from ectool.models.interpolation import upsample
from ectool.models.memory import pass_size
from ectool.models.precision import in_precision
from ectool.models.registry import create

SIDE, SMALL_SIDE, SMALL_BATCH = 224, 32, 128
TARGET = ">= 10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=28, help="of deletion; divides 224")
    parser.add_argument("--only", default="", help="jobs whose name begins like this")
    options = parser.parse_args()
    large, small = (partial(setting, options) for setting in (_resnet, _smallcnn))
    jobs: dict[str, Callable[[], list[Row]]] = {
        "resnet50-deletion": lambda: deletion_rows(large()),
        "resnet50-road": lambda: road_rows(large()),
        "smallcnn-deletion": lambda: deletion_rows(small()),
        "smallcnn-road": lambda: road_rows(small()),
    }
    rows = run_jobs(jobs, options.only)
    keep = not options.only and options.device == "cpu"
    save(rows, Path(__file__).with_suffix(".json") if keep else None)


@dataclass(frozen=True)
class Setting:
    """A network, its images and a map of each.

    Attributes:
        name: Of the network and the images' size.
        networks: The network in its three forms, and the images.
        maps: Heatmaps of the target layer's resolution.
        steps: Of deletion and insertion.
        runs: How often each side runs.
    """

    name: str
    networks: Networks
    maps: torch.Tensor
    steps: int
    runs: int

    def explained(self, model: Classifier) -> Explained:
        """Return the images without cached predictions."""
        return Explained(model, self.networks.pixels, self.networks.labels)

    def row(self, job: str, ours: Callable[[], object], theirs: Callable[[], object]) -> Row:
        """Compare with Quantus."""
        return compare(
            f"{job}, {self.name} / Quantus", self.networks, ours, theirs, self.runs, TARGET
        )

    def limit(self, job: str, ours: Callable[[], object], passes: int) -> Row:
        """Compare with the same number of forward passes of the same model and nothing else."""
        pixels, model = self.networks.pixels, self.networks.ours
        size = min(pass_size(pixels), len(pixels) * passes)
        packed = pixels.repeat(-(-size // len(pixels)), 1, 1, 1)[:size]
        packed = packed.contiguous(memory_format=torch.channels_last)

        def bare() -> None:
            with torch.no_grad():
                for start in range(0, len(pixels) * passes, size):
                    model(packed[: len(pixels) * passes - start])

        name = f"{job}, {self.name} / its forward passes"
        return compare(name, self.networks, ours, bare, self.runs, ">= 0.8", default_memory=False)


def deletion_rows(setting: Setting) -> list[Row]:
    networks, maps, steps = setting.networks, setting.maps, setting.steps
    size = (networks.pixels.shape[2], networks.pixels.shape[3])
    metric = quantus.PixelFlipping(
        features_in_step=size[0] * size[1] // steps,
        perturb_baseline=0.0,
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    theirs = quantus_call(metric, networks, upsample(maps, size)[:, None])
    half = in_precision(networks.ours, "bf16")

    def delete(model: Classifier) -> object:
        return deletion(setting.explained(model), maps, steps=steps)

    def insert() -> object:
        return insertion(setting.explained(networks.ours), maps, steps=steps)

    full = partial(delete, networks.ours)
    row = setting.row("deletion", full, theirs)
    channels, passes = networks.pixels.shape[1], steps + 1
    rates = row.ours * passes, (row.reference or 0) * channels * steps
    per_pass = Row(f"{row.job}, pass by pass", *rates, "passes/s", rates[0] / rates[1], "")
    return [
        row,
        per_pass,
        setting.row("deletion, bf16", partial(delete, half), theirs),
        setting.limit("deletion", full, passes),
        setting.limit("insertion", insert, passes),
    ]


def road_rows(setting: Setting) -> list[Row]:
    networks, maps = setting.networks, setting.maps
    size = (networks.pixels.shape[2], networks.pixels.shape[3])
    # It ranks the values of all channels, takes the first for numbers of pixels, and shares are of
    # the values: where one channel comes first, a third of the share is that of the pixels.
    first = upsample(maps, size)[:, None] + torch.tensor([2.0, 1.0, 0.0]).view(3, 1, 1).to(maps)
    metric = quantus.ROAD(
        percentages=[100 * share / 3 for share in SHARES],
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    theirs = quantus_call(metric, networks, first)
    ids = [str(number) for number in range(len(maps))]
    half = in_precision(networks.ours, "bf16")

    def remove(model: Classifier) -> object:
        return road(setting.explained(model), maps, ids)

    full = partial(remove, networks.ours)
    return [
        setting.row("ROAD", full, theirs),
        setting.row("ROAD, bf16", partial(remove, half), theirs),
        setting.limit("ROAD", full, len(SHARES)),
    ]


def quantus_call(metric: object, networks: Networks, maps: torch.Tensor) -> Callable[[], object]:
    given = {
        "model": networks.plain,
        "x_batch": networks.images.cpu().numpy(),
        "y_batch": networks.labels.cpu().numpy(),
        "a_batch": maps.cpu().numpy(),
        "channel_first": True,
        "device": str(networks.images.device),
    }
    return lambda: metric(**given)


def _resnet(options: argparse.Namespace) -> Setting:
    networks = prepare("resnet50", SIDE, options.batch, options.device)
    return _setting("ResNet-50, 224", networks, options.steps, options.runs)


def _smallcnn(options: argparse.Namespace) -> Setting:
    """Make the small network as `prepare` makes those of torchvision."""
    names = [str(number) for number in range(10)]
    ours = create("smallcnn", names, seed=0, input_size=(SMALL_SIDE, SMALL_SIDE))
    ours.to(options.device).eval().requires_grad_(False)
    plain = copy.deepcopy(ours.network).to(memory_format=torch.contiguous_format)
    noise = np.random.default_rng(0).integers(
        0, 256, (SMALL_BATCH, 3, SMALL_SIDE, SMALL_SIDE), np.uint8
    )
    pixels = to_pixels(noise, options.device)
    fold_batch_norm(ours, pixels[:1], keep=[ours.target_module])
    images = ((pixels - ours.mean) / ours.std).contiguous()
    labels = ours(pixels).argmax(1)
    networks = Networks(ours, plain, plain, pixels, images, labels)
    return _setting("smallcnn, 32", networks, SMALL_SIDE, options.runs)


def _setting(name: str, networks: Networks, steps: int, runs: int) -> Setting:
    generator = torch.Generator().manual_seed(1)
    maps = torch.rand(len(networks.pixels), 7, 7, generator=generator).to(networks.pixels.device)
    return Setting(name, networks, maps, steps, runs)


if __name__ == "__main__":
    main()
