"""Probe a network with one random image, and record the outputs of its modules."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from ectool.errors import InputError
from ectool.models.modes import forward_hooks, frozen, graph_free

_SEED = 0


class HeadError(InputError):
    """A network returns another number of logits than there are classes.

    Attributes:
        found: The number of logits.
    """

    found = 0


@dataclass(frozen=True)
class Probe:
    """One recorded forward pass.

    Attributes:
        outputs: Name and output of each call of a module, in the order in which the calls ended.
        score: Sum of the logits with random weights; it has a graph.
        image_size: (height, width) of the image in pixels.
        image: The image, as part of the graph.
        tokens: All inputs and outputs of modules that have three axes, in order.
        verified: Cache: whether tokens of a count and a grid follow the image.
    """

    outputs: list[tuple[str, Tensor]]
    score: Float[Tensor, ""]
    image_size: tuple[int, int]
    image: Float[Tensor, "1 3 h w"]
    tokens: list[Float[Tensor, "1 t c"]]
    verified: dict[tuple[int, tuple[int, int]], bool] = field(default_factory=dict)

    def gradient(self, output: Float[Tensor, "1 ..."]) -> Float[Tensor, "1 ..."] | None:
        """Return the gradient of the score with respect to an output; None without a graph.

        Cost: the backward pass down to that output.
        """
        if not (output.requires_grad and self.score.requires_grad):
            return None
        (gradient,) = torch.autograd.grad(
            self.score, output, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return gradient


def run_probe(network: nn.Module, image_size: tuple[int, int]) -> Probe:
    """Run a network on a random image, and record the output of every module.

    The purpose is to find the structure of the network. So weights that are all zero, such as heads
    at initialisation, are replaced with random ones during the pass.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.

    Returns:
        The recorded pass.

    Raises:
        InputError: The network does not accept such images, or its output is not logits.

    Cost: one forward pass of one image.
    """
    names = {module: name for name, module in network.named_modules() if name}
    outputs: list[tuple[str, Tensor]] = []
    tokens: list[Tensor] = []

    def keep(_module: nn.Module, values: tuple[object, ...]) -> None:
        tokens.extend(v for v in values if isinstance(v, Tensor) and v.ndim == 3)

    def record(module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            outputs.append((names[module], output))
            keep(module, (output,))

    generator = torch.Generator().manual_seed(_SEED)
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        weights = _random_for_zeros(network, generator)
        image = random_images(network, 1, image_size, generator).requires_grad_()
        with forward_hooks(names, record), ExitStack() as stack:
            for module in names:
                stack.callback(module.register_forward_pre_hook(keep).remove)
            logits = network_logits(network, image, weights)
        score = (logits * _noise(logits, generator)).sum()
    return Probe(outputs, score, image_size, image, tokens)


def check_head(network: nn.Module, image_size: tuple[int, int], classes: int, model: str) -> None:
    """Check that a network of another program returns one logit per class.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.
        classes: Number of classes.
        model: Name of the network in the error.

    Raises:
        HeadError: It returns another number of logits.
        InputError: It does not accept such images, or its output is not logits.

    Cost: one forward pass of one image.
    """
    _materialise(network, image_size)
    with graph_free(), frozen(network):
        generator = torch.Generator().manual_seed(_SEED)
        logits = network_logits(network, random_images(network, 1, image_size, generator))
    if logits.shape[1] != classes:
        error = HeadError(
            f"model {model}",
            expected=f"a head for {classes} classes",
            got=f"one for {logits.shape[1]} classes",
            fix=f"make it for {classes} classes, or use data of {logits.shape[1]} classes",
        )
        error.found = logits.shape[1]
        raise error


def random_images(
    network: nn.Module, count: int, image_size: tuple[int, int], generator: torch.Generator
) -> Float[Tensor, "n 3 h w"]:
    """Return random images with the device and type of a network's weights."""
    weights = (p for p in network.parameters() if not is_lazy(p) and p.is_floating_point())
    like = next(weights, torch.empty(0)).detach()
    return torch.randn(count, 3, *image_size, generator=generator).to(like)


def network_logits(
    network: nn.Module,
    images: Float[Tensor, "n 3 h w"],
    weights: dict[str, Tensor] | None = None,
) -> Float[Tensor, "n c"]:
    """Return a network's logits.

    Args:
        network: Maps normalised images to logits.
        images: Its input.
        weights: Weights that replace those of the network, by name.

    Returns:
        Logits, one column per class.

    Raises:
        InputError: The network does not accept such images, or its output is not logits.
    """
    try:
        logits = functional_call(network, weights, (images,)) if weights else network(images)
    except Exception as error:  # code of other programs may raise anything
        _check_channels(network, images, first_line(error))
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
    """Return the first line of an error's message, or its type if it has no message."""
    return str(error).partition("\n")[0] or type(error).__name__


def _check_channels(network: nn.Module, images: Tensor, message: str) -> None:
    """Raise a precise error for a network of images with other channels, such as grey ones.

    Raises:
        InputError: The first layer of the network has another number of input channels or values.
    """
    layers = (m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    first = next(layers, None)
    channels, values = images.shape[1], images[0].numel()
    if "channels" in message and isinstance(first, nn.Conv2d) and first.in_channels != channels:
        raise InputError(
            "network input",
            expected=f"a network for RGB images of {channels} channels",
            got=f"one whose first convolution takes {first.in_channels}",
            fix="wrap the network so that it converts RGB to its own channels, such as grey",
        )
    if "mat1" in message and isinstance(first, nn.Linear) and first.in_features != values:
        size = format_size(images.shape[2:])
        raise InputError(
            "network input",
            expected=f"a network for RGB images of {size}, which are {values} values",
            got=f"one whose first linear layer takes {first.in_features}",
            fix="use images of the size it was made for, and flatten RGB in its forward pass",
        )


def _materialise(network: nn.Module, image_size: tuple[int, int]) -> None:
    """Initialise the weights of lazy layers, which happens in their first pass."""
    if not any(map(is_lazy, network.parameters())):
        return
    modes = [(module, module.training) for module in network.modules()]
    images = random_images(network, 1, image_size, torch.Generator().manual_seed(_SEED))
    with torch.no_grad():
        network_logits(network.eval(), images)
    for module, mode in modes:
        module.training = mode


def _random_for_zeros(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    parameters = network.named_parameters()
    return {
        name: _noise(p, generator)
        for name, p in parameters
        if p.is_floating_point() and not p.any()
    }


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)
