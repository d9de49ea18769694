"""Rates on the device: against the bare forward pass, in both precisions, and against the peers."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from benchmarks.networks import (
    ALPHA,
    CLASSES,
    EPS,
    STEPS,
    Networks,
    attacked,
    compare,
    finished,
    prepare,
)
from benchmarks.passes import write_noise
from benchmarks.table import Row, paired
from ectool.config import ExplainConfig, PerturbConfig, TrainConfig
from ectool.config.heatmaps import Compilation, Precision
from ectool.explainers import EXPLAINERS
from ectool.models.classifier import Classifier
from ectool.models.compiling import compile_parts
from ectool.models.precision import in_precision, mixed
from ectool.models.registry import create
from ectool.stages import explain, perturb, train
from ectool.stages.dry_run.stopwatch import Stopwatch

COMPILATIONS: tuple[Compilation, ...] = ("default", "cuda-graphs")


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        architecture: A ResNet of torchvision.
        side: Side of the images.
        batch: Images of a batch.
        runs: Runs of each measurement; the median counts.
        images: Images of whole stages.
    """

    architecture: str = "resnet50"
    side: int = 224
    batch: int = 64
    runs: int = 5
    images: int = 1024


def jobs(size: Size, device: torch.device) -> Mapping[str, Callable[[], Iterator[Row]]]:
    """Return the measurements by name, in the order of their importance."""
    networks = prepare(size.architecture, size.side, size.batch, str(device))
    given = (networks, size)
    found = (bare_rows, explain_rows, attack_rows, peer_cam_rows, peer_attack_rows)
    measured = {job.__name__: partial(job, *given) for job in found}
    measured["training_rows"] = partial(training_rows, size, device)
    measured["stage_rows"] = partial(stage_rows, size, device)
    measured["compiled_rows"] = partial(compiled_rows, networks, size)
    return measured


def bare_rows(networks: Networks, size: Size) -> Iterator[Row]:
    """Measure the forward pass in both memory formats and both precisions."""
    half = in_precision(networks.ours, "bf16")

    def contiguous() -> None:
        with torch.no_grad():
            networks.plain(networks.images)

    def ours(model: Classifier) -> None:
        with torch.no_grad():
            model(networks.pixels)

    name = f"forward, {size.architecture}, {size.side}"
    yield measure(
        f"{name}: channels last / contiguous", networks, networks.forward, contiguous, size
    )
    full = partial(ours, networks.ours)
    yield measure(
        f"{name}: as the stages do / channels last", networks, full, networks.forward, size
    )
    yield measure(f"{name}: bf16 / fp32", networks, partial(ours, half), full, size)


def measure(
    job: str,
    networks: Networks,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    size: Size,
    target: str = "",
) -> Row:
    """Compare two computations on the batch."""
    return compare(job, networks, ours, theirs, size.runs, target, default_memory=False)


def drawn(networks: Networks, precision: Precision) -> Callable[[], object]:
    explainer = EXPLAINERS["gradcam"].make(in_precision(networks.ours, precision))
    explainer(networks.pixels[:1], networks.labels[:1])  # the head is analysed once
    return lambda: explainer(networks.pixels, networks.labels)


def explain_rows(networks: Networks, size: Size) -> Iterator[Row]:
    name = f"gradcam, {size.architecture}, {size.side}"
    full = drawn(networks, "fp32")
    yield measure(f"{name} / bare forward", networks, full, networks.forward, size, ">= 0.9")
    yield measure(f"{name}: bf16 / fp32", networks, drawn(networks, "bf16"), full, size)


def compiled_rows(networks: Networks, size: Size) -> Iterator[Row]:
    """Measure compiled networks, after their compilation."""
    name, device = f"{size.architecture}, {size.side}", networks.ours.mean.device
    plain = drawn(networks, "fp32"), attacked(networks, networks.ours)
    for how in COMPILATIONS if device.type == "cuda" else COMPILATIONS[:1]:
        ours = copy.deepcopy(networks.ours)
        compile_parts(ours, how)
        compiled = drawn(replace(networks, ours=ours), "fp32"), attacked(networks, ours)
        for job, one, other in zip(("gradcam", f"PGD-{STEPS}"), compiled, plain, strict=True):
            yield measure(f"{job}, {name}: compiled, {how} / not", networks, one, other, size)


def attack_rows(networks: Networks, size: Size) -> Iterator[Row]:
    name = f"PGD-{STEPS}, {size.architecture}, {size.side}"
    full = attacked(networks, networks.ours)
    half = attacked(networks, in_precision(networks.ours, "bf16"))

    def bare() -> None:
        for _ in range(STEPS):
            leaf = networks.images_last.requires_grad_()
            loss = nn.functional.cross_entropy(networks.bare(leaf), networks.labels)
            torch.autograd.grad(loss, leaf)

    yield measure(f"{name} / bare input gradients", networks, full, bare, size, ">= 0.97")
    yield measure(f"{name}: bf16 / fp32", networks, half, full, size)


def peer_cam_rows(networks: Networks, size: Size) -> Iterator[Row]:
    if find_spec("pytorch_grad_cam") is None:
        return
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    cam = GradCAM(model=networks.plain, target_layers=[networks.plain.layer4])
    targets = [ClassifierOutputTarget(label) for label in networks.labels.tolist()]
    peer = partial(cam, input_tensor=networks.images, targets=targets)
    name = f"gradcam, {size.architecture}, {size.side}"
    for precision in ("fp32", "bf16"):
        ours = drawn(networks, precision)
        yield measure(f"{name}, {precision} / pytorch-grad-cam", networks, ours, peer, size)


class Normalised(nn.Module):
    """The plain network with its normalisation, for torchattacks."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.network, self.mean, self.std = networks.plain, networks.ours.mean, networks.ours.std

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network((pixels - self.mean) / self.std)


def peer_attack_rows(networks: Networks, size: Size) -> Iterator[Row]:
    if find_spec("torchattacks") is None:
        return
    import torchattacks

    model = Normalised(networks).eval()
    attack = torchattacks.PGD(model, eps=EPS, alpha=ALPHA, steps=STEPS, random_start=False)
    pixels = networks.pixels.contiguous()
    peer = partial(attack, pixels, networks.labels)
    name = f"PGD-{STEPS}, {size.architecture}, {size.side}"
    for precision in ("fp32", "bf16"):
        ours = attacked(networks, in_precision(networks.ours, precision))
        yield measure(f"{name}, {precision} / torchattacks", networks, ours, peer, size)


def training_rows(size: Size, device: torch.device) -> Iterator[Row]:
    """Measure a training step in both precisions."""
    networks = prepare(size.architecture, size.side, size.batch, str(device))
    names = [str(number) for number in range(CLASSES)]
    model = create(size.architecture, names, seed=0, input_size=(size.side, size.side)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
    model.train()

    def step(precision: Precision) -> None:
        with mixed(precision, device):
            loss = nn.functional.cross_entropy(model(networks.pixels), networks.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    job = f"training step, {size.architecture}, {size.side}: bf16 / fp32"
    yield measure(job, networks, partial(step, "bf16"), partial(step, "fp32"), size)


def stage_rows(size: Size, device: torch.device) -> Iterator[Row]:
    """Measure whole stages, from files to files, after their first batch."""
    networks = prepare(size.architecture, size.side, size.batch, str(device))
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        root = Path(folder)
        data = f"zarr:{write_noise(root / 'data' / 'train.zarr', size.images, size.side)}"
        machine = {"data": data, "device": str(device)}
        learn = {**machine, "model": size.architecture, "epochs": 1, "limit": 2 * size.batch}
        model = train.run(TrainConfig(**learn, batch_size=size.batch, output=root / "model")).path
        given = {**machine, "model": str(model), "batch_size": size.batch}
        stages = {
            "explain": lambda watch: explain.run(
                ExplainConfig(**given, output=root / "maps.zarr"), watch
            ),
            "perturb, 5 steps": lambda watch: perturb.run(
                PerturbConfig(**given, output=root / "samples.zarr"), watch
            ),
        }
        wait = finished(networks.forward, networks)
        bare = paired(wait, wait, size.runs)[0] / size.batch
        for name, stage in stages.items():
            watch = Stopwatch()
            stage(watch)
            rates = 1 / watch.tasks[-1].per_item, 1 / bare
            job = f"{name}, {size.architecture}, {size.side} / bare forward"
            yield Row(job, *rates, "images/s", rates[0] / rates[1], "")
