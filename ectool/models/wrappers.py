"""Look inside of the wrappers that training scripts put around a model."""

from __future__ import annotations

from typing import cast

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ectool.errors import InputError
from ectool.models.classifier import Classifier

COMPILED = "_orig_mod"
"""Where `torch.compile` keeps the module it was given."""


def unwrap(model: nn.Module) -> Classifier:
    """Return the plain classifier inside of (Distributed)DataParallel and `torch.compile`.

    Hooks and modes do not reach the layers of a compiled module, and a process group is no help in
    asking a model, so explainers work on what is inside; weights are shared.

    Args:
        model: A classifier, or a wrapper around one; its network may be wrapped as well.

    Returns:
        The classifier.

    Raises:
        InputError: There is no :class:`Classifier` inside.
    """
    inner = _inside(model)
    if not isinstance(inner, Classifier):
        raise InputError(
            "model",
            expected="a Classifier, perhaps wrapped",
            got=type(inner).__name__,
            fix="put the network into a Classifier: ectool.models.registry.create makes one",
        )
    network = _inside(inner.network)
    if network is inner.network:
        return inner
    return Classifier(network, inner.spec, inner.further_layers).to(inner.mean.device)


def _inside(module: nn.Module) -> nn.Module:
    if isinstance(module, DataParallel | DistributedDataParallel):
        return _inside(module.module)
    if COMPILED in dict(module.named_children()):
        return _inside(cast(nn.Module, getattr(module, COMPILED)))
    return module
