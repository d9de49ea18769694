"""Ask a network about one random picture, and watch what its modules put out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from ectool.errors import InputError
from ectool.models.modes import forward_hooks, frozen, graph_free

_SEED = 0


@dataclass(frozen=True)
class Probe:
    """One recorded forward pass.

    Attributes:
        outputs: Name and output of each call of a module, in the order in which they finished.
        score: The logits, summed with random weights; it has a graph.
        image_size: (height, width) of the picture in pixels.
    """

    outputs: list[tuple[str, Tensor]]
    score: Float[Tensor, ""]
    image_size: tuple[int, int]

    def gradient(self, output: Float[Tensor, "1 ..."]) -> Float[Tensor, "1 ..."] | None:
        """Return the gradient of the score with respect to an output; None where no graph leads.

        Cost: the backward pass behind that output.
        """
        if not (output.requires_grad and self.score.requires_grad):
            return None
        (gradient,) = torch.autograd.grad(
            self.score, output, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return gradient


def run_probe(network: nn.Module, image_size: tuple[int, int]) -> Probe:
    """Run a network on a random picture and record every module's output.

    What is asked is the network's structure, so weights that are all zero (heads at their
    initialisation) are replaced with random ones while it runs.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.

    Returns:
        What was recorded.

    Raises:
        InputError: The network takes no such images, or puts out something else than logits.

    Cost: one forward pass of one image.
    """
    names = {module: name for name, module in network.named_modules() if name}
    outputs: list[tuple[str, Tensor]] = []

    def record(module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            outputs.append((names[module], output))

    generator = torch.Generator().manual_seed(_SEED)
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        awake = _without_zeros(network, generator)
        image = random_images(network, 1, image_size, generator).requires_grad_()
        with forward_hooks(names, record):
            logits = ask(network, image, awake)
        score = (logits * _noise(logits, generator)).sum()
    return Probe(outputs, score, image_size)


def check_head(network: nn.Module, image_size: tuple[int, int], classes: int, model: str) -> None:
    """Check that a network that somebody else made has one logit per class.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.
        classes: How many classes there are.
        model: What to call the network in an error.

    Raises:
        InputError: It has another number of logits, takes no such images, or puts out something
            else than logits.

    Cost: one forward pass of one image.
    """
    with graph_free(), frozen(network):
        generator = torch.Generator().manual_seed(_SEED)
        logits = ask(network, random_images(network, 1, image_size, generator))
    if logits.shape[1] != classes:
        raise InputError(
            f"model {model}",
            expected=f"a head for {classes} classes",
            got=f"one for {logits.shape[1]} classes",
            fix=f"let it be made for {classes} classes, or give data of {logits.shape[1]}",
        )


def random_images(
    network: nn.Module, count: int, image_size: tuple[int, int], generator: torch.Generator
) -> Float[Tensor, "n 3 h w"]:
    """Return random pictures on the device and of the type of a network's weights."""
    like = next(network.parameters(), torch.empty(0)).detach()
    return torch.randn(count, 3, *image_size, generator=generator).to(like)


def ask(
    network: nn.Module,
    images: Float[Tensor, "n 3 h w"],
    weights: dict[str, Tensor] | None = None,
) -> Float[Tensor, "n c"]:
    """Return a network's logits.

    Args:
        network: Maps normalised images to logits.
        images: Its input.
        weights: Weights to use in place of the network's own.

    Returns:
        Logits, one column per class.

    Raises:
        InputError: The network takes no such images, or puts out something else than logits.
    """
    try:
        logits = functional_call(network, weights, (images,)) if weights else network(images)
    except Exception as error:  # somebody else's code may raise anything
        raise InputError(
            "input size",
            expected="images the network accepts",
            got=f"{format_size(images.shape[2:])} ({first_line(error)})",
            fix="use the size the network was made for",
        ) from error
    if isinstance(logits, Tensor) and logits.ndim == 2:
        return logits
    raise InputError(
        "network output",
        expected="logits of shape (n, classes)",
        got=format_size(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__,
        fix="wrap the network so that its forward pass returns the logits alone",
    )


def format_size(size: tuple[int, ...]) -> str:
    """Return a size as ``HEIGHTxWIDTH``."""
    return "x".join(map(str, size))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    return str(error).partition("\n")[0] or type(error).__name__


def _without_zeros(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    parameters = network.named_parameters()
    return {name: _noise(p, generator) for name, p in parameters if not p.any()}


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)
