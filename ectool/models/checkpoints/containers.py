"""What the weights in other people's files are wrapped in: pickles, containers and prefixes."""

from __future__ import annotations

import pickle  # for the name of the error torch raises only; nothing is unpickled here
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint_files import (
    check_kind,
    files_of,
    is_safetensors,
    unreadable,
)
from ectool.models.checkpoints.harmless import HARMLESS
from ectool.models.checkpoints.pickle_protocol import plain_protocol
from ectool.models.checkpoints.plain_tensors import plain
from ectool.models.layers.probe import first_line

StateDict = dict[str, Tensor]

EMA = "ema"
"""The entry of the exponential moving average of the weights, whatever it is called."""

SAFETENSORS_SUFFIX, INDEX_SUFFIX = ".safetensors", ".json"
_TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar")
# Keys of files and names of attributes that hold a whole network, in any nesting.
_WRAPPERS = frozenset(
    ["state_dict", "model_state_dict", "model", "network", "net", "backbone", "module", "weights"]
)
# torch.compile puts it before the name of every module it compiles.
_COMPILED = "_orig_mod."
# torchvision's public DenseNet weights date from when module names could hold a dot.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
_SHOWN = 8
_BARE = "save the model's state_dict() and nothing else"


def read_tensors(path: Path) -> StateDict:
    """Return every tensor of a file under its dotted name, and nothing else that is in there.

    Torch files are read with ``weights_only``, so no code of theirs runs. Containers become part of
    the name: ``state_dict.module.conv1.weight``.

    Args:
        path: ``.safetensors``, or a torch file: ``.pth``, ``.pt``, ``.ckpt``, ``.bin``, ``.tar``;
            or a folder as Hugging Face's libraries write: one such file, or an index and shards.

    Returns:
        The tensors on the CPU; ``_orig_mod.`` is left out of their names.

    Raises:
        InputError: The file is unreadable, holds other pickled objects or no tensors.
    """
    tensors: StateDict = {}
    for file in files_of(path):
        if file.suffix != INDEX_SUFFIX:
            tensors |= _read_file(file)
    if not tensors:
        raise _unreadable(path, "no tensors inside")
    return {_OLD_DENSENET.sub(r"\1\2", n.replace(_COMPILED, "")): t for n, t in tensors.items()}


def _read_file(path: Path) -> StateDict:
    if path.suffix not in (SAFETENSORS_SUFFIX, *_TORCH_SUFFIXES):
        known = ", ".join((SAFETENSORS_SUFFIX, *_TORCH_SUFFIXES))
        raise InputError(
            f"weights {path}",
            expected=f"a file that ends in {known}",
            got=f"the suffix {path.suffix!r}",
            fix="rename it, or give a program as --model torchscript:FILE or exported:FILE",
        )
    check_kind(path)
    content = _read_safetensors(path) if is_safetensors(path) else _read_torch(path)
    if not isinstance(content, Mapping):
        raise _unreadable(path, f"one {type(content).__name__}")
    return {name: plain(value, name, path) for name, value in _flatten(content, "")}


def select_weights(
    tensors: StateDict, expected: Iterable[str], entry: str | None, path: Path
) -> tuple[StateDict, list[str]]:
    """Find where most of a network's weights lie, and take the wrapping off.

    Args:
        tensors: What :func:`read_tensors` returned.
        expected: Names of the network's weights.
        entry: None for the plain weights, :data:`EMA` for their moving average, or the dotted name
            of what to look into.
        path: The file, for errors.

    Returns:
        All tensors that lie there, under the network's own names; and the names of the others.

    Raises:
        InputError: There is no such entry, or there are several with as many of the weights.
    """
    names = list(expected)
    found = {
        prefix: sum(prefix + name in tensors for name in names)
        for prefix in sorted(_prefixes(tensors, entry), key=len)
    }
    if not found:
        raise InputError(
            f"weights {path}",
            expected=f"an entry {entry!r}",
            got=f"the entries {_some(sorted({name.partition('.')[0] for name in tensors}))}",
            fix="name one of them (--entry), or none for the plain weights",
        )
    best = [prefix for prefix, count in found.items() if count == max(found.values())]
    if len(best) > 1 and max(found.values()) > 0:
        raise InputError(
            f"weights {path}",
            expected="one set of weights",
            got=f"{len(best)}: {', '.join(prefix.rstrip('.') or 'the file' for prefix in best)}",
            fix="name one of them (--entry)",
        )
    inside = {name: name.removeprefix(best[0]) for name in tensors if name.startswith(best[0])}
    beside = [name for name in tensors if name not in inside]
    return {short: tensors[name] for name, short in inside.items()}, beside


def _prefixes(names: Iterable[str], entry: str | None) -> set[str]:
    """Return every beginning of a name that is made of the entry and of wrappers."""
    start = "" if entry in (None, EMA) else f"{entry}."
    prefixes = {
        prefix
        for name in names
        if name.startswith(start)
        for prefix in _wrappings(name, start, averages=entry == EMA)
    }
    return {prefix for prefix in prefixes if entry != EMA or _is_average(prefix)}


def _wrappings(name: str, start: str, *, averages: bool) -> Iterator[str]:
    yield start
    for part in name.removeprefix(start).split(".")[:-1]:
        if part not in _WRAPPERS and not (averages and _is_average(part)):
            return
        start += f"{part}."
        yield start


def _is_average(name: str) -> bool:
    return EMA in re.split(r"[._]", name.lower())


def _flatten(content: Mapping[object, object], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for key, value in content.items():
        # Optimizers number their tensors.
        if not isinstance(key, str):
            continue
        if isinstance(value, Tensor):
            yield prefix + key, value
        elif isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")


def _read_safetensors(path: Path) -> StateDict:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, str(error)) from error


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
            # torch remarks on files it then refuses; the error says more.
            warnings.simplefilter("ignore")
            return torch.load(plain_protocol(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unreadable(path, f"other pickled objects than tensors, {_foreign(path)}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        if "TorchScript" in str(error):
            fix = f"name it as the model: torchscript:{path}"
            raise _unreadable(path, "a TorchScript program", fix) from error
        raise _unreadable(path, first_line(error).partition(". ")[0]) from error


def _foreign(path: Path) -> str:
    """Say which pickled objects torch would not read."""
    try:
        with torch.serialization.safe_globals(HARMLESS):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(
                cast(Any, plain_protocol(path))
            )
    except (
        ValueError,
        pickle.UnpicklingError,
    ):  # older, or not torch's
        names = []
    return _some(sorted(names)) if names else "or no torch file at all"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _unreadable(path: Path, got: str, fix: str = _BARE) -> InputError:
    return unreadable(path, got, fix)
