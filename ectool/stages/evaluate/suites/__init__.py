"""The suites of an evaluation, one module each."""

from __future__ import annotations

from collections.abc import Mapping

from ectool.stages.evaluate.suites import (
    classification,
    debiasing,
    faithfulness,
    localization,
    robustness,
    sanity,
    stability,
)
from ectool.stages.evaluate.suites.base import Suite

SUITES: Mapping[str, Suite] = {
    "classification": classification.SUITE,
    "debiasing": debiasing.SUITE,
    "robustness": robustness.SUITE,
    "localization": localization.SUITE,
    "faithfulness": faithfulness.SUITE,
    "sanity": sanity.SUITE,
    "stability": stability.SUITE,
}
"""By name, in the order of results and reports."""
