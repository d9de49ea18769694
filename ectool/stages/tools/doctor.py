"""`doctor`: versions, devices and threads of this installation."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from typing import Any

from ectool import shipped
from ectool.artifacts.manifest import library_versions
from ectool.config import DoctorConfig
from ectool.errors import InputError
from ectool.stages.common.inputs import data_root
from ectool.types import SILENT, Reporter


def run(config: DoctorConfig, reporter: Reporter = SILENT) -> dict[str, Any]:  # noqa: ARG001
    """Return versions, folders, devices, threads and whether torch and torchvision are a pair.

    Raises:
        InputError: torch or torchvision cannot be imported, or they were built for different
            versions of each other.
    """
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": library_versions(),
        "data_root": str(data_root().absolute()),
        "pipelines": str(shipped.folder()),
        **_torch(),
    }


def _torch() -> dict[str, Any]:
    try:
        torch = importlib.import_module("torch")
        operators = importlib.import_module("torchvision.ops")
        # A torchvision that was built for another torch imports, or fails, only here.
        operators.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise InputError(
            "torch and torchvision",
            expected="a pair built for each other",
            got=(str(error) or type(error).__name__).splitlines()[0],
            fix="install both in one command: `pip install --upgrade torch torchvision`",
        ) from None
    accelerator = torch.accelerator.is_available() and torch.accelerator.current_accelerator()
    count = torch.accelerator.device_count() if accelerator else 0
    return {
        "torchvision_matches_torch": True,
        "devices": ["cpu", *(f"{accelerator}:{number}" for number in range(count))],
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
