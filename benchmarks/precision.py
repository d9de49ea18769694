"""Measure `--precision auto` against the peers and bare passes, and what it changes.

    python -m benchmarks.precision [--runs N] [--batch N] [--only JOB]

Ours in float32 and with `auto`, the peers in float32, and bare passes in both precisions run in
turn on the same batch, in one thread; medians of its processor time are compared. Jobs: heatmaps;
an attack; weights after `score`; the speed of bfloat16 for several networks, by which `auto`
decides. Prints a table; without --only also writes benchmarks/precision.json.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import captum.attr
import numpy as np
import torch
import torchattacks
from scipy.stats import spearmanr

from benchmarks import attacks, heatmaps
from benchmarks.networks import ALPHA, EPS, STEPS, Networks, attacked, prepare, restore_allocator
from benchmarks.table import Row, in_turn, run_jobs, save
from ectool.artifacts.artifact import Artifact
from ectool.config import ExplainConfig, PerturbConfig, ScoreConfig, TrainConfig
from ectool.explainers import EXPLAINERS
from ectool.models.memory import keep_freed_memory
from ectool.models.precision import in_precision
from ectool.stages import explain, perturb, score, train
from ectool.stages.explain.agreement import Purpose, choose_for, compare

OPTIONS = ExplainConfig(model="m", data="digits", output=Path("a.zarr"), precision="auto")
NETWORKS = {
    "smallcnn, 32": ("smallcnn", 32, 64),
    "ResNet-18, 96": ("resnet18", 96, 16),
    "ResNet-50, 224": ("resnet50", 224, 4),
    "DenseNet-121, 96": ("densenet121", 96, 8),
    "MobileNetV2, 224": ("mobilenet_v2", 224, 4),
    "ViT-B/16, 224": ("vit_b_16", 224, 2),
}
Call = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--only", default="", help="jobs whose name begins like this")
    options = parser.parse_args()
    jobs: dict[str, Callable[[], list[Row]]] = {
        "explain": lambda: explain_rows(options.runs, options.batch),
        "attack": lambda: attack_rows(options.runs, options.batch),
        "weights": weight_rows,
        "speed": speed_rows,
    }
    rows = run_jobs(jobs, options.only)
    save(rows, None if options.only else Path(__file__).with_suffix(".json"))


def explain_rows(runs: int, batch: int) -> list[Row]:
    """Compare Grad-CAM of ResNet-50 at 224."""
    networks = prepare("resnet50", 224, batch, "cpu")
    auto, bare = chosen(networks, "heatmaps"), bare_in_bf16(networks)
    captum_cam = captum.attr.LayerGradCam(networks.plain, networks.plain.layer4)
    explainer = EXPLAINERS["gradcam"].make(auto)
    calls = {
        "fp32": ours(heatmaps.explain(networks)),
        "auto": ours(lambda: explainer(networks.pixels, networks.labels)),
        "bare forward, fp32": ours(networks.forward),
        "bare forward, bf16": ours(bare.forward),
        "pytorch-grad-cam": peer(heatmaps.peer_cam(networks, "gradcam")),
        "torch-cam": peer(heatmaps.torch_cam(networks)),
        "captum": peer(lambda: captum_cam.attribute(networks.images, target=networks.labels)),
    }
    targets = {"pytorch-grad-cam": ">= 7", "torch-cam": ">= 2.5", "captum": ">= 2.5"}
    return compared("gradcam, ResNet-50, 224", len(networks.pixels), calls, runs, targets)


def attack_rows(runs: int, batch: int) -> list[Row]:
    """Compare ten steps of PGD on ResNet-18 at 96."""
    networks = prepare("resnet18", attacks.SIDE, batch, "cpu")
    pixels, bare = networks.pixels.contiguous(), bare_in_bf16(networks)
    theirs = torchattacks.PGD(
        attacks.Normalised(networks).eval(),
        eps=EPS,
        alpha=ALPHA,
        steps=STEPS,
        random_start=False,
    )
    calls = {
        "fp32": ours(attacked(networks, networks.ours)),
        "auto": ours(attacked(networks, chosen(networks, "attack"))),
        "bare loop of input gradients, fp32": ours(lambda: attacks.bare_loop(networks)),
        "bare loop of input gradients, bf16": ours(lambda: attacks.bare_loop(bare)),
        "torchattacks": peer(lambda: theirs(pixels, networks.labels)),
    }
    return compared(attacks.JOB, len(pixels), calls, runs, {"torchattacks": ">= 1.7"})


def chosen(networks: Networks, purpose: Purpose) -> torch.nn.Module:
    """Return our network in the precision that `auto` chooses for its batch; print why."""
    choice = choose_for(OPTIONS, networks.ours, networks.pixels, networks.labels, purpose)
    print(f"auto: {choice.precision}; {choice.reason}", flush=True)
    return in_precision(networks.ours, choice.precision)


def bare_in_bf16(networks: Networks) -> Networks:
    bare = copy.deepcopy(networks.bare).to(torch.bfloat16)
    return replace(networks, bare=bare, images=networks.images.to(torch.bfloat16))


def ours(call: Call) -> Call:
    """Return a call that keeps freed memory, as our stages do."""
    return lambda: (keep_freed_memory(), call())


def peer(call: Call) -> Call:
    """Return a call with Python's default memory settings."""
    return lambda: (restore_allocator(), call())


def compared(
    job: str, images: int, calls: Mapping[str, Call], runs: int, targets: Mapping[str, str]
) -> list[Row]:
    """Compare `auto` and float32 with every other call, in images per second."""
    rates = {name: images / seconds for name, seconds in in_turn(calls, runs).items()}
    rows = []
    for name, rate in rates.items():
        for mine in ("fp32", "auto"):
            if name not in ("auto", mine):
                ratio = rates[mine] / rate
                target = targets.get(name, "") if mine == "auto" else ""
                rows.append(
                    Row(f"{job}, {mine} / {name}", rates[mine], rate, "images/s", ratio, target)
                )
    return rows


def weight_rows() -> list[Row]:
    """Compare the weights of a round in bfloat16 with those in float32, and the predictions."""
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        root = Path(folder)
        learn = {"data": "digits", "epochs": 4, "lr": 0.05, "model": "resnet18", "size": 64}
        model = str(train.run(TrainConfig(**learn, output=root / "model")).path)
        samples = {"model": model, "split": "test", "size": 64, "limit": 200}
        weights, logits, cosines = [], [], []
        for precision in ("fp32", "bf16"):
            place = root / precision
            given = {"precision": precision, "output": place / "adv.zarr"}
            perturb.run(PerturbConfig(**samples, **given))
            given = {"precision": precision, "output": place / "cams.zarr"}
            explain.run(ExplainConfig(model=model, samples=place / "adv.zarr", **given))
            score.run(ScoreConfig(heatmaps=place / "cams.zarr"))
            with Artifact(place / "weights.zarr") as found:
                weights.append(found.read("weight"))
            with Artifact(place / "cams.zarr") as found:
                logits.append(found.read("logits_clean"))
                cosines.append(found.read("clean").astype(np.float32))
    maps = [torch.from_numpy(one).flatten(1) for one in cosines]
    shown = maps[0].norm(dim=1) > 0
    cosine = torch.cosine_similarity(maps[0][shown], maps[1][shown]).mean().item()
    same = 100 * float((logits[0].argmax(1) == logits[1].argmax(1)).mean())
    rank = float(spearmanr(*weights).statistic)
    change = float(np.abs(weights[1] - weights[0]).mean())
    job = "ResNet-18, 200 digits of 64, perturb, explain and score in bf16"
    return [
        Row(f"{job}: mean cosine of clean heatmaps with fp32", cosine, None, "", None, ">= 0.995"),
        Row(f"{job}: same predictions", same, None, "%", None, ">= 99.5"),
        Row(f"{job}: rank correlation of the weights", rank, None, "", None, ""),
        Row(f"{job}: mean change of a weight; the mean weight is 1", change, None, "", None, ""),
    ]


def speed_rows() -> list[Row]:
    """Measure the speed of bfloat16 over float32, by which `auto` decides."""
    keep_freed_memory()
    rows = []
    for name, (architecture, side, count) in NETWORKS.items():
        model = our_network(architecture, side)
        pixels = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        purposes: tuple[Purpose, ...] = ("heatmaps", "attack")
        heatmap, gradient = (
            compare(OPTIONS, model, pixels, None, purpose).speed for purpose in purposes
        )
        rows.append(Row(f"{name}, heatmaps, bf16 / fp32", heatmap, None, "times", None, ""))
        rows.append(Row(f"{name}, input gradient, bf16 / fp32", gradient, None, "times", None, ""))
    return rows


def our_network(architecture: str, side: int):
    from ectool.models.folding import fold_batch_norm
    from ectool.models.registry import create

    names = [str(number) for number in range(10)]
    model = create(architecture, names, seed=0, input_size=(side, side))
    model.eval().requires_grad_(False)
    fold_batch_norm(model, torch.zeros(1, 3, side, side), keep=[model.target_module])
    return model


if __name__ == "__main__":
    main()
