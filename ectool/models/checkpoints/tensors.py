"""Tensors of a checkpoint's files, read without running code: dense, by their dotted names."""

from __future__ import annotations

import argparse
import collections
import datetime
import pickle  # for the name of the error torch raises only; nothing is unpickled here
import re
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ectool.artifacts.guard.memory import bounded_memory
from ectool.errors import InputError, listed
from ectool.input_files import MIB
from ectool.models.checkpoints.files import (
    SUFFIXES,
    check_kind,
    files_of,
    is_safetensors,
    unreadable,
)
from ectool.models.checkpoints.pickle_protocol import plain_protocol
from ectool.models.layers.probe import first_line
from ectool.models.wrappers import COMPILED

StateDict = dict[str, Tensor]

_INDEX_SUFFIX = ".json"
# torchvision's public DenseNet weights have old names, in which module names contain a dot.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
_WRAPPERS = re.compile(rf"({COMPILED}|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Modules that wrap parts of a network, anywhere in it."""
_MIN_BYTES = 2
"""Bytes of float16; smaller floating-point types support little more than conversion."""

MAX_EXPANDED = 256 * MIB
"""Bytes of a sparse tensor when dense, or of one that repeats its numbers."""
_MAX_ENTRIES = 1_000_000
"""Entries of all containers of a file; a container that occurs twice counts twice."""
_MAX_PARTS = 64
"""Parts of a name, at most so many containers in each other."""
_UNITS, _SLACK = 4, 1024 * MIB
"""Address space for reading a file: in units of its size, and in bytes beside that."""

Harmless = Callable[..., Any] | tuple[Callable[..., Any], str]

_PATHS = ("pathlib", "pathlib._local")  # the latter since Python 3.13
_CORES = ("core", "_core")
_SCALAR = cast(Callable[..., Any], np.float64(0).__reduce__()[0])
_ARRAY = cast(Callable[..., Any], np.empty(0).__reduce__()[0])
_BUFFER = cast(Callable[..., Any], np.zeros(1).__reduce_ex__(5)[0])
_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone)
_DTYPES = tuple(
    kind
    for kind in vars(np.dtypes).values()
    if isinstance(kind, type) and issubclass(kind, np.dtype) and kind is not np.dtypes.ObjectDType
)
HARMLESS: list[Harmless] = [
    argparse.Namespace,
    types.SimpleNamespace,
    collections.defaultdict,
    collections.deque,
    *(dict, list, int, float, str, bool, complex, tuple, frozenset, slice, range),
    *_TIMES,
    *((type(Path()), f"{module}.{type(Path()).__name__}") for module in _PATHS),
    np.dtype,
    np.ndarray,
    *_DTYPES,
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in _CORES),
    *((_ARRAY, f"numpy.{core}.multiarray._reconstruct") for core in _CORES),
    *((_BUFFER, f"numpy.{core}.numeric._frombuffer") for core in _CORES),
]
"""Types and functions that contain only values: options, scores, dates, paths, arrays."""


def read_tensors(path: Path) -> StateDict:
    """Return all tensors of a checkpoint by their dotted names.

    Torch files are read with ``weights_only``, so no code in them runs. Containers become part of
    the names: ``state_dict.module.conv1.weight``.

    Args:
        path: ``.safetensors``, or a torch file: ``.pth``, ``.pt``, ``.ckpt``, ``.bin``, ``.tar``;
            or a folder of Hugging Face's libraries: one such file, or an index and shards.

    Returns:
        The tensors on the CPU; names of wrappers, such as ``_orig_mod.``, are removed from theirs.

    Raises:
        InputError: A file is unreadable, or contains other pickled objects or no tensors.
    """
    tensors: StateDict = {}
    for file in files_of(path):
        if file.suffix != _INDEX_SUFFIX:
            tensors |= _read_file(file)
    if not tensors:
        raise unreadable(path, "no tensors inside")
    return {_current_name(name): value for name, value in tensors.items()}


def _current_name(name: str) -> str:
    return _OLD_DENSENET.sub(r"\1\2", _WRAPPERS.sub("", name))


def _read_file(path: Path) -> StateDict:
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"weights {path}",
            expected=f"a file that ends in {', '.join(SUFFIXES)}",
            got=f"the suffix {path.suffix!r}",
            fix="rename it; or, for a program, give --model torchscript:FILE or exported:FILE",
        )
    check_kind(path)
    content = _read_safetensors(path) if is_safetensors(path) else _read_torch(path)
    if not isinstance(content, Mapping):
        raise unreadable(path, f"one {type(content).__name__}")
    found = islice(_flatten(content, ""), _MAX_ENTRIES + 1)
    tensors = dict[str, Tensor]()
    for number, (name, value) in enumerate(found):
        if number == _MAX_ENTRIES or name.count(".") > _MAX_PARTS:
            raise unreadable(path, "containers in containers without end")
        if isinstance(value, Tensor):
            tensors[name] = _plain(value, name, path)
    return tensors


def _flatten(content: Mapping[object, object], prefix: str) -> Iterator[tuple[str, object]]:
    """Yield the entries of containers and of those inside them, which may be the same ones."""
    stack = [(prefix, iter(content.items()))]
    while stack:
        prefix, entries = stack[-1]
        for key, value in entries:
            # The tensors of optimizers have numbers as keys.
            if not isinstance(key, str):
                continue
            yield prefix + key, value
            if isinstance(value, Mapping):
                stack.append((f"{prefix}{key}.", iter(value.items())))
                break
        else:
            stack.pop()


def _read_safetensors(path: Path) -> StateDict:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise unreadable(path, str(error)) from error


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
            # torch warns about files that it then refuses; the error is more precise.
            warnings.simplefilter("ignore")
            # Sparse tensors with indices outside of their shape would end the process.
            checked = cast(Any, torch.sparse).check_sparse_tensor_invariants(True)
            with checked, bounded_memory(_UNITS * path.stat().st_size + _SLACK):
                return torch.load(plain_protocol(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise unreadable(path, f"other pickled objects than tensors, {_foreign(path)}") from error
    except MemoryError as error:
        raise unreadable(path, "objects that take more memory than the file explains") from error
    except Exception as error:  # damaged files raise anything
        if "TorchScript" in str(error):
            fix = f"give it as --model torchscript:{path}"
            raise unreadable(path, "a TorchScript program", fix) from error
        raise unreadable(path, first_line(error).partition(". ")[0]) from error


def _foreign(path: Path) -> str:
    """Return the names of the pickled objects that torch refuses."""
    try:
        with torch.serialization.safe_globals(HARMLESS):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(
                cast(Any, plain_protocol(path))
            )
    except Exception:  # an older file, a damaged one, or not torch's
        names = []
    return listed(sorted(names)) if names else "or not a torch file"


def _plain(value: Tensor, name: str, path: Path) -> Tensor:
    """Return a tensor as dense numbers that can be loaded as weights.

    Sparse tensors become dense, and 8-bit floating-point numbers become float32, which represents
    them exactly. Other tensors are not copied.

    Args:
        value: A tensor of the file.
        name: Its name, for errors.
        path: The file, for errors.

    Raises:
        InputError: It contains no numbers (meta device), is quantised or nested, or is an instance
            of a subclass.
    """
    if type(value) not in (Tensor, nn.Parameter, nn.Buffer):
        raise _refused(path, name, f"a {type(value).__name__}", "save plain tensors")
    value = value.detach()
    if value.is_meta:
        fix = "save the network after loading its weights"
        raise _refused(path, name, "a tensor without numbers (on the meta device)", fix)
    if value.is_quantized:
        fix = "save the network before quantisation"
        raise _refused(path, name, "a quantised tensor", fix)
    if value.is_nested:
        raise _refused(path, name, "a nested tensor", "save plain tensors")
    size = value.numel() * value.element_size()
    stored = value.untyped_storage().nbytes() if value.layout == torch.strided else 0
    if size > max(stored, MAX_EXPANDED):
        got = f"{size:,} bytes, of which the file has few"
        raise _refused(path, name, got, "save dense, contiguous tensors")
    if value.layout != torch.strided:
        value = value.to_dense()
    is_tiny = value.is_floating_point() and value.element_size() < _MIN_BYTES
    return value.float() if is_tiny else value


def _refused(path: Path, name: str, got: str, fix: str) -> InputError:
    return InputError(f"weights {path}: {name}", expected="a plain tensor", got=got, fix=fix)
