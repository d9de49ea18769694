"""Find the target layer, whose activations class-activation maps are computed from."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from jaxtyping import Float
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.description import Layout
from ectool.models.layers.probe import Probe, format_size, run_probe
from ectool.models.layers.token_order import tokens_follow_image
from ectool.models.names import program_file

# Modules that only pool, permute, pass on or normalise the output of another module.
_NO_FEATURE_MAP = ("pool", "permute", "identity", "dropout", "softmax")
_MIN_REACH = 0.5
# Numbers of tokens before the grid: a class token, a distillation token, registers.
_PREFIX_TOKENS: dict[Layout, range] = {"tokens": range(1), "cls_tokens": range(1, 6)}
_SUGGESTED = 3


class NoFeatureMapError(InputError):
    """A network has no layer that can be a target layer."""


@dataclass(frozen=True)
class TargetLayer:
    """The layer that heatmaps are computed from.

    Attributes:
        name: Name of the module inside the network, as in ``named_modules``.
        layout: Order of the axes of its output: ``nchw``, ``nhwc``, ``tokens`` (N, h*w, C) or
            ``cls_tokens`` (the same after a class token and up to four other tokens).
    """

    name: str
    layout: Layout

    def to_nchw(
        self, activations: Float[Tensor, "n ..."], image_size: tuple[int, int]
    ) -> Float[Tensor, "n c h w"]:
        """Arrange the output of the layer, or its gradient, as a grid; a view, not a copy.

        Args:
            activations: Output of the layer, in its layout.
            image_size: (height, width) of the network's input, for the shape of a token grid.

        Returns:
            The same values as (N, C, h, w), without the tokens before the grid.

        Raises:
            InputError: The number of tokens fits no grid with the proportions of the image.
        """
        if self.layout == "nchw":
            return activations
        if self.layout == "nhwc":
            return activations.permute(0, 3, 1, 2)
        grid = grid_of_tokens(activations.shape[1], self.layout, image_size)
        if grid is None:
            raise InputError(
                f"target layer {self.name}",
                expected=f"tokens on a grid with the proportions of {format_size(image_size)}",
                got=f"{activations.shape[1]} tokens",
                fix="choose another layer or input size",
            )
        tokens = activations[:, -math.prod(grid) :]
        return tokens.reshape(len(tokens), *grid, -1).permute(0, 3, 1, 2)


def token_grid(tokens: int, image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the (h, w) with h * w = tokens and the proportions of the image, or None."""
    height, width = image_size
    rows = math.isqrt(tokens * height // width)
    if rows > 0 and tokens % rows == 0 and rows * width == tokens // rows * height:
        return rows, tokens // rows
    return None


def grid_layout(shape: tuple[int, ...], image_size: tuple[int, int]) -> Layout | None:
    """Return the layout of an output by its shape, if it is a grid of several positions.

    A 4-D output gets the layout that is closer to the proportions of the image; ``nchw`` if both
    are equally close. Strides round, so each side may differ by one.

    Args:
        shape: Shape of the output, batch first.
        image_size: (height, width) of the network's input.

    Returns:
        The layout, or None without a grid.
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
    """Choose the last feature map of a network as its target layer.

    It is the last module whose output is a grid, which is not a pooling, passing or projecting
    layer, and most of whose positions influence the logits. After the last attention of a vision
    transformer only the class token does, so a layer before it is chosen. Weights that are all
    zero, such as heads at initialisation, count as random ones.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.

    Returns:
        Name and layout of the layer.

    Raises:
        InputError: The network does not accept such images.
        NoFeatureMapError: It has no such layer, like a multi-layer perceptron.

    Cost: one forward pass of one image, and the backward pass of the head for each layer tried.
    """
    target = next(_usable(network, run_probe(network, image_size)), None)
    if target is not None:
        return target
    raise NoFeatureMapError(
        "target layer",
        expected=f"a network with a feature map at input size {format_size(image_size)}",
        got="no layer with a spatial grid that influences the logits",
        fix="use a larger input size or give a layer (--layer)",
    )


def named_target_layer(network: nn.Module, image_size: tuple[int, int], name: str) -> TargetLayer:
    """Check a given layer, and find its layout.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C); left as found.
        image_size: (height, width) of its input in pixels.
        name: Name of a module of the network.

    Returns:
        Name and layout of the layer.

    Raises:
        InputError: There is no such module, it does not run exactly once in a forward pass, its
            output is no spatial grid, or no position of it influences the logits. The message
            suggests other layers; the first is that of :func:`find_target_layer`.

    Cost: one forward pass of one image, and the backward pass down to the layer.
    """
    check_module_name(network, name)
    probe = run_probe(network, image_size)
    outputs = [output for finished, output in probe.outputs if finished == name]
    refused = partial(_unusable, network, probe, name)
    if len(outputs) != 1:
        raise refused("a layer with one output per forward pass", f"{len(outputs)} outputs")
    layout = _layout(probe, outputs[0])
    if layout is None:
        raise refused("an output with a spatial grid", f"shape {format_size(outputs[0].shape)}")
    target = TargetLayer(name, layout)
    if _reach(probe, target, outputs[0]) == 0:
        raise refused("positions that influence the logits", "no gradient at any position")
    return target


def no_target_layer(architecture: str) -> InputError:
    """Return the error for heatmaps of a network without a target layer."""
    program = (
        "a program, which does not show its layers",
        "make the network from its code (import:package.module:factory) and load its weights",
    )
    flat = (
        "none, as in a multi-layer perceptron",
        "avoid heatmaps (--suite, --mask full), or use a convolutional network",
    )
    got, fix = flat if program_file(architecture) is None else program
    return InputError(
        f"heatmaps of {architecture}",
        expected="a network with a layer whose output is a spatial grid",
        got=got,
        fix=fix,
    )


def check_module_name(network: nn.Module, name: str) -> None:
    """Raise an :class:`InputError` with similar names unless the network has this module."""
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


def _usable(network: nn.Module, probe: Probe) -> Iterator[TargetLayer]:
    """Yield the possible target layers, the last one first."""
    modules = dict(network.named_modules())
    calls = Counter(name for name, _ in probe.outputs)
    for name, output in reversed(probe.outputs):
        layout = _layout(probe, output)
        if layout is None or calls[name] > 1 or not _makes_features(modules[name]):
            continue
        target = TargetLayer(name, layout)
        if _reach(probe, target, output) >= _MIN_REACH:
            yield target


def _unusable(network: nn.Module, probe: Probe, name: str, expected: str, got: str) -> InputError:
    better = [target.name for target in islice(_usable(network, probe), _SUGGESTED)]
    return InputError(
        f"target layer {name}",
        expected=expected,
        got=got,
        fix=f"use {' or '.join(better)}" if better else "use a larger input size",
    )


def _makes_features(module: nn.Module) -> bool:
    # A linear map of tokens is a projection inside a block, for example to queries and keys.
    kind = type(module).__name__.lower()
    return not isinstance(module, nn.Linear) and not any(k in kind for k in _NO_FEATURE_MAP)


def _layout(probe: Probe, output: Tensor) -> Layout | None:
    # Windows of one image along the batch axis are not a grid of that image.
    if output.shape[:1] != (1,):
        return None
    layout = grid_layout(tuple(output.shape), probe.image_size)
    if layout in _PREFIX_TOKENS:
        grid = grid_of_tokens(output.shape[1], layout, probe.image_size)
        if grid is None or not _follows(probe, output.shape[1], grid):
            return None
    return layout


def _follows(probe: Probe, count: int, grid: tuple[int, int]) -> bool:
    # All layers of a transformer have the same tokens.
    if (count, grid) not in probe.verified:
        probe.verified[count, grid] = tokens_follow_image(probe, count, grid)
    return probe.verified[count, grid]


def _reach(probe: Probe, target: TargetLayer, output: Tensor) -> float:
    """Return the share of positions whose activations influence the logits."""
    gradient = probe.gradient(output)
    if gradient is None:
        return 0.0
    gradients = target.to_nchw(gradient, probe.image_size).abs().amax(1) > 0
    return gradients.float().mean().item()


def _token_layout(tokens: int, image_size: tuple[int, int]) -> Layout | None:
    for layout in _PREFIX_TOKENS:
        grid = grid_of_tokens(tokens, layout, image_size)
        if grid is not None and grid != (1, 1):
            return layout
    return None


def grid_of_tokens(
    tokens: int, layout: Layout, image_size: tuple[int, int]
) -> tuple[int, int] | None:
    """Return the grid after the fewest tokens that this layout allows before it."""
    counts = (tokens - prefix for prefix in _PREFIX_TOKENS[layout] if prefix < tokens)
    return next((grid for count in counts if (grid := token_grid(count, image_size))), None)


def _misfit(grid: tuple[int, ...], image_size: tuple[int, int]) -> float:
    (rows, columns), (height, width) = grid, image_size
    if rows * columns <= 1 or rows > height or columns > width:
        return math.inf
    return abs(rows * width - columns * height)
