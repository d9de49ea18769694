"""Measure Ablation-CAM and Score-CAM against pytorch-grad-cam: seconds an image, and memory.

    python -m benchmarks.perturbation_cams [--runs N] [--only JOB]

ResNet-50 at 224, in memory; ours as the stages run it, with folded batch normalisation and channels
last. Both run in turn, medians are compared. All passes of the peer cost the same: where an image
would take minutes, some passes are timed and the total is computed from their number. Prints a
table; without --only also writes benchmarks/perturbation_cams.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import ResNet, resnet50

from benchmarks.networks import with_own_memory
from benchmarks.table import Row, paired, report
from ectool.explainers.cam.ablation_cam import AblationCAM
from ectool.explainers.cam.score_cam import ScoreCAM
from ectool.models.classifier import Classifier
from ectool.models.folding import fold_batch_norm
from ectool.models.registry import create

CHANNELS = {"layer1": 256, "layer3": 1024, "layer4": 2048}
TIMED = 64
"""Number of ablated images of pytorch-grad-cam that are timed."""
CLASS = 0


class EnoughError(Exception):
    """Ends an explanation after the passes that are measured."""


class Limited:
    """The target logit, for a limited number of images."""

    def __init__(self, images: int) -> None:
        self.left = images

    def __call__(self, logits: Tensor) -> Tensor:
        if self.left == 0:
            raise EnoughError
        self.left -= 1
        return logits[CLASS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose job begins like this")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(measure_memory(*options.measure))
        return
    record = None if options.only else Path(__file__).with_suffix(".json")
    report(rows(options.runs, options.only), record)


def rows(runs: int, only: str) -> list[Row]:
    jobs: dict[str, Callable[[], list[Row]]] = {
        "ablationcam-pooled": lambda: ablation_rows("layer4", runs, ">= 500"),
        "ablationcam-general": lambda: ablation_rows("layer3", runs, ">= 5"),
        "scorecam": lambda: score_rows(runs),
        "memory": memory_rows,
    }
    return [row for name, job in jobs.items() if name.startswith(only) for row in job()]


def our_model(layer: str) -> Classifier:
    model = create("resnet50", [str(number) for number in range(1000)], seed=0, layer=layer).eval()
    fold_batch_norm(model, images(), keep=[model.target_module])
    return model.to(memory_format=torch.channels_last)


def their_model() -> ResNet:
    torch.manual_seed(0)
    return resnet50().eval()


def images(count: int = 1) -> Tensor:
    images = torch.rand(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    return images.to(memory_format=torch.channels_last)


def peer(method: str, network: ResNet, layer: str, count: int) -> None:
    """Run one image through pytorch-grad-cam, up to `count` outputs of the model."""
    import pytorch_grad_cam

    explainer = getattr(pytorch_grad_cam, method)(network, [getattr(network, layer)])
    quiet = contextlib.redirect_stderr(io.StringIO())
    with contextlib.suppress(EnoughError), quiet, explainer:
        explainer(images().contiguous(), [Limited(count)])


def ablation_rows(layer: str, runs: int, target: str) -> list[Row]:
    model = our_model(layer)
    explain, labels = AblationCAM(model), torch.tensor([CLASS])
    explain(images(), labels)

    # A stopped run leaves its ablation layer in the network: each run gets a new one.
    networks = iter([their_model() for _ in range(runs + 1)])
    count = TIMED + 1  # the first output is that of the unchanged image
    calls = with_own_memory(
        lambda: explain(images(), labels),
        lambda: peer("AblationCAM", next(networks), layer, count),
    )
    mine, part = paired(*calls, runs)
    # Two passes of the unchanged image, then those with a channel ablated.
    whole = part * (CHANNELS[layer] + 2) / (TIMED + 2)
    job = f"ablationcam, ResNet-50, 224, {layer}, in memory / pytorch-grad-cam"
    return [Row(job, mine, whole, "s/image", whole / mine, target)]


def score_rows(runs: int) -> list[Row]:
    """Time all channels of a small layer: a masked image costs the same for any layer."""
    model, network, labels = our_model("layer1"), their_model(), torch.tensor([CLASS])
    explain = ScoreCAM(model)
    calls = with_own_memory(
        lambda: explain(images(), labels),
        lambda: peer("ScoreCAM", network, "layer1", CHANNELS["layer1"]),
    )
    mine, theirs = paired(*calls, runs)
    job = "scorecam, ResNet-50, 224, layer1, in memory / pytorch-grad-cam"
    return [Row(job, mine, theirs, "s/image", theirs / mine, ">= 1.5")]


def memory_rows() -> list[Row]:
    found = []
    for method, layer, target in (("ScoreCAM", "layer4", "<= 0.1"), ("AblationCAM", "layer3", "")):
        command = [sys.executable, "-m", "benchmarks.perturbation_cams", "--measure", method]
        megabytes = [
            float(
                subprocess.run([*command, side], check=True, capture_output=True, text=True).stdout
            )
            for side in ("ours", "theirs")
        ]
        job = f"{method.lower()}, ResNet-50, 224, {layer}, memory in addition to the network"
        found.append(Row(job, *megabytes, "MB", megabytes[0] / megabytes[1], target))
    return found


def measure_memory(method: str, side: str) -> float:
    """Explain one image until a few passes are done; return the growth of the peak memory in MB."""
    layer = {"ScoreCAM": "layer4", "AblationCAM": "layer3"}[method]
    if side == "theirs":
        network = their_model()
        before = reset_peak()
        # All masked images are made before the first pass, so the peak comes before it.
        peer(method, network, layer, 2 * 32 + 1)
        return memory("VmHWM") - before
    model = our_model(layer)
    explain = {"ScoreCAM": ScoreCAM, "AblationCAM": AblationCAM}[method](model)
    passes = iter(range(4))

    def stop(*_: object) -> None:
        if next(passes, None) is None:
            raise EnoughError

    model.register_forward_hook(stop)
    before = reset_peak()
    with contextlib.suppress(EnoughError):
        explain(images(), torch.tensor([CLASS]))
    return memory("VmHWM") - before


def reset_peak() -> float:
    """Reset the peak memory of the process to its present memory; return that in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(entry: str) -> float:
    """Return an entry of the process's status in MB."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{entry}:\s*(\d+) kB", status)
    return 0.0 if found is None else int(found.group(1)) / 1024


if __name__ == "__main__":
    main()
