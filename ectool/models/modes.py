"""States of a model: evaluation mode, frozen parameters, hooks, no graph; and of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import nn

ForwardHook = Callable[[nn.Module, tuple[object, ...], object], object]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Keep ``model`` in evaluation mode with frozen parameters, and restore its state on exit.

    These are restored, also after an exception: the training flag of every module, and
    ``requires_grad`` and ``grad`` of every parameter. Normalisation layers use their running
    statistics and do not change them. Weights that the block overwrites are not restored.

    Args:
        model: Any module; its submodules may be in different modes.

    Yields:
        Nothing.
    """
    training = [(module, module.training) for module in model.modules()]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    try:
        model.eval()
        for parameter, _, _ in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad


@contextmanager
def forward_hooks(modules: Iterable[nn.Module], hook: ForwardHook) -> Iterator[None]:
    """Call ``hook(module, arguments, output)`` after each forward of ``modules``.

    Hooks that are already registered stay and run first, so ``hook`` receives their output.

    Args:
        modules: The modules to watch.
        hook: If it returns a value other than None, this replaces the output of the module.

    Yields:
        Nothing; the hooks are removed on exit, also after an exception.
    """
    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def graph_free() -> Iterator[None]:
    """Record no autograd graph, unless a hook inside enables it again.

    Unlike those of :func:`torch.inference_mode`, tensors made here can become part of a graph. The
    gradient mode of the caller is restored on exit.

    Yields:
        Nothing.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield


def use_deterministic_algorithms() -> None:
    """Let this process use deterministic algorithms only; torch refuses operations without one.

    cuBLAS reads the size of its workspace when it is used first, so this comes before.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # Filling new memory only makes mistakes visible.
    cast(Any, torch.utils.deterministic).fill_uninitialized_memory = False
