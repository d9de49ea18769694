"""Networks from the user's code: ``import:package.module:factory``."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path

import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.blame import has_run
from ectool.models.layers.probe import check_head, first_line
from ectool.models.sources.base import Defaults, Size

_CLASSES = "num_classes"
_READY = "give a function that returns a complete network"


def defaults(_name: str) -> Defaults:
    """Return the size and normalisation of ImageNet: code does not describe training data."""
    return Defaults()


def network(name: str, classes: int, size: Size) -> nn.Module:
    """Call a factory, with ``num_classes=classes`` if its signature has this parameter.

    The module is imported, so its code runs. The working folder is searched first, as with
    ``python -m``. Output of the code is printed to stderr.

    Args:
        name: ``package.module:factory``; the part after the colon may be dotted.
        classes: Number of logits that the network must return.
        size: (height, width) of the images.

    Returns:
        The network, with the weights of the factory.

    Raises:
        InputError: There is no such module or factory, it fails, or its network does not fit the
            classes and images.

    Cost: that of the factory, and one forward pass of one image.
    """
    with redirect_stdout(sys.stderr), _working_folder_first():
        with torch.random.fork_rng(devices=[]):
            # The random numbers of an import, which runs only once, must not change the factory's.
            factory = _find(name)
        made = _call(name, factory, classes)
    if not isinstance(made, nn.Module):
        raise _unusable(name, "a factory that returns a torch.nn.Module", type(made).__name__)
    check_head(made, size, classes, f"import:{name}")
    return made


def _find(name: str) -> object:
    path, _, attribute = name.partition(":")
    if not path or not attribute:
        raise _unusable(name, "the form import:package.module:factory", repr(name))
    has_run(f"import:{name}", _place(path))
    try:
        module = importlib.import_module(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code of other programs may raise anything
        got = f"{type(error).__name__}: {first_line(error)}"
        fix = "install it, or run the command in its folder"
        raise _unusable(name, f"a module {path} that can be imported", got, fix) from error
    try:
        return attrgetter(attribute)(module)
    except AttributeError as error:
        near = difflib.get_close_matches(attribute, vars(module), n=3)
        fix = f"try {', '.join(near)}" if near else "check the name after the second colon"
        raise _unusable(name, f"a factory in {path}", f"no {attribute!r} in it", fix) from error


def _place(path: str) -> Path | None:
    """Return the file or folder of the top-level module of a path; nothing is imported."""
    with suppress(ImportError, ValueError):
        spec = find_spec(path.partition(".")[0])
        if spec is not None and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
        if spec is not None and spec.origin is not None:
            return Path(spec.origin)
    return None


def _call(name: str, factory: object, classes: int) -> object:
    if isinstance(factory, nn.Module) or not callable(factory):
        got = f"an object of type {type(factory).__name__}"
        raise _unusable(name, "a function or class that makes a network", got)
    arguments = {_CLASSES: classes} if _takes_classes(factory) else {}
    try:
        return factory(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code of other programs may raise anything
        got = f"{type(error).__name__}: {first_line(error)}"
        call = f"{_CLASSES}={classes}" if arguments else ""
        raise _unusable(name, f"a network from the call ({call})", got) from error


def _takes_classes(factory: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # some functions written in C have no signature
        return False
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        p.kind is inspect.Parameter.VAR_KEYWORD or (p.name == _CLASSES and p.kind in by_name)
        for p in parameters
    )


@contextmanager
def _working_folder_first() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _unusable(name: str, expected: str, got: str, fix: str = _READY) -> InputError:
    return InputError(f"model import:{name}", expected=expected, got=got, fix=fix)
