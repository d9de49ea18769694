"""The suites of an evaluation, one folder each."""

from __future__ import annotations

from collections.abc import Mapping

from ectool.stages.evaluate.suites.base import Suite
from ectool.stages.evaluate.suites.classification import suite as classification
from ectool.stages.evaluate.suites.debiasing import suite as debiasing
from ectool.stages.evaluate.suites.faithfulness import suite as faithfulness
from ectool.stages.evaluate.suites.filters import suite as filters
from ectool.stages.evaluate.suites.localization import suite as localization
from ectool.stages.evaluate.suites.robustness import suite as robustness
from ectool.stages.evaluate.suites.sanity import suite as sanity
from ectool.stages.evaluate.suites.stability import suite as stability

SUITES: Mapping[str, Suite] = {
    "classification": classification.SUITE,
    "debiasing": debiasing.SUITE,
    "robustness": robustness.SUITE,
    "localization": localization.SUITE,
    "faithfulness": faithfulness.SUITE,
    "sanity": sanity.SUITE,
    "stability": stability.SUITE,
    "filters": filters.SUITE,
}
"""By name, in the order of results and reports."""
