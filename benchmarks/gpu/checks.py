"""Compare every explainer, attack and training step of the device with the CPU.

Convolutions run without TF32 here, so that differences are those of the order of additions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu.subjects import CLASSES, CPU, SIDE, Pair, network, paired_networks, smooth_noise
from ectool.artifacts.schema import Arrays
from ectool.attacks import ATTACKS
from ectool.config import PerturbConfig, TrainConfig
from ectool.config.evaluation_attacks import EVALUATION_ATTACKS
from ectool.config.groups import AutomaticSize
from ectool.config.heatmaps import Precision
from ectool.config.objectives import REPLACING
from ectool.config.perturb import ATTACK_OPTIONS
from ectool.explainers import EXPLAINERS
from ectool.metrics.classification import is_correct
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.modes import use_deterministic_algorithms
from ectool.models.transfer import pinned, to_device
from ectool.stages.common.loop.computing import Pace, computed, fetched
from ectool.stages.evaluate.suites.robustness.attack import AttackWork, GradientAttack
from ectool.stages.evaluate.suites.robustness.autoattack import AutoAttack
from ectool.stages.evaluate.suites.robustness.conditions import Condition
from ectool.stages.perturb.work import PerturbWork
from ectool.stages.train.objective import seeded
from ectool.training.batch import Position, TrainingBatch, step_generator
from ectool.training.loop import make_optimizer, train_epoch
from ectool.training.objectives import OBJECTIVES, Setup
from ectool.types import SILENT

ATTENTION = ("attention-rollout", "transformer-relevance")
EPS, LARGE_EPS = 8 / 255, 64 / 255
FEW_IMAGES = 2
FEW_PASSES = 16
MIN_COSINE = 0.999
"""Of the heatmaps of an image."""
MAX_LOGITS = 1e-3
"""Difference of logits over their largest magnitude."""
MIN_PIXELS = {True: 0.9, False: 0.999}
"""Share of equal pixels, with and without steps along the sign of a gradient near zero."""
MAX_LOSS = {"fp32": 0.01, "bf16": 0.05}
"""Relative difference of the loss of an epoch from that of the CPU in float32."""
MIN_UPDATE = 0.99
"""Cosine of the change of all weights in an epoch, in float32."""
SHAPE = (3, SIDE, SIDE)
MIN_SAME = 0.85
"""Share of images with the same outcome of an attack: all of 8 but one."""


@dataclass(frozen=True)
class Check:
    """One comparison with the CPU; `found` has to be at least, or at most, `bound`."""

    name: str
    what: str
    found: float
    bound: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        return self.found >= self.bound if self.at_least else self.found <= self.bound


def all_checks(device: torch.device) -> Iterator[Check]:
    """Yield every check; those of one network after those of the other."""
    with without_tf32():
        yield from transfer_checks(device)
        with (
            paired_networks("smallresnet", device) as pair,
            paired_networks("smallvit", device) as transformers,
        ):
            for name in EXPLAINERS:
                chosen = transformers if name in ATTENTION else pair
                yield from explainer_checks(name, chosen)
            for name in ATTACKS:
                yield from attack_checks(name, pair)
            for name in EVALUATION_ATTACKS:
                yield from evaluation_checks(name, pair)
            yield from memory_checks(device)
            yield from repeated_checks(pair)
        for name in OBJECTIVES:
            yield from training_checks(name, device, "fp32")
        for name in ("erm", "ec"):
            yield from training_checks(name, device, "bf16")


@contextmanager
def without_tf32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def transfer_checks(device: torch.device) -> Iterator[Check]:
    """Copy many batches to the device, releasing each at once, and look at them afterwards."""
    parts = [np.full((16, 3, SIDE, SIDE), number, np.uint8) for number in range(64)]
    there = [to_device(pinned(part, device), device) for part in parts]
    wrong = sum(int((values != number).sum()) for number, values in enumerate(there))
    yield Check("transfer", "wrong pixels in 64 pinned batches", wrong, 0, at_least=False)


def explainer_checks(name: str, pair: Pair) -> Iterator[Check]:
    method = EXPLAINERS[name]
    given = {"passes": FEW_PASSES} if "passes" in method.options else {}
    images = pair.dataset.images(np.arange(len(pair.labels)))
    made = [
        method.make(model, **given)(to_pixels(images, model.mean.device), pair.labels)
        for model in pair.both
    ]
    logits = [one.logits.float().cpu() for one in made]
    maps = [one.heatmaps.float().cpu().flatten(1) for one in made]
    error = float((logits[0] - logits[1]).abs().max() / logits[0].abs().max())
    yield Check(name, "difference of logits", error, MAX_LOGITS, at_least=False)
    yield Check(name, "cosine of the heatmaps", cosine(*maps), MIN_COSINE)


def cosine(first: Tensor, second: Tensor) -> float:
    """Return the least cosine of the rows; 1 for two zeros."""
    both_zero = ~(first.any(1) | second.any(1))
    return float(F.cosine_similarity(first, second).masked_fill(both_zero, 1).min())


def attack_checks(name: str, pair: Pair) -> Iterator[Check]:
    first, second = (perturbed(name, model, pair) for model in pair.both)
    same = float((first["image"] == second["image"]).mean())
    near = np.abs(first["image"].astype(int) - second["image"].astype(int)) <= 1
    background = float((first["background"] == second["background"]).mean())
    losses = [loss_of(arrays["logits_adversarial"], pair) for arrays in (first, second)]
    steps = ATTACKS[name].maximizes is not None
    job = f"attack {name}"
    found = same if steps else float(near.mean())
    yield Check(job, "share of equal pixels", found, MIN_PIXELS[steps])
    yield Check(job, "share of equal background", background, MIN_PIXELS[False])
    change = abs(losses[1] / losses[0] - 1)
    yield Check(job, "difference of the loss", change, MAX_LOSS["fp32"], at_least=False)


def perturbed(name: str, model: Classifier, pair: Pair, **given: Any) -> Arrays:
    """Return what `perturb` stores."""
    if "steps" in ATTACK_OPTIONS[name]:
        given = {"steps": 3, **given}
    config = PerturbConfig(model="", output="none.zarr", attack=name, **given)
    dataset = pair.dataset
    work = PerturbWork(config, model, dataset, None)
    return fetched(work.compute(work.load(np.arange(len(dataset.sample_ids)))))


def loss_of(logits: np.ndarray, pair: Pair) -> float:
    return float(F.cross_entropy(torch.from_numpy(logits).double(), pair.labels))


def evaluation_checks(name: str, pair: Pair) -> Iterator[Check]:
    """Compare which images resist an attack of `evaluate`."""
    if EVALUATION_ATTACKS[name].package is not None and find_spec("torchattacks") is None:
        return
    # An image that resists costs AutoAttack thousands of passes: few images, and a large radius.
    is_costly = EVALUATION_ATTACKS[name].package is not None
    condition = Condition(name, "linf", LARGE_EPS if is_costly else EPS, 10)
    rows = np.arange(FEW_IMAGES if is_costly else len(pair.labels))
    outcomes = []
    for model in pair.both:
        with torch.no_grad():
            clean = model(to_pixels(pair.dataset.images(rows), model.mean.device)).cpu().numpy()
        attack: Any = GradientAttack(model, condition, restarts=1, seed=0)
        if is_costly:
            attack = AutoAttack(model, condition, 0)
        work = AttackWork(model, pair.dataset, condition, clean, attack)
        logits = fetched(work.compute(work.load(rows)))[f"{condition.name}/logits"]
        outcomes.append(is_correct(logits, np.asarray(pair.dataset.labels)[rows]))
    same = float((outcomes[0] == outcomes[1]).mean())
    yield Check(f"evaluate {name}", "share of equal outcomes", same, MIN_SAME)


class Hungry:
    """Asks for a third of the memory of the device for every two rows."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        is_gpu = device.type == "cuda"
        self.whole = torch.cuda.mem_get_info(device)[1] if is_gpu else 2**60
        self.discarded = 0

    def load(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def compute(self, rows: np.ndarray) -> tuple[Arrays, ...]:
        is_small = self.device.type != "cuda" and len(rows) <= 4
        size = 1 if is_small else len(rows) * self.whole // 6
        torch.empty(size, dtype=torch.uint8, device=self.device)
        return ({"row": rows},)

    def findings(self, _arrays: tuple[Arrays, ...]) -> tuple[dict[str, int], ...]:
        return ({},)

    def discard(self) -> None:
        self.discarded += 1


def memory_checks(device: torch.device) -> Iterator[Check]:
    """Halve a batch that needs more memory than there is."""
    work, pace = Hungry(device), Pace(AutomaticSize(32))
    shards = list(computed(work, [(0, 0, 32)], pace, lambda _: None, SILENT))
    rows = shards[0][1][0]["row"].tolist()
    lost = len(set(range(32)) - set(rows))
    yield Check("--batch-size auto", "rows lost", lost, 0, at_least=False)
    yield Check("--batch-size auto", "batches halved", work.discarded, 1)


def repeated_checks(pair: Pair) -> Iterator[Check]:
    """Attack twice with deterministic algorithms: the same bytes."""
    use_deterministic_algorithms()
    try:
        first, second = (perturbed("pgd", pair.there, pair) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    different = sum(int((first[name] != second[name]).sum()) for name in first)
    yield Check("--deterministic", "values that differ", different, 0, at_least=False)


def training_checks(name: str, device: torch.device, precision: Precision) -> Iterator[Check]:
    """Train four steps on both devices; on the CPU always in float32."""
    (loss, update), (other, moved) = (
        trained(name, *where) for where in ((CPU, "fp32"), (device, precision))
    )
    job = f"train {name}, {precision}"
    change = abs(other / loss - 1) if loss else abs(other)
    yield Check(job, "difference of the loss", change, MAX_LOSS[precision], at_least=False)
    if precision == "fp32":
        alike = cosine(update[None], moved[None])
        yield Check(job, "cosine of the update", alike, MIN_UPDATE)


def trained(name: str, device: torch.device, precision: Precision) -> tuple[float, Tensor]:
    """Return the loss of four steps, and the change of all weights."""
    labels = torch.arange(32) % CLASSES
    settings = {**TrainConfig(output="m", objective=name).settings(), "mix": REPLACING.get(name, 0)}
    model = network("smallresnet").to(device)
    before = weights_of(model)
    setup = Setup(settings, model, labels.to(device), (torch.arange(32) % 2).to(device), SHAPE)
    with seeded(0, 0, device):
        objective = OBJECTIVES[name](setup).to(device)
    optimizer = make_optimizer(nn.ModuleList([model, objective]), "sgd", lr=0.02, weight_decay=5e-4)
    objective.begin(model, optimizer, lambda: batches(labels, device), position(0))
    result = train_epoch(
        model, optimizer, batches(labels, device), lambda _: 0.02, objective, position, precision
    )
    return result.loss, weights_of(model) - before


def batches(labels: Tensor, device: torch.device) -> list[TrainingBatch]:
    pixels = to_pixels(smooth_noise(len(labels)), device)
    rows = torch.arange(len(labels), device=device)
    ones = torch.ones(len(labels), device=device)
    columns = (pixels, labels.to(device), ones, rows)
    return [TrainingBatch(*part) for part in zip(*(c.split(8) for c in columns), strict=True)]


def position(step: int) -> Position:
    return Position(0, step, 0.5, step_generator(0, 0, step))


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().cpu() for p in model.parameters()])
