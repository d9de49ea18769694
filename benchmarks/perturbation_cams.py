"""Measure Ablation-CAM and Score-CAM against pytorch-grad-cam: seconds an image, and memory.

    python -m benchmarks.perturbation_cams [--runs N] [--only JOB]

ResNet-50 at 224, in memory; ours as the stages run it, with folded batch normalisation and channels
last. Both run in turn, medians are compared. Their passes all cost the same, so where they would
take minutes an image, some of them are timed and the rest is counted. Prints a table; without
--only also writes benchmarks/perturbation_cams.json.
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
"""How many of pytorch-grad-cam's ablated images are timed."""
CLASS = 0


class EnoughError(Exception):
    """Ends an explanation of which enough has been seen."""


class Limited:
    """The target logit, for so many answers."""

    def __init__(self, answers: int) -> None:
        self.left = answers

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


def peer(method: str, network: ResNet, layer: str, answers: int) -> None:
    """Run one image through pytorch-grad-cam, up to so many answers of the model."""
    import pytorch_grad_cam

    explainer = getattr(pytorch_grad_cam, method)(network, [getattr(network, layer)])
    quiet = contextlib.redirect_stderr(io.StringIO())
    with contextlib.suppress(EnoughError), quiet, explainer:
        explainer(images().contiguous(), [Limited(answers)])


def ablation_rows(layer: str, runs: int, wanted: str) -> list[Row]:
    model = our_model(layer)
    explain, labels = AblationCAM(model), torch.tensor([CLASS])
    explain(images(), labels)

    # Stopped, it leaves its ablation layer in the network: each run, and the warm-up, has its own.
    networks = iter([their_model() for _ in range(runs + 1)])
    answers = TIMED + 1  # the first one is that of the image as it is
    calls = with_own_memory(
        lambda: explain(images(), labels),
        lambda: peer("AblationCAM", next(networks), layer, answers),
    )
    mine, part = paired(*calls, runs)
    # Two passes of the image as it is, then those with a channel ablated.
    whole = part * (CHANNELS[layer] + 2) / (TIMED + 2)
    job = f"ablationcam, ResNet-50, 224, {layer}, in memory / pytorch-grad-cam"
    return [Row(job, mine, whole, "s/image", whole / mine, wanted)]


def score_rows(runs: int) -> list[Row]:
    """Time a layer of few channels, in whole: a masked image costs the same for any layer."""
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
    for method, layer, wanted in (("ScoreCAM", "layer4", "<= 0.1"), ("AblationCAM", "layer3", "")):
        command = [sys.executable, "-m", "benchmarks.perturbation_cams", "--measure", method]
        megabytes = [
            float(
                subprocess.run([*command, side], check=True, capture_output=True, text=True).stdout
            )
            for side in ("ours", "theirs")
        ]
        job = f"{method.lower()}, ResNet-50, 224, {layer}, memory beside the network"
        found.append(Row(job, *megabytes, "MB", megabytes[0] / megabytes[1], wanted))
    return found


def measure_memory(method: str, side: str) -> float:
    """Explain one image until a few passes are done; return the peak beside what was there."""
    layer = {"ScoreCAM": "layer4", "AblationCAM": "layer3"}[method]
    if side == "theirs":
        network = their_model()
        before = reset_peak()
        # All masked images are made before the first pass: nothing larger comes after it.
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
    """Let the process's peak start from what is in memory now; return that in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(entry: str) -> float:
    """Return an entry of the process's status in MB."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{entry}:\s*(\d+) kB", status)
    return 0.0 if found is None else int(found.group(1)) / 1024


if __name__ == "__main__":
    main()
