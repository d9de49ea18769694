"""Names of architectures: ``NAME`` of a network, or ``SOURCE:NAME``.

``resnet18`` is a network of this package or of torchvision. ``timm:NAME``,
``import:package.module:factory``, ``torchscript:FILE`` and ``exported:FILE`` begin with the source
of the network. This module does not import torch.
"""

from __future__ import annotations

from pathlib import Path

IMPORT = "import"
PROGRAMS = ("torchscript", "exported")
"""Sources of programs: files that contain network and weights, and do not show their layers."""

_SEPARATOR = ":"


def split_architecture(architecture: str) -> tuple[str, str]:
    """Return the source of a network and its name there.

    Args:
        architecture: For example ``resnet18`` or ``timm:resnet18.a1_in1k``.

    Returns:
        The part before the first colon, empty without a colon; and the rest.
    """
    source, separator, name = architecture.partition(_SEPARATOR)
    return (source, name) if separator else ("", source)


def program_file(architecture: str) -> Path | None:
    """Return the file of a program, which contains its weights; None for other architectures.

    The predictions of a program depend on the content of this file, which the name does not show.
    """
    source, name = split_architecture(architecture)
    return Path(name) if source in PROGRAMS else None
