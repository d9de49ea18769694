"""Names of architectures: ``NAME`` of a network, or ``SOURCE:NAME``.

``resnet18`` is a network of this package or of torchvision. ``timm:NAME``,
``openclip:ARCH``, ``import:package.module:factory``, ``torchscript:FILE`` and ``exported:FILE``
begin with the source of the network. This module does not import torch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ectool.errors import InputError, hint
from ectool.models.zeroshot import configurations

SMALL = ("smallcnn", "smallresnet", "smallvit")
"""Networks of ectool."""
IMPORT = "import"
OPENCLIP = "openclip"
PROGRAMS = ("torchscript", "exported")
"""Sources of programs: files that contain network and weights, and do not show their layers."""

SOURCES = ("", "timm", OPENCLIP, IMPORT, *PROGRAMS)
"""Sources of networks; the first stands for names without a source."""
_SEPARATOR = ":"
_REGISTERED = re.compile(
    r'^@register_model\((?:name=)?(?:"([^"]+)")?\).*?^def (\w+)\(', re.MULTILINE | re.DOTALL
)
"""Form of a network in the files of torchvision: its name, else that of its function."""


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


def is_zero_shot(architecture: str) -> bool:
    """Return whether the classes of a network follow from texts, and not from its weights."""
    return split_architecture(architecture)[0] == OPENCLIP


def resolved_architecture(architecture: str) -> str:
    """Return an architecture without the path of a file: with its content instead.

    Raises:
        InputError: It is one of open_clip that does not exist or cannot be used.
    """
    source, name = split_architecture(architecture)
    return f"{source}:{configurations.resolved(name)}" if source == OPENCLIP else architecture


def shown_architecture(architecture: str) -> str:
    """Return an architecture for messages: without the content of a configuration."""
    source, name = split_architecture(architecture)
    return f"{source}:{configurations.shown(name)}" if source == OPENCLIP else architecture


@cache
def plain_architectures() -> tuple[str, ...]:
    """Return the names of networks that need no source, without importing torchvision."""
    found = find_spec("torchvision")
    folders = [] if found is None else found.submodule_search_locations or []
    files = [path for folder in folders for path in sorted((Path(folder) / "models").glob("*.py"))]
    texts = [path.read_text(encoding="utf-8") for path in files]
    names = [given or own for text in texts for given, own in _REGISTERED.findall(text)]
    return (*SMALL, *names)


def check_architecture(architecture: str) -> None:
    """Check the source of an architecture, and its name if that needs no import of its source.

    Raises:
        InputError: There is no such source or network.
    """
    source, name = split_architecture(architecture)
    if source not in SOURCES:
        raise InputError(
            f"model {architecture}",
            expected="the name of an architecture, or SOURCE:NAME",
            got=f"the source {source!r}",
            fix=hint(source, SOURCES) + f"use one of the sources {', '.join(SOURCES[1:])}",
        )
    if source == OPENCLIP:
        configurations.read(name)
    known = plain_architectures()
    if source == "" and name not in known and known != SMALL:
        raise unknown_architecture(name, known)


def unknown_architecture(name: str, known: Sequence[str]) -> InputError:
    """Return the error for a network that is none of the known ones, with similar names."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or list(SMALL)
    return InputError(
        "model",
        expected=f"one of {len(known)} architectures",
        got=repr(name),
        fix=f"try {', '.join(near)}",
    )
