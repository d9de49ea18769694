"""Names of architectures: where a network comes from, and what it is called there.

``resnet18`` is a network of this package or of torchvision; ``timm:NAME``,
``import:package.module:factory``, ``torchscript:FILE`` and ``exported:FILE`` name the place first.
Reading a name needs no torch.
"""

from __future__ import annotations

from pathlib import Path

ZOO = ""
TIMM = "timm"
IMPORT = "import"
TORCHSCRIPT = "torchscript"
EXPORTED = "exported"

PROGRAMS = (TORCHSCRIPT, EXPORTED)

_SEPARATOR = ":"


def split_architecture(architecture: str) -> tuple[str, str]:
    """Return the place a network comes from and its name there.

    Args:
        architecture: Such as ``resnet18`` or ``timm:resnet18.a1_in1k``.

    Returns:
        The part before the first colon, or :data:`ZOO` where there is none; and the rest.
    """
    source, separator, name = architecture.partition(_SEPARATOR)
    return (source, name) if separator else (ZOO, source)


def program_file(architecture: str) -> Path | None:
    """Return the file that holds a program's network and weights, or None for other architectures.

    What the program answers depends on that file's content, which is no part of the name.
    """
    source, name = split_architecture(architecture)
    return Path(name) if source in PROGRAMS else None
