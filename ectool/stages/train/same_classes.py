"""Whether a model that is trained further knows the classes of the data, in their order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.stages.common.layout import SPEC_FILE

_SHOWN = 12


def check_classes(resume: Path, dataset: Dataset) -> None:
    """Check that a resumed model's classes are those of the data, in their order.

    Args:
        resume: Folder of the model; its files have been verified.
        dataset: What it goes on with.

    Raises:
        InputError: They are not; the message shows both lists.
    """
    text = (resume / SPEC_FILE).read_text(encoding="utf-8")
    own = tuple(map(str, json.loads(text)["class_names"]))
    if own == tuple(dataset.classes):
        return
    is_order = sorted(own) == sorted(dataset.classes)
    raise InputError(
        f"classes of {dataset.name}",
        expected=f"those of {resume}, {_listed(own)}",
        got=("them in another order, " if is_order else "") + _listed(dataset.classes),
        fix="give --class-order as it was trained"
        if is_order
        else "restore the data, or train from the start",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])])
