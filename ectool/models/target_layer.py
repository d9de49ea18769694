"""Find the layer whose activations a class-activation map is drawn from."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from ectool.errors import InputError
from ectool.models.modes import forward_hooks, frozen

Layout = Literal["nchw", "nhwc", "tokens", "cls_tokens"]

# Modules that only shrink, move or pass on what another module computed.
_NO_FEATURE_MAP = ("pool", "permute", "identity", "dropout")
_SMALLEST_REACH = 0.5
_SEED = 0


@dataclass(frozen=True)
class TargetLayer:
    """Where heatmaps are drawn from.

    Attributes:
        name: Name of the module inside the network, as in ``named_modules``.
        layout: Order of its output's axes: ``nchw``, ``nhwc``, ``tokens`` (N, h*w, C) or
            ``cls_tokens`` (the same behind one class token).
    """

    name: str
    layout: Layout

    def to_nchw(
        self, activations: Float[Tensor, "n ..."], image_size: tuple[int, int]
    ) -> Float[Tensor, "n c h w"]:
        """Arrange the layer's output, or the gradient of it, as a grid; a view, no copy.

        Args:
            activations: Output of the layer in its own layout.
            image_size: (height, width) of the network's input, for the shape of a token grid.

        Returns:
            The same values as (N, C, h, w); a class token is left out.

        Raises:
            InputError: The number of tokens fits no grid of the image's proportions.
        """
        if self.layout == "nchw":
            return activations
        if self.layout == "nhwc":
            return activations.permute(0, 3, 1, 2)
        tokens = activations[:, 1:] if self.layout == "cls_tokens" else activations
        grid = token_grid(tokens.shape[1], image_size)
        if grid is None:
            raise InputError(
                f"target layer {self.name}",
                expected=f"tokens on a grid of the proportions of {_format(image_size)}",
                got=f"{tokens.shape[1]} tokens",
                fix="choose another layer or input size",
            )
        return tokens.reshape(len(tokens), *grid, -1).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _Probe:
    """One recorded forward pass: modules in the order in which they finished, and a scalar."""

    outputs: list[tuple[str, Tensor]]
    score: Tensor
    image_size: tuple[int, int]

    def layout(self, output: Tensor) -> Layout | None:
        return grid_layout(tuple(output.shape), self.image_size)

    def reach(self, target: TargetLayer, output: Tensor) -> float:
        """Return the share of positions whose activations move the logits."""
        if not output.requires_grad:
            return 0.0
        (gradient,) = torch.autograd.grad(
            self.score, output, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        moved = target.to_nchw(gradient, self.image_size).abs().amax(1) > 0
        return moved.float().mean().item()


def token_grid(tokens: int, image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the (h, w) with h * w = tokens and the proportions of the image, or None."""
    height, width = image_size
    rows = math.isqrt(tokens * height // width)
    if rows > 0 and tokens % rows == 0 and rows * width == tokens // rows * height:
        return rows, tokens // rows
    return None


def grid_layout(shape: tuple[int, ...], image_size: tuple[int, int]) -> Layout | None:
    """Tell from its shape how an output holds a spatial grid of more than one position.

    A 4-D output is read the way that comes nearer to the proportions of the image, as
    ``nchw`` where both fit alike. Strides round, so each side may be off by one.

    Args:
        shape: Shape of the output, batch first.
        image_size: (height, width) of the network's input.

    Returns:
        The layout, or None where there is no grid.
    """
    if len(shape) == 3:
        return _token_layout(shape[1], image_size)
    if len(shape) != 4:
        return None
    misfit = {
        layout: _misfit(grid, image_size)
        for layout, grid in (("nchw", shape[2:]), ("nhwc", shape[1:3]))
    }
    best: Layout = "nchw" if misfit["nchw"] <= misfit["nhwc"] else "nhwc"
    return best if misfit[best] <= sum(image_size) else None


def find_target_layer(network: nn.Module, image_size: tuple[int, int]) -> TargetLayer:
    """Choose the last feature map that a class-activation map can be drawn from.

    That is the last module to finish whose output still holds a grid, which is not a pooling or
    passing layer, and most of whose positions reach the logits: behind a vision
    transformer's last attention only the class token does, so the choice falls before it. The
    question is one of structure, so weights that are all zero (heads at their initialisation)
    count as if they were not.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.

    Returns:
        Name and layout of the layer.

    Raises:
        InputError: The network takes no such images, or holds no such layer.

    Cost: one forward pass of one image, and the backward pass of the head for each layer tried.
    """
    probe = _run(network, image_size)
    kinds = {name: type(module).__name__.lower() for name, module in network.named_modules()}
    calls = Counter(name for name, _ in probe.outputs)
    for name, output in reversed(probe.outputs):
        layout = probe.layout(output)
        if layout is None or calls[name] > 1 or any(k in kinds[name] for k in _NO_FEATURE_MAP):
            continue
        target = TargetLayer(name, layout)
        if probe.reach(target, output) >= _SMALLEST_REACH:
            return target
    raise InputError(
        "target layer",
        expected=f"a network with a feature map at input size {_format(image_size)}",
        got="no layer with a spatial grid that reaches the logits",
        fix="use a larger input size or name a layer (--layer)",
    )


def named_target_layer(network: nn.Module, image_size: tuple[int, int], name: str) -> TargetLayer:
    """Check a layer somebody chose, and tell its layout.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.
        name: Name of a module of the network.

    Returns:
        Name and layout of the layer.

    Raises:
        InputError: There is no such module, it runs not exactly once a forward pass, its output
            has no spatial grid, or no position of it reaches the logits.

    Cost: one forward pass of one image and the backward pass behind the layer.
    """
    check_module_name(network, name)
    probe = _run(network, image_size)
    outputs = [output for finished, output in probe.outputs if finished == name]
    if len(outputs) != 1:
        raise _unusable(name, "a layer with one output per forward pass", f"{len(outputs)} outputs")
    layout = probe.layout(outputs[0])
    if layout is None:
        shape = "x".join(map(str, outputs[0].shape))
        raise _unusable(name, "an output with a spatial grid", f"shape {shape}")
    target = TargetLayer(name, layout)
    if probe.reach(target, outputs[0]) == 0:
        raise _unusable(name, "positions that reach the logits", "no gradient at any position")
    return target


def check_module_name(network: nn.Module, name: str) -> None:
    """Raise an :class:`InputError` with near names unless ``network`` has a module ``name``."""
    names = [module for module, _ in network.named_modules() if module]
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[-3:]
    raise InputError(
        "target layer",
        expected="the name of a layer of the network",
        got=repr(name),
        fix=f"try {', '.join(near)}",
    )


def _run(network: nn.Module, image_size: tuple[int, int]) -> _Probe:
    names = {module: name for name, module in network.named_modules() if name}
    outputs: list[tuple[str, Tensor]] = []

    def record(module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            outputs.append((names[module], output))

    generator = torch.Generator().manual_seed(_SEED)
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        awake = _without_zeros(network, generator)
        image = _noise(torch.empty(1, 3, *image_size).to(_like(network)), generator)
        try:
            with forward_hooks(names, record):
                logits = functional_call(network, awake, (image.requires_grad_(),))
        except (RuntimeError, ValueError, AssertionError) as error:
            raise InputError(
                "input size",
                expected="images the network accepts",
                got=f"{_format(image_size)} ({str(error).splitlines()[0]})",
                fix="use the size the network was made for",
            ) from error
        score = (logits * _noise(logits, generator)).sum()
    return _Probe(outputs, score, image_size)


def _without_zeros(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    parameters = network.named_parameters()
    return {name: _noise(p, generator) for name, p in parameters if not p.any()}


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)


def _like(network: nn.Module) -> Tensor:
    return next(network.parameters()).detach()


def _token_layout(tokens: int, image_size: tuple[int, int]) -> Layout | None:
    if tokens > 1 and token_grid(tokens, image_size):
        return "tokens"
    if tokens > 2 and token_grid(tokens - 1, image_size):
        return "cls_tokens"
    return None


def _misfit(grid: tuple[int, ...], image_size: tuple[int, int]) -> float:
    (rows, columns), (height, width) = grid, image_size
    if rows * columns <= 1 or rows > height or columns > width:
        return math.inf
    return abs(rows * width - columns * height)


def _unusable(name: str, expected: str, got: str) -> InputError:
    return InputError(
        f"target layer {name}", expected=expected, got=got, fix="choose an earlier layer"
    )


def _format(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
