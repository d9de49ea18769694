"""Wrappers of training scripts around a model, and the classifier inside."""

from __future__ import annotations

from typing import cast

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ectool.errors import InputError
from ectool.models.classifier import Classifier

COMPILED = "_orig_mod"
"""Name of the submodule in which `torch.compile` keeps the original module."""


def unwrap(model: nn.Module) -> Classifier:
    """Return the plain classifier inside (Distributed)DataParallel and `torch.compile`.

    Hooks and modes do not reach the layers of a compiled module, and explainers need no process
    group. So explainers use the classifier inside; the weights are shared.

    Args:
        model: A classifier, or a wrapper around one; its network may be wrapped as well.

    Returns:
        The classifier.

    Raises:
        InputError: It contains no :class:`Classifier`.
    """
    inner = inside(model)
    if not isinstance(inner, Classifier):
        raise InputError(
            "model",
            expected="a Classifier, possibly wrapped",
            got=type(inner).__name__,
            fix="make a Classifier of the network, for example by ectool.models.registry.create",
        )
    network = inside(inner.network)
    if network is inner.network:
        return inner
    return Classifier(network, inner.spec, inner.further_layers).to(inner.mean.device)


def inside(module: nn.Module) -> nn.Module:
    """Return the module inside (Distributed)DataParallel and `torch.compile`; itself without."""
    if isinstance(module, DataParallel | DistributedDataParallel):
        return inside(module.module)
    if COMPILED in dict(module.named_children()):
        return inside(cast(nn.Module, getattr(module, COMPILED)))
    return module
