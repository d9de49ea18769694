"""Weights on disk: our own safetensors files and other people's state dicts."""

from __future__ import annotations

import copy
import pickle  # for the name of the error torch raises only; nothing is unpickled here
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ectool.errors import InputError
from ectool.models.classifier import Classifier

StateDict = dict[str, Tensor]

_TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin")
_CONTAINERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "_orig_mod.", "network.", "model.")
# Heads that googlenet and inception_v3 have while they are trained only.
_AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")
# torchvision's public DenseNet weights date from when module names could hold a dot.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
_SHOWN = 3


def save_weights(model: Classifier, path: Path) -> None:
    """Write the network's weights as safetensors; equal weights give equal bytes.

    Args:
        model: On any device, in any memory format.
        path: The file; it is overwritten.
    """
    state = model.network.state_dict()
    save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, path)


def load_weights(model: Classifier, path: Path) -> None:
    """Load weights that fit the model's network exactly; on error the model stays as it was.

    Understood are safetensors files and torch files that hold a state dict, bare or under
    ``state_dict``, ``model`` or ``model_state_dict``, with any of the prefixes that wrappers put
    before every name. Weights of auxiliary heads the network does not have are left out.

    Args:
        model: Keeps its device, type and memory format.
        path: ``.safetensors``, ``.pth``, ``.pt``, ``.ckpt`` or ``.bin``.

    Raises:
        InputError: The file is unreadable or holds other objects than tensors, misses weights or
            has more than the network, is for another number of classes or has NaN or infinity.
    """
    expected = model.network.state_dict()
    state = _rename(_read(path), expected)
    _check_classes(state, expected, len(model.class_names), path)
    _check_finite(state, path)
    trial = copy.deepcopy(model.network)
    try:
        mismatch = trial.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise _misfit(path, str(error).splitlines()[-1].strip()) from error
    if mismatch.missing_keys or mismatch.unexpected_keys:
        raise _misfit(
            path,
            f"{_some(mismatch.missing_keys)} missing, {_some(mismatch.unexpected_keys)} unexpected",
        )
    model.network.load_state_dict(trial.state_dict())


def _read(path: Path) -> StateDict:
    if not path.is_file():
        raise _unreadable(path, "no such file")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, str(error)) from error
    if path.suffix not in _TORCH_SUFFIXES:
        raise _unreadable(path, f"suffix {path.suffix!r}")
    try:
        with warnings.catch_warnings():
            # torch remarks on files it then refuses; the error says more.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unreadable(
            path, "other pickled objects than tensors, or no torch file at all"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _unreadable(path, str(error).partition("\n")[0] or type(error).__name__) from error
    return _state_dict(content, path)


def _state_dict(content: object, path: Path) -> StateDict:
    if isinstance(content, Mapping):
        for container in _CONTAINERS:
            if isinstance(content.get(container), Mapping):
                content = content[container]
                break
    if not isinstance(content, Mapping):
        raise _unreadable(path, type(content).__name__)
    state = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not state or len(state) < len(content):
        raise _unreadable(path, f"{len(content) - len(state)} of {len(content)} no tensors")
    return state


def _rename(state: StateDict, expected: Mapping[str, Tensor]) -> StateDict:
    """Return ``state`` under the names the network uses."""
    while not state.keys() & expected.keys():
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    state = {_OLD_DENSENET.sub(r"\1\2", name): value for name, value in state.items()}
    return {
        name: value
        for name, value in state.items()
        if name in expected or not name.startswith(_AUXILIARY_HEADS)
    }


def _check_classes(
    state: StateDict, expected: Mapping[str, Tensor], classes: int, path: Path
) -> None:
    for name, own in expected.items():
        other = state.get(name, own)
        if other.ndim != own.ndim or other.shape[1:] != own.shape[1:]:
            continue
        if other.shape != own.shape and own.shape[0] == classes:
            raise InputError(
                f"weights {path}",
                expected=f"a head for {classes} classes",
                got=f"one for {other.shape[0]} classes ({name})",
                fix="use weights trained for the same classes",
            )


def _check_finite(state: StateDict, path: Path) -> None:
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"weights {path}",
                expected="finite numbers",
                got=f"NaN or infinity in {name}",
                fix="use a checkpoint from before training diverged",
            )


def _some(names: list[str]) -> str:
    if not names:
        return "none"
    shown = ", ".join(names[:_SHOWN])
    return f"{len(names)} ({shown}{', …' if len(names) > _SHOWN else ''})"


def _misfit(path: Path, got: str) -> InputError:
    return InputError(
        f"weights {path}",
        expected="exactly the weights of this architecture",
        got=got,
        fix="name the architecture the weights were made for (--model)",
    )


def _unreadable(path: Path, got: str) -> InputError:
    return InputError(
        f"weights {path}",
        expected="a state dict as safetensors or torch file",
        got=got,
        fix="save the model's state_dict() and nothing else",
    )
