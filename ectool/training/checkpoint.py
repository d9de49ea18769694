"""Optimizer state as safetensors, so that training resumes exactly and without pickle."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from ectool.artifacts.jobs.sealed import write_checked
from ectool.errors import InputError


def save_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> str:
    """Write the state of an optimizer as safetensors; equal states give equal bytes.

    Tensor `I.NAME` is the state `NAME` of parameter I, in the order of the optimizer.

    Returns:
        The checksum of the file; see `write_checked`.
    """
    state = optimizer.state_dict()["state"]
    tensors = {
        f"{number}.{name}": torch.as_tensor(value).detach().cpu().contiguous()
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }
    return write_checked(path, save(tensors))


def load_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Load a state of `save_optimizer` into an optimizer of the same parameters.

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
            got=f"the state of {len(state)} parameters",
            fix="resume with the architecture and the optimizer of the first training",
        )
    for number, values in state.items():
        for name, value in values.items():
            if value.shape == parameters[number].shape:
                # In the memory format of the parameter; otherwise the next step rounds differently.
                values[name] = torch.empty_like(parameters[number]).copy_(value)
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
