"""Splits of data sets: their names, and the other names by which options accept them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from ectool.options import option

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""Splits by the names that people, folders and tables give them, in lower case."""


def known_split(name: str) -> str:
    """Return the name of a split that another name stands for; other names are unchanged.

    Some data sets join splits, so each part counts: ``train+val`` is ``train+validation``.
    """
    return "+".join(SPLIT_NAMES.get(part.lower(), part) for part in name.split("+"))


Split = Annotated[str, AfterValidator(known_split)]


def split_option(
    default: Any,  # noqa: ANN401 (a name, or None)
    help: str = "Split of the data set.",
    *,
    panel: str | None = None,
) -> Any:  # noqa: ANN401 (a field)
    """Declare an option with a split; without a panel, it is in the first one."""
    is_main = panel is None
    return option(
        default, help, main=is_main, panel=panel, metavar="SPLIT", choices=(*SPLITS, "all")
    )
