"""Training objectives: one file per objective, and one row of `OBJECTIVES`.

An objective maps a model and a batch to a loss (`base.Objective`). It also needs a row with its
options and defaults in `OBJECTIVE_OPTIONS` of ectool/config/objectives.py, and a section in
docs/objectives.md; tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable

from ectool.training.objectives.adversarial import Adversarial
from ectool.training.objectives.adversarial_background import AdversarialBackground
from ectool.training.objectives.base import Batches, Objective, Setup
from ectool.training.objectives.cgc import CGC
from ectool.training.objectives.cutmix import CutMix
from ectool.training.objectives.erm import ERM
from ectool.training.objectives.explanation_consistency import ExplanationConsistency
from ectool.training.objectives.focal import Focal
from ectool.training.objectives.group_dro import GroupDRO
from ectool.training.objectives.jtt import JustTrainTwice
from ectool.training.objectives.label_smoothing import LabelSmoothing
from ectool.training.objectives.lff import LearningFromFailure
from ectool.training.objectives.masktune import MaskTune
from ectool.training.objectives.mixup import Mixup
from ectool.training.objectives.ohem import OHEM
from ectool.training.objectives.random_weights import RandomWeights
from ectool.training.objectives.saliency import SaliencyGuided
from ectool.training.objectives.self_paced import SelfPaced
from ectool.training.objectives.trades import Trades

OBJECTIVES: dict[str, Callable[[Setup], Objective]] = {
    "erm": ERM,
    "focal": Focal,
    "adversarial": Adversarial,
    "adversarial-background": AdversarialBackground,
    "label-smoothing": LabelSmoothing,
    "random": RandomWeights,
    "ohem": OHEM,
    "self-paced": SelfPaced,
    "group-dro": GroupDRO,
    "mixup": Mixup,
    "cutmix": CutMix,
    "trades": Trades,
    "jtt": JustTrainTwice,
    "lff": LearningFromFailure,
    "saliency": SaliencyGuided,
    "cgc": CGC,
    "masktune": MaskTune,
    "ec": ExplanationConsistency,
    "ec-weights": ExplanationConsistency,
    "ec-other": ExplanationConsistency,
    "ec-cam": ExplanationConsistency,
    "ec-samples": ExplanationConsistency,
    "ec-permuted": ExplanationConsistency,
    "ec-random": ExplanationConsistency,
    "ec-rate": ExplanationConsistency,
}

__all__ = ["OBJECTIVES", "Batches", "Objective", "Setup"]
