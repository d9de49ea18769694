"""Measure attacks in memory against the peers, the bare input-gradient loop and half precision.

    python -m benchmarks.attacks [--device cuda] [--runs N] [--batch N] [--only JOB]

PGD with ten steps on the whole image, ResNet-18 at 96. Ours and the reference run in turn on the
same batch, `runs` times each; medians are compared. Ours is the model as `ectool perturb` prepares
it. The strength that bfloat16 steps lose is measured with a ResNet-18 trained on digits. Prints a
table; without --only also writes benchmarks/attacks.json.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torchattacks
from torch import nn

from benchmarks.networks import ALPHA, EPS, STEPS, Networks, attacked, compare, prepare
from benchmarks.table import Row, run_jobs, save
from ectool.artifacts.artifact import Artifact
from ectool.config import PerturbConfig, TrainConfig
from ectool.models.precision import in_precision
from ectool.stages import perturb, train

SIDE = 96
JOB = f"PGD-{STEPS}, ResNet-18, {SIDE}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--only", default="", help="rows whose job begins like this")
    options = parser.parse_args()
    networks = prepare("resnet18", SIDE, options.batch, options.device)
    jobs: dict[str, Callable[[], list[Row]]] = {
        "peers": lambda: peer_rows(networks, options.runs),
        "bf16": lambda: precision_rows(networks, options.runs),
        "strength": strength_rows,
    }
    rows = run_jobs(jobs, options.only)
    keep = not options.only and options.device == "cpu"
    save(rows, Path(__file__).with_suffix(".json") if keep else None)


class Normalised(nn.Module):
    """The plain network with its normalisation, for torchattacks."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.network, self.mean, self.std = networks.plain, networks.ours.mean, networks.ours.std

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network((pixels - self.mean) / self.std)


def peer_rows(networks: Networks, runs: int) -> list[Row]:
    pixels = networks.pixels.contiguous()
    torch_attack = torchattacks.PGD(
        Normalised(networks).eval(), eps=EPS, alpha=ALPHA, steps=STEPS, random_start=False
    )
    peers: dict[str, tuple[Callable[[], object], str]] = {
        "torchattacks": (lambda: torch_attack(pixels, networks.labels), ">= 1.15"),
        "foolbox": (foolbox_attack(networks, pixels), ">= 1.6"),
        "bare loop of input gradients": (lambda: bare_loop(networks), ">= 0.97"),
    }
    mine = attacked(networks, networks.ours)
    return [
        compare(
            f"{JOB} / {name}", networks, mine, call, runs, target, default_memory="bare" not in name
        )
        for name, (call, target) in peers.items()
    ]


def foolbox_attack(networks: Networks, pixels: torch.Tensor) -> Callable[[], object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pkg_resources, on import
        import foolbox

    preprocessing = {
        "mean": networks.ours.mean.flatten().tolist(),
        "std": networks.ours.std.flatten().tolist(),
        "axis": -3,
    }
    model = foolbox.PyTorchModel(networks.plain, bounds=(0, 1), preprocessing=preprocessing)
    attack = foolbox.attacks.LinfPGD(abs_stepsize=ALPHA, steps=STEPS, random_start=False)
    return lambda: attack(model, pixels, networks.labels, epsilons=EPS)


def bare_loop(networks: Networks) -> None:
    """Compute ten gradients with respect to the input, channels last, and nothing else."""
    current = networks.images_last
    for _ in range(STEPS):
        leaf = current.detach().requires_grad_()
        loss = nn.functional.cross_entropy(networks.bare(leaf), networks.labels, reduction="sum")
        torch.autograd.grad(loss, leaf)


def precision_rows(networks: Networks, runs: int) -> list[Row]:
    half = attacked(networks, in_precision(networks.ours, "bf16"))
    full = attacked(networks, networks.ours)
    return [
        compare(f"{JOB}, bf16 / fp32", networks, half, full, runs, ">= 1.7", default_memory=False)
    ]


def strength_rows() -> list[Row]:
    """Measure the success of the attack with steps in either precision; predictions in float32."""
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        root = Path(folder)
        learn = {"data": "digits", "epochs": 4, "lr": 0.05, "model": "resnet18"}
        model = train.run(TrainConfig(**learn, output=root / "model")).path
        shares = {}
        for precision in ("fp32", "bf16"):
            output = root / f"{precision}.zarr"
            attack = {"steps": STEPS, "eps": 2 / 255, "mask": "full", "precision": precision}
            perturb.run(PerturbConfig(model=str(model), split="test", output=output, **attack))
            with Artifact(output) as samples:
                predicted = samples.read("logits_adversarial").argmax(1)
                shares[precision] = 100 * float((predicted != samples.read("label")).mean())
    lost = shares["fp32"] - shares["bf16"]
    job = f"PGD-{STEPS}, ResNet-18, 600 digits, eps 2/255: success with fp32 and bf16 steps"
    return [Row(f"{job}, points lost", shares["bf16"], shares["fp32"], "%", lost, "<= 1")]


if __name__ == "__main__":
    main()
