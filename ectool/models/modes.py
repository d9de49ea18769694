"""Borrow a model: evaluation mode, frozen parameters and hooks that are undone on exit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

ForwardHook = Callable[[nn.Module, tuple[object, ...], object], object]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Hold ``model`` in evaluation mode with frozen parameters, and put back what was found.

    Restored on exit, also after an exception: every module's own training flag, every parameter's
    ``requires_grad`` and ``grad``. Normalisation layers therefore use and keep their running
    statistics. Weights that the block itself overwrites stay overwritten.

    Args:
        model: Any module; sub-modules may stand in different modes.

    Yields:
        Nothing; the model is held while the block runs.
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

    Hooks registered before stay and run first, so ``hook`` sees the output the network uses.

    Args:
        modules: The modules to watch.
        hook: What to call; a value other than None replaces the module's output.

    Yields:
        Nothing; the hooks are gone when the block ends, also after an exception.
    """
    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def graph_free() -> Iterator[None]:
    """Record no autograd graph, while a hook inside may switch recording on again.

    Unlike :func:`torch.inference_mode`, and also inside of it, tensors made here can still take
    part in a graph. The caller's own gradient mode comes back on exit.

    Yields:
        Nothing.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield
