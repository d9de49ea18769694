"""Measure heatmaps in memory against the peers, the bare forward pass and half precision.

    python -m benchmarks.heatmaps [--device cuda] [--runs N] [--batch N] [--only JOB]

Ours and the reference run in turn on the same batch, `runs` times each; medians are compared. Ours
is the model as `ectool explain` prepares it. Prints a table; without --only also writes
benchmarks/heatmaps.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import captum.attr
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from benchmarks.networks import Networks, compare, prepare
from benchmarks.table import Row, run_jobs, save
from ectool.explainers import EXPLAINERS
from ectool.models.precision import in_precision

SIDE = 224
JOB = "gradcam, ResNet-50, 224"
FAMILY = {
    "gradcam": pytorch_grad_cam.GradCAM,
    "gradcam++": pytorch_grad_cam.GradCAMPlusPlus,
    "xgradcam": pytorch_grad_cam.XGradCAM,
    "hirescam": pytorch_grad_cam.HiResCAM,
    "layercam": pytorch_grad_cam.LayerCAM,
    "eigencam": pytorch_grad_cam.EigenCAM,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--only", default="", help="rows whose job begins like this")
    options = parser.parse_args()
    networks = prepare("resnet50", SIDE, options.batch, options.device)
    transformer = prepare("vit_b_16", SIDE, options.batch // 2, options.device)
    jobs: dict[str, Callable[[], list[Row]]] = {
        "peers": lambda: peer_rows(networks, options.runs),
        "limit": lambda: limit_rows(networks, options.runs),
        "bf16": lambda: precision_rows(networks, options.runs),
        "family": lambda: family_rows(networks, options.runs),
        "vit": lambda: transformer_rows(transformer, options.runs),
    }
    rows = run_jobs(jobs, options.only)
    keep = not options.only and options.device == "cpu"
    save(rows, Path(__file__).with_suffix(".json") if keep else None)


def explain(networks: Networks, method: str = "gradcam") -> Callable[[], object]:
    explainer = EXPLAINERS[method].make(networks.ours)
    explainer(networks.pixels[:1], networks.labels[:1])  # the head is analysed once
    return lambda: explainer(networks.pixels, networks.labels)


def peer_cam(networks: Networks, method: str) -> Callable[[], object]:
    cam = FAMILY[method](model=networks.plain, target_layers=[networks.plain.layer4])
    targets = [ClassifierOutputTarget(label) for label in networks.labels.tolist()]
    return lambda: cam(input_tensor=networks.images, targets=targets)


def torch_cam(networks: Networks) -> Callable[[], object]:
    """Return a call of torch-cam; its context removes the hooks from the network."""

    def call() -> None:
        with torchcam.methods.GradCAM(networks.plain, target_layer="layer4") as cam:
            scores = networks.plain(networks.images.clone().requires_grad_())
            cam(networks.labels.tolist(), scores)

    return call


def peer_rows(networks: Networks, runs: int) -> list[Row]:
    captum_cam = captum.attr.LayerGradCam(networks.plain, networks.plain.layer4)
    peers = {
        "pytorch-grad-cam": (peer_cam(networks, "gradcam"), ">= 5"),
        "torch-cam": (torch_cam(networks), ">= 4"),
        "captum": (
            lambda: captum_cam.attribute(networks.images, target=networks.labels),
            ">= 1.6",
        ),
    }
    return [
        compare(
            f"gradcam, ResNet-50, 224 / {name}", networks, explain(networks), call, runs, target
        )
        for name, (call, target) in peers.items()
    ]


def limit_rows(networks: Networks, runs: int) -> list[Row]:
    job = f"{JOB} / bare forward, channels last"
    call = explain(networks)
    return [compare(job, networks, call, networks.forward, runs, ">= 0.9", default_memory=False)]


def precision_rows(networks: Networks, runs: int) -> list[Row]:
    """Compare bfloat16 with float32, both ours: the speed, and the similarity of the heatmaps."""
    half = EXPLAINERS["gradcam"].make(in_precision(networks.ours, "bf16"))
    full = explain(networks)
    arguments = networks.pixels, networks.labels
    half(*arguments)
    job = f"{JOB}, bf16 / fp32"
    call = lambda: half(*arguments)  # noqa: E731
    speed = compare(job, networks, call, full, runs, ">= 1.6", default_memory=False)
    maps, reference = half(*arguments).heatmaps, full().heatmaps
    similarity = torch.cosine_similarity(maps.flatten(1), reference.flatten(1)).mean().item()
    return [speed, Row(f"{job}: mean cosine of the maps", similarity, None, "", None, ">= 0.995")]


def family_rows(networks: Networks, runs: int) -> list[Row]:
    rows = []
    for method in list(FAMILY)[1:]:
        job = f"{method}, ResNet-50, 224 / pytorch-grad-cam"
        call = explain(networks, method)
        rows.append(compare(job, networks, call, peer_cam(networks, method), runs, ">= 5"))
    return rows


def transformer_rows(networks: Networks, runs: int) -> list[Row]:
    layer = networks.ours.target_layer

    def to_nchw(tokens: torch.Tensor) -> torch.Tensor:
        return layer.to_nchw(tokens, (SIDE, SIDE))

    module = networks.plain.get_submodule(layer.name)
    cam = pytorch_grad_cam.GradCAM(networks.plain, [module], reshape_transform=to_nchw)
    targets = [ClassifierOutputTarget(label) for label in networks.labels.tolist()]
    call = lambda: cam(input_tensor=networks.images, targets=targets)  # noqa: E731
    return [
        compare(
            "gradcam, ViT-B/16, 224 / pytorch-grad-cam",
            networks,
            explain(networks),
            call,
            runs,
            ">= 2.5",
        ),
        compare(
            "gradcam, ViT-B/16, 224 / bare forward",
            networks,
            explain(networks),
            networks.forward,
            runs,
            "",
            default_memory=False,
        ),
    ]


if __name__ == "__main__":
    main()
