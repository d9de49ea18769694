"""Do heatmaps stay where nothing that matters changes: sensitivity to small noise."""

from __future__ import annotations

from ectool.stability.sensitivity import sensitivity_max

__all__ = ["sensitivity_max"]
