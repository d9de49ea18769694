"""`torch.compile` for the parts of a network that no hook looks into."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ectool.config.heatmaps import Compilation
from ectool.errors import UsageError
from ectool.models.classifier import Classifier

MODES: dict[Compilation, str] = {"default": "default", "cuda-graphs": "reduce-overhead"}
"""Modes of `torch.compile`; the second replays the kernels of a part as one CUDA graph."""
VARIANTS = 64
"""Maximum number of compiled forms of a part: with and without gradients, of several batch sizes.

Beyond it torch runs the part uncompiled.
"""


def compile_parts(model: Classifier, how: Compilation) -> int:
    """Compile the largest parts of a network that do not contain a target layer, in place.

    Explainers attach hooks to target layers, and a compiled part would not see a hook that came
    later. So target layers run as they are, and what is before, inside and after them is compiled.
    Fused operations round differently: heatmaps and gradients change in their last digits.

    Args:
        model: A classifier that computes as it is from here on; parts that are compiled stay so.
        how: `none`, the default mode, or CUDA graphs.

    Returns:
        The number of parts.

    Raises:
        UsageError: There is no compiler, or no CUDA for its graphs.

    Cost: each part is compiled when it runs first, and again for each other batch size: minutes for
    a large network.
    """
    if how == "none":
        return 0
    device = model.mean.device
    _check(how, device)
    has_layers = model.spec.target_layer is not None
    kept = [view.target_module for view in model.each_layer()] if has_layers else []
    parts = [part for part in _parts(model.network, kept) if part._compiled_call_impl is None]
    for part in parts:
        part.compile(mode=MODES[how], dynamic=False)
    return len(parts)


def _parts(module: nn.Module, kept: Collection[nn.Module]) -> Iterator[nn.Module]:
    """Yield the largest modules below a module that do not contain a kept one, without leaves."""
    for child in module.children():
        inside = set(child.modules())
        is_list = type(child).forward is nn.Module.forward  # its items are called one by one
        if is_list or inside & set(kept):
            yield from _parts(child, kept)
        elif len(inside) > 1:
            yield child


def _check(how: Compilation, device: torch.device) -> None:
    """Check that a small function can be compiled for the device."""
    if how == "cuda-graphs" and device.type != "cuda":
        raise UsageError(
            f"--compile {how}",
            expected="a CUDA device",
            got=device.type,
            fix="use --compile default",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about torch, when the compiler is imported
            dynamo: Any = importlib.import_module("torch._dynamo.config")
            dynamo.recompile_limit = max(VARIANTS, dynamo.recompile_limit)
            torch.compile(_probe, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:
        raise UsageError(
            f"--compile {how}",
            expected="a compiler: g++, and Triton on GPUs",
            got=str(error).strip().partition("\n")[0] or type(error).__name__,
            fix="install it, or leave --compile out",
        ) from error


def _probe(values: Tensor) -> Tensor:
    return values.sin() + values
