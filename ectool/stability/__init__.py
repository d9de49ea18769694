"""Stability of heatmaps: sensitivity to small noise in the image."""

from __future__ import annotations

from ectool.stability.sensitivity import sensitivity_max

__all__ = ["sensitivity_max"]
