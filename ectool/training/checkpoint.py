"""Optimizer state as plain tensors, so that a schedule resumes exactly and without pickle."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ectool.errors import InputError


def save_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Write an optimizer's state as safetensors; equal states give equal bytes.

    Tensor `I.NAME` is the state `NAME` of parameter number I, in the optimizer's order.
    """
    state = optimizer.state_dict()["state"]
    tensors = {
        f"{number}.{name}": torch.as_tensor(value).detach().cpu().contiguous()
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }
    save_file(tensors, path)


def load_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Read what `save_optimizer` wrote into an optimizer over the same parameters.

    Raises:
        InputError: The state belongs to other parameters.
    """
    tensors = load_file(path)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
    if state and sorted(state) != list(range(len(parameters))):
        raise InputError(
            str(path),
            expected=f"the state of {len(parameters)} parameters",
            got=f"that of {len(state)}",
            fix="resume with the architecture and optimizer it was trained with",
        )
    for number, values in state.items():
        for name, value in values.items():
            if value.shape == parameters[number].shape:
                # In the parameter's own memory format, or the next step rounds another way.
                values[name] = torch.empty_like(parameters[number]).copy_(value)
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
