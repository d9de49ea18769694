"""One network in three forms: prepared by the stages, unchanged for the peers, and bare."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models import get_model

from benchmarks.table import Row, paired
from ectool.attacks.ball import LinfBall
from ectool.attacks.losses import LOSSES
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.perturbation import run_model
from ectool.attacks.pgd import Settings, pgd
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.folding import fold_batch_norm
from ectool.models.memory import keep_freed_memory
from ectool.models.modes import frozen
from ectool.models.registry import create

CLASSES = 10
STEPS, EPS = 10, 8 / 255
ALPHA = 2.5 * EPS / STEPS
"""Steps, radius and step size of the attack that is timed."""


@dataclass(frozen=True)
class Networks:
    """Three networks with the same weights, and a batch for each.

    Attributes:
        ours: Frozen, folded and channels last, as `loaded_model` yields it.
        plain: Contiguous, on normalised input, as in the examples of the peers.
        bare: The same, frozen and channels last: the minimum cost of a forward pass.
        pixels: A batch for ours, in [0, 1], channels last.
        images: The same batch normalised and contiguous, for the peers.
        labels: The predicted class of each.
    """

    ours: Classifier
    plain: nn.Module
    bare: nn.Module
    pixels: torch.Tensor
    images: torch.Tensor
    labels: torch.Tensor

    def forward(self) -> None:
        """Run the bare network once over the batch."""
        with torch.no_grad():
            self.bare(self.images_last)

    @property
    def images_last(self) -> torch.Tensor:
        """Return the normalised batch, channels last."""
        return self.images.contiguous(memory_format=torch.channels_last)


def prepare(architecture: str, side: int, count: int, device: str) -> Networks:
    """Make a network with random weights, and noise images."""
    names = [str(number) for number in range(CLASSES)]
    ours = create(architecture, names, seed=0, input_size=(side, side))
    state = ours.network.state_dict()
    plain, bare = (
        get_model(architecture, num_classes=CLASSES, **_size(architecture, side)) for _ in "pb"
    )
    for network in (plain, bare):
        network.load_state_dict(state)
        network.eval().to(device)
    bare.requires_grad_(False).to(memory_format=torch.channels_last)
    ours.to(device).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    pixels = to_pixels(noise.to(device))
    with frozen(ours):
        fold_batch_norm(ours, pixels[:1], keep=[ours.target_module])
    images = ((pixels - ours.mean) / ours.std).contiguous()
    with torch.no_grad():  # maps of the predicted classes: those of others are mostly zero
        labels = ours(pixels).argmax(1)
    return Networks(ours, plain, bare, pixels, images, labels)


def compare(
    job: str,
    networks: Networks,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    runs: int,
    target: str,
    *,
    default_memory: bool = True,
) -> Row:
    """Compare the speed of two computations on the batch, in images per second.

    Ours runs with the memory settings of our stages. The reference runs with Python's default
    settings if `default_memory`, otherwise with ours, as a bare pass does.
    """

    if default_memory:
        ours, theirs = with_own_memory(ours, theirs)
    else:
        keep_freed_memory()
    mine, reference = paired(finished(ours, networks), finished(theirs, networks), runs)
    rates = len(networks.images) / mine, len(networks.images) / reference
    return Row(job, *rates, "images/s", rates[0] / rates[1], target)


def with_own_memory(
    ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return both calls: ours keeps freed memory, as our stages do; the peer's does not."""

    def mine() -> None:
        keep_freed_memory()
        ours()

    def reference() -> None:
        restore_allocator()
        theirs()

    return mine, reference


def restore_allocator() -> None:
    """Set the thresholds that glibc reaches by default when a process frees large blocks."""
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 2**25)
        mallopt(-1, 2**26)


def finished(call: Callable[[], object], networks: Networks) -> Callable[[], None]:
    """Return a call that ends when the device has done its work."""

    def wait() -> None:
        call()
        if networks.images.is_cuda:
            torch.cuda.synchronize()

    return wait


def _size(architecture: str, side: int) -> dict[str, int]:
    return {"image_size": side} if architecture.startswith("vit") else {}


def attacked(networks: Networks, model: Classifier) -> Callable[[], object]:
    """Return a call that attacks the batch and predicts the rounded result in float32."""
    weight = torch.ones_like(networks.pixels[:, 0], dtype=torch.bool)
    settings = Settings(steps=STEPS, alpha=ALPHA)

    def call() -> object:
        ball = LinfBall.around(networks.pixels, weight, EPS)
        objective = LabelLoss(model, LOSSES["ce"], networks.labels)
        moved = pgd(ball, objective, networks.pixels, settings)
        return run_model(networks.ours, ball.round(moved))

    return call
