"""Explainers: from images and a model to heatmaps. One family a file, one visible dict."""

from __future__ import annotations

from functools import partial

from ectool.explainers.ablation_cam import AblationCAM
from ectool.explainers.attention_rollout import AttentionRollout
from ectool.explainers.base import Explainer, Explanation, Method
from ectool.explainers.cam_rules import CAM_RULES
from ectool.explainers.class_activation_map import ClassActivationMap
from ectool.explainers.excitation_backprop import ExcitationBackprop
from ectool.explainers.full_grad import FullGrad
from ectool.explainers.gradient_cam import GradCAM, gradient_cam
from ectool.explainers.guided_backprop import GuidedBackprop
from ectool.explainers.input_gradient import InputXGradient
from ectool.explainers.integrated_gradients import IntegratedGradients
from ectool.explainers.occlusion import Occlusion
from ectool.explainers.rise import RISE
from ectool.explainers.score_cam import ScoreCAM
from ectool.explainers.smooth_grad import SmoothGrad
from ectool.explainers.transformer_relevance import TransformerRelevance
from ectool.explainers.upsampling import upsample

EXPLAINERS: dict[str, Method] = {
    **{name: Method(partial(gradient_cam, name), "layer") for name in CAM_RULES},
    "cam": Method(ClassActivationMap, "layer"),
    "ablationcam": Method(AblationCAM, "layer"),
    "scorecam": Method(ScoreCAM, "layer"),
    "excitation-backprop": Method(ExcitationBackprop, "layer"),
    "fullgrad": Method(FullGrad, "own"),
    "input-x-gradient": Method(InputXGradient, "own"),
    "integrated-gradients": Method(IntegratedGradients, "own"),
    "smoothgrad": Method(SmoothGrad, "own"),
    "guided-backprop": Method(GuidedBackprop, "own"),
    "occlusion": Method(Occlusion, "own"),
    "rise": Method(RISE, "own"),
    "attention-rollout": Method(AttentionRollout, "own"),
    "transformer-relevance": Method(TransformerRelevance, "own"),
}

__all__ = ["EXPLAINERS", "Explainer", "Explanation", "GradCAM", "Method", "upsample"]
