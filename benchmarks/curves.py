"""Measure deletion with few passes against Quantus, and the error of the area under the curves.

    python -m benchmarks.curves [--runs N] [--only JOB]

EfficientNet-Lite0 with weights of ImageNet on crops of photographs, and ResNet-50 with random
weights on noise, its head scaled until half of the predictions have a probability of 0.9 or more:
curves of uncertain predictions are flat and need few points. Deletion by heatmaps of Grad-CAM in 28
steps of all channels; a feature of Quantus is a value of one channel, so it takes three passes for
every one of ours. All calls run in turn in one thread; medians of its processor time are compared.
Prints a table; without --only also writes benchmarks/curves.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.faithfulness import quantus, quantus_call
from benchmarks.networks import Networks, prepare
from benchmarks.photographs import efficientnet
from benchmarks.precision import ours, peer
from benchmarks.table import Row, in_turn, run_jobs, save
from ectool.explainers import EXPLAINERS
from ectool.faithfulness import Curves, Explained, deletion, insertion, pixel_flipping
from ectool.metrics.curves import area_under_curve
from ectool.models.classifier import Classifier
from ectool.models.interpolation import upsample
from ectool.models.precision import in_precision

STEPS = 28
TOLERANCES = (0.02, 0.01, 0.005)
TOLERANCE = 0.01
"""With which the speed is measured."""
CONFIDENT = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", default="", help="jobs whose name begins like this")
    options = parser.parse_args()
    jobs: dict[str, Callable[[], list[Row]]] = {
        "efficientnet": lambda: speed_rows("EfficientNet-Lite0", efficientnet(2), options.runs),
        "resnet50": lambda: speed_rows("ResNet-50", confident_resnet(2), options.runs),
        "error": error_rows,
    }
    rows = run_jobs(jobs, options.only)
    save(rows, None if options.only else Path(__file__).with_suffix(".json"))


def confident_resnet(count: int) -> Networks:
    """Return ResNet-50 with a scaled head."""
    networks = prepare("resnet50", 224, count, "cpu")
    heads = [one.get_submodule("fc") for one in (networks.ours.network, networks.plain)]
    with torch.no_grad():
        while networks.ours(networks.pixels).softmax(1).amax(1).median() < CONFIDENT:
            for head in heads:
                head.weight.mul_(1.5)
                head.bias.mul_(1.5)
    return networks


def heatmaps(networks: Networks) -> torch.Tensor:
    explainer = EXPLAINERS["gradcam"].make(networks.ours)
    return explainer(networks.pixels, networks.labels).heatmaps


def speed_rows(name: str, networks: Networks, runs: int) -> list[Row]:
    """Compare deletion in both precisions, with and without a tolerance, with Quantus."""
    maps, size = heatmaps(networks), (networks.pixels.shape[2], networks.pixels.shape[3])
    metric = quantus.PixelFlipping(
        features_in_step=size[0] * size[1] // STEPS,
        perturb_baseline=0.0,
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    half = in_precision(networks.ours, "bf16")

    def delete(model: Classifier, tolerance: float | None) -> Curves:
        explained = Explained(model, networks.pixels, networks.labels)
        return deletion(explained, maps, steps=STEPS, tolerance=tolerance)

    calls = {
        f"{precision}, {'every point' if tolerance is None else f'tolerance {tolerance}'}": ours(
            partial(delete, model, tolerance)
        )
        for precision, model in (("fp32", networks.ours), ("bf16", half))
        for tolerance in (None, TOLERANCE)
    }
    reference = peer(quantus_call(metric, networks, upsample(maps, size)[:, None]))
    seconds = in_turn({**calls, "Quantus": reference}, runs)
    rates = {job: len(maps) / taken for job, taken in seconds.items()}
    found, full = delete(half, TOLERANCE), delete(networks.ours, None)
    errors = np.abs(area(found) - area(full))
    job = f"deletion, {name}, 224"
    change = f"{job}: max change of an area, bf16 and tolerance"
    rows = [Row(change, float(errors.max()), None, "", None, "")]
    for mine in calls:
        pair = rates[mine], rates["Quantus"]
        rows.append(Row(f"{job}, {mine} / Quantus", *pair, "images/s", pair[0] / pair[1], ">= 10"))
    return rows


def area(curves: Curves) -> np.ndarray:
    return area_under_curve(curves.probabilities.double().numpy())


def error_rows() -> list[Row]:
    """Measure passes and error of each tolerance, in float32, on 6 photographs."""
    networks = efficientnet(6)
    maps = heatmaps(networks)
    explained = Explained(networks.ours, networks.pixels, networks.labels)
    for end in (explained.clean, explained.mean_coloured, explained.blurred):
        assert len(end.images) == len(maps)  # predicted once, before passes are counted
    measures = {
        "deletion": partial(deletion, explained, maps, steps=STEPS),
        "insertion": partial(insertion, explained, maps, steps=STEPS),
        "pixel flipping": partial(pixel_flipping, explained, maps),
    }
    passes: list[int] = []
    handle = networks.ours.register_forward_hook(lambda _m, _a, out: passes.append(len(out)))
    rows = []
    for name, measure in measures.items():
        passes.clear()
        full = measure()
        between = sum(passes) / len(maps)
        for tolerance in TOLERANCES:
            passes.clear()
            errors = area(measure(tolerance=tolerance)) - area(full)
            largest, mean = float(np.abs(errors).max()), float(abs(errors.mean()))
            job = f"{name}, EfficientNet-Lite0, 6 photographs, tolerance {tolerance}"
            count = sum(passes) / len(maps)
            rows += [
                Row(f"{job}: passes an image", count, between, "", count / between, ""),
                Row(f"{job}: max error of an area", largest, None, "", None, ""),
                Row(f"{job}: error of the mean area", mean, None, "", None, ""),
            ]
    handle.remove()
    return rows


if __name__ == "__main__":
    main()
