"""Attacks of `evaluate`, one row each: options, help, metrics, figures and the work follow from it.

A new attack is a file in ectool/attacks, with its row of `ATTACKS` there, and a row of
`EVALUATION_ATTACKS` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TARGETS = 9
"""Maximum number of incorrect classes that targeted attacks try (Croce and Hein 2020)."""


@dataclass(frozen=True)
class EvaluationAttack:
    """An attack of `evaluate`.

    Attributes:
        label: Name in tables and figures.
        definition: What it does, and its source.
        method: Attack in `ectool.attacks.ATTACKS`; None where `package` runs it.
        loss: `rescaled`: cross-entropy of rescaled logits; `targeted`: one loss per target class;
            None where `package` has its own.
        remark: Addition to its name in the help.
        takes_steps: Whether `--steps` and `--restarts` apply.
        is_random: Whether it draws random numbers.
        supports_multilabel: Whether it supports multi-label targets.
        only_background: Whether it is confined to the pixels outside the object, in the L-inf norm.
        package: Package that runs it.
        min_classes: Minimum number of classes.
    """

    label: str
    definition: str
    method: str | None
    loss: Literal["rescaled", "targeted"] | None = "rescaled"
    remark: str = ""
    takes_steps: bool = True
    is_random: bool = True
    supports_multilabel: bool = False
    only_background: bool = False
    package: str | None = None
    min_classes: int = 2


EVALUATION_ATTACKS: Mapping[str, EvaluationAttack] = {
    "fgsm": EvaluationAttack(
        "FGSM",
        "one step of its gradient's sign (FGSM, Goodfellow et al. 2015)",
        method="fgsm",
        takes_steps=False,
        is_random=False,
        supports_multilabel=True,
    ),
    "pgd": EvaluationAttack(
        "PGD", "PGD (Madry et al. 2018)", method="pgd", supports_multilabel=True
    ),
    "background": EvaluationAttack(
        "PGD on the background",
        "PGD on the pixels outside the object alone",
        method="pgd",
        remark="pgd outside the object",
        supports_multilabel=True,
        only_background=True,
    ),
    "apgd-ce": EvaluationAttack(
        "APGD-CE", "Auto-PGD on cross-entropy (Croce and Hein 2020)", method="apgd"
    ),
    "apgd-t": EvaluationAttack(
        "APGD-T",
        f"Auto-PGD towards each of the {TARGETS} most probable incorrect classes (Croce and Hein "
        "2020)",
        method="apgd",
        loss="targeted",
        remark="nine times as costly",
    ),
    "autoattack": EvaluationAttack(
        "AutoAttack",
        "AutoAttack (Croce and Hein 2020) by torchattacks",
        method=None,
        loss=None,
        remark="torchattacks",
        takes_steps=False,
        package="torchattacks",
        min_classes=4,
    ),
}
"""By their names in `--attacks`, in the order of the help."""


def attacks_help() -> str:
    """Return the names of all attacks with their remarks."""
    return ", ".join(
        f"{name} ({row.remark})" if row.remark else name for name, row in EVALUATION_ATTACKS.items()
    )
