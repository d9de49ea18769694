"""Which devices a machine may have, as far as that is known without torch."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

from ectool.errors import UsageError, hint

AUTO, CPU = "auto", "cpu"
KINDS = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla", "meta", "vulkan", "maia", "ipu", "ve")
"""Kinds of devices that torch knows without a further package."""
BACKENDS = "torch.backends"
"""Group of entry points of packages that give torch further kinds of devices."""
DRIVERS = (
    *("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap"),
    *("/dev/nvhost-gpu", "/dev/dxg", "/dev/kfd"),
)
"""Files of the drivers of GPUs on Linux: of NVIDIA, also on Jetson, in WSL, and of AMD."""


def check_device(name: str) -> None:
    """Check that a machine may have a device; torch knows whether it has.

    Raises:
        UsageError: It has no such device for certain.
    """
    kind = name.partition(":")[0]
    if kind in (AUTO, CPU):
        return
    if kind not in KINDS and not entry_points(group=BACKENDS):
        raise no_device(name, "no kind of device", (AUTO, *KINDS))
    if kind == "cuda" and not _may_have_gpu():
        raise no_device(name, "no driver of a GPU is there")
    if kind == "mps" and sys.platform != "darwin":
        raise no_device(name, "this machine is no Mac")


def no_device(name: str, why: str, known: tuple[str, ...] = ()) -> UsageError:
    """Return the error for a device that this machine does not have."""
    return UsageError(
        "--device",
        expected="a device of this machine",
        got=f"{name!r} ({why})",
        fix=hint(name, known) + "leave it out, or see `ectool doctor`",
    )


def _may_have_gpu() -> bool:
    """Return False if there is no GPU that torch calls `cuda` for certain."""
    if sys.platform == "darwin":
        return False
    return not sys.platform.startswith("linux") or any(Path(path).exists() for path in DRIVERS)
