"""Names of architectures: where a network comes from, and what it is called there.

``resnet18`` is a network of this package or of torchvision; ``timm:NAME``,
``import:package.module:factory``, ``torchscript:FILE`` and ``exported:FILE`` name the place first.
Reading a name needs no torch.
"""

from __future__ import annotations

from pathlib import Path

IMPORT = "import"
PROGRAMS = ("torchscript", "exported")
"""Places whose files hold network and weights, and show no layers."""

_SEPARATOR = ":"


def split_architecture(architecture: str) -> tuple[str, str]:
    """Return the place a network comes from and its name there.

    Args:
        architecture: Such as ``resnet18`` or ``timm:resnet18.a1_in1k``.

    Returns:
        The part before the first colon, empty where there is none; and the rest.
    """
    source, separator, name = architecture.partition(_SEPARATOR)
    return (source, name) if separator else ("", source)


def program_file(architecture: str) -> Path | None:
    """Return the file that holds a program's network and weights, or None for other architectures.

    The predictions of a program depend on the content of this file, which the name does not show.
    """
    source, name = split_architecture(architecture)
    return Path(name) if source in PROGRAMS else None
