"""Explainers compute heatmaps of images: one file per method, and one row of `EXPLAINERS`.

A new explainer goes into the folder of its family: `cam` (weighted channels of a layer), `gradient`
(gradients at the pixels, propagated relevance), `masking` (forward passes on masked images),
`attention` (transformers). It also needs its name in `METHODS` of ectool/config/heatmaps.py, and a
section with an image in docs/explainers.md (`python -m docs.make_explainers`); tests compare them.
Modules at the root of the package are shared by several families.
"""

from __future__ import annotations

from functools import partial

from ectool.explainers.attention.attention_rollout import AttentionRollout
from ectool.explainers.attention.transformer_relevance import TransformerRelevance
from ectool.explainers.base import Explainer, Explanation, Method
from ectool.explainers.cam.ablation_cam import AblationCAM
from ectool.explainers.cam.cam_rules import CAM_RULES
from ectool.explainers.cam.class_activation_map import ClassActivationMap
from ectool.explainers.cam.gradient_cam import GradCAM, gradient_cam
from ectool.explainers.cam.score_cam import ScoreCAM
from ectool.explainers.composition import make_explainer
from ectool.explainers.gradient.excitation_backprop import ExcitationBackprop
from ectool.explainers.gradient.full_grad import FullGrad
from ectool.explainers.gradient.guided_backprop import GuidedBackprop
from ectool.explainers.gradient.input_gradient import InputXGradient
from ectool.explainers.gradient.integrated_gradients import IntegratedGradients
from ectool.explainers.gradient.smooth_grad import SmoothGrad
from ectool.explainers.masking.occlusion import Occlusion
from ectool.explainers.masking.rise import RISE
from ectool.models.interpolation import upsample

EXPLAINERS: dict[str, Method] = {
    **{
        name: Method(partial(gradient_cam, name), "layer", is_compilable=True) for name in CAM_RULES
    },
    "cam": Method(ClassActivationMap, "layer", is_compilable=True),
    "ablationcam": Method(AblationCAM, "layer", is_costly=True),
    "scorecam": Method(ScoreCAM, "layer", is_compilable=True, is_costly=True),
    "excitation-backprop": Method(ExcitationBackprop, "layer"),
    "fullgrad": Method(FullGrad, "own"),
    "input-x-gradient": Method(InputXGradient, "own", is_compilable=True),
    "integrated-gradients": Method(IntegratedGradients, "own", is_compilable=True, is_costly=True),
    "smoothgrad": Method(SmoothGrad, "own", is_compilable=True, is_costly=True),
    "guided-backprop": Method(GuidedBackprop, "own"),
    "occlusion": Method(Occlusion, "own", is_compilable=True, is_costly=True),
    "rise": Method(RISE, "own", is_compilable=True, is_costly=True),
    "attention-rollout": Method(AttentionRollout, "own"),
    "transformer-relevance": Method(TransformerRelevance, "own"),
}

__all__ = [
    "EXPLAINERS",
    "Explainer",
    "Explanation",
    "GradCAM",
    "Method",
    "make_explainer",
    "upsample",
]
