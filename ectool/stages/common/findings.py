"""Findings: what can spoil the results of an artifact, by name, as sentences that say what to do.

Stages count what they see while they compute, and manifests hold the counts. Each row of `FINDINGS`
tells from these counts whether something is wrong. A new finding needs a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ectool.artifacts.store import read_manifest
from ectool.stages.common import spread
from ectool.stages.common.constant_maps import (
    EXPLAINED,
    FINDING,
    SATURATED,
    UNALTERED,
    UNDEFINED,
    ZERO,
)
from ectool.stages.common.huge_logits import HUGE_LOGITS, LIMIT
from ectool.stages.common.layout import (
    AUTO_EPS,
    AUTO_EPS_AT_END,
    AUTO_EPS_CHANGED,
    AUTO_EPS_SAMPLES,
    MISCLASSIFIED,
    NO_GRADIENT,
    UNMOVED,
)
from ectool.types import Finding

Counts = Mapping[str, float]
DEAD = 0.1
"""Share of zero heatmaps that is a finding; a few are common after a ReLU."""
NEARLY_ALL = 0.95
"""Share of misclassified samples that is a finding of an attack."""


@dataclass(frozen=True)
class Row:
    """A finding.

    Attributes:
        title: What is wrong, in a few words and without numbers.
        tell: Returns the sentence, given counts and number of samples; empty if all is well.
        kind: Schema of the artifacts that can have it; None for all.
    """

    title: str
    tell: Callable[[Counts, int], str]
    kind: str | None = None


def findings_of(path: Path) -> Iterator[Finding]:
    """Yield the findings of an artifact."""
    manifest = read_manifest(path)
    if manifest is None:
        return
    counts = manifest.all_findings()
    for name, row in FINDINGS.items():
        if row.kind in (None, manifest.kind) and (text := row.tell(counts, manifest.length)):
            yield Finding(name, path, text, row.title)


def _zero(counts: Counts, length: int) -> str:
    total = counts.get(EXPLAINED, length)
    zero = max((count for name, count in counts.items() if name.startswith(ZERO)), default=0)
    if not zero or zero < DEAD * total:
        return ""
    which = "all heatmaps" if zero >= total else f"{zero:g} of {total:g} heatmaps"
    return (
        f"{which} are zero, so they show nothing; check the model, or choose another --layer or "
        "--method"
    )


def _constant(counts: Counts, _length: int) -> str:
    meant = (FINDING, UNDEFINED)
    constant = sum(int(n) for name, n in counts.items() if name.startswith(meant))
    if not constant:
        return ""
    return (
        f"{constant} heatmaps are constant (or zero), so they show nothing and give no "
        "background mask; choose a layer with a larger map (--layer), a larger --size or "
        "another --method"
    )


def _saturated(counts: Counts, length: int) -> str:
    total = counts.get(EXPLAINED, length)
    saturated = max((n for name, n in counts.items() if name.startswith(SATURATED)), default=0)
    if not saturated:
        return ""
    return (
        f"{saturated:g} of {total:g} heatmaps are saturated: values beyond the maximum of float16 "
        "are cut to it, so similarities are too high; check the scale of the network, or choose "
        "another --layer or --method"
    )


def _unaltered(counts: Counts, _length: int) -> str:
    if not (unaltered := int(counts.get(UNALTERED, 0))):
        return ""
    return (
        f"{unaltered} logits did not change under random weights, so some blocks were not "
        "randomised; see its tables"
    )


def _huge_logits(counts: Counts, length: int) -> str:
    if not (huge := counts.get(HUGE_LOGITS)):
        return ""
    return (
        f"{huge:g} of {length} samples have logits beyond {LIMIT:g}, so probabilities are 0 or 1 "
        "and gradients of the loss vanish; check --mean, --std and the checkpoint, or train with "
        "a lower --lr"
    )


def _radius_at_end(counts: Counts, _length: int) -> str:
    if AUTO_EPS_AT_END not in counts:
        return ""
    changed, count = 100 * counts[AUTO_EPS_CHANGED], int(counts[AUTO_EPS_SAMPLES])
    if count == 0:
        return "--eps auto: no prediction is correct, so eps is the smallest radius; train longer"
    end = "smallest" if changed >= 50 else "largest"
    return (
        f"--eps auto: the {end} radius, {counts[AUTO_EPS]:.4g}, changes {changed:.0f} % of "
        f"{count} correct predictions, so explanation consistency may have no spread"
    )


def _unmoved(counts: Counts, length: int) -> str:
    if not (unmoved := counts.get(UNMOVED)):
        return ""
    return (
        f"{unmoved} of {length} samples are unchanged: the steps are smaller than one grey "
        "level; increase --eps, --alpha or --steps"
    )


def _no_gradient(counts: Counts, length: int) -> str:
    if not (stuck := counts.get(NO_GRADIENT)):
        return ""
    return (
        f"{stuck} of {length} samples had no usable gradient: the model rounds or is "
        "saturated, so this attack is no evidence of robustness"
    )


def _misclassified(counts: Counts, length: int) -> str:
    misclassified = counts.get(MISCLASSIFIED, 0)
    if not length or misclassified < NEARLY_ALL * length or AUTO_EPS in counts:
        return ""
    which = "every sample is"
    if misclassified < length:
        which = f"{misclassified:g} of {length} samples are"
    return (
        f"{which} misclassified after the attack, so sample weights may barely differ; lower "
        "--eps, or use --eps auto"
    )


FINDINGS: Mapping[str, Row] = {
    "zero-heatmaps": Row("heatmaps are zero", _zero),
    "unaltered-logits": Row("random weights do not change logits", _unaltered),
    "constant-heatmaps": Row("heatmaps are constant", _constant),
    "saturated-heatmaps": Row("heatmaps are saturated", _saturated),
    "huge-logits": Row("logits are huge", _huge_logits),
    "radius-at-end": Row("no radius changes half of the predictions", _radius_at_end, "samples"),
    "unchanged-samples": Row("samples are unchanged", _unmoved, "samples"),
    "no-gradient": Row("samples had no usable gradient", _no_gradient, "samples"),
    "all-misclassified": Row("nearly every sample is misclassified", _misclassified, "samples"),
    "no-spread": Row("explanation consistency has no spread", spread.without_spread, "weights"),
    "stability-alone": Row(
        "explanation consistency is practically the prediction stability alone",
        spread.stability_alone,
        "weights",
    ),
}
"""By name, in the order in which they are told."""
