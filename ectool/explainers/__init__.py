"""Explainers: from images and a model to heatmaps. One family a file, one visible dict."""

from __future__ import annotations

from collections.abc import Callable

from ectool.explainers.base import Explainer, Explanation
from ectool.explainers.grad_cam import GradCAM
from ectool.explainers.upsampling import upsample
from ectool.models.classifier import Classifier

EXPLAINERS: dict[str, Callable[[Classifier], Explainer]] = {"gradcam": GradCAM}

__all__ = ["EXPLAINERS", "Explainer", "Explanation", "GradCAM", "upsample"]
