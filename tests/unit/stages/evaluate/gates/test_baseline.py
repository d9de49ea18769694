"""Differences to a baseline, redone from the logits with scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from ectool.errors import InputError, UsageError
from ectool.metrics.calibration import expected_calibration_error, negative_log_likelihood
from ectool.metrics.means import skewness_adjusted_interval
from ectool.metrics.proportions import paired_shares_interval
from ectool.stages.evaluate.gates.baseline import check_baseline, comparisons
from ectool.stages.evaluate.gates.parse import parse_bound
from ectool.stages.evaluate.pairs import read_evaluation

CONSISTENCY = ("weights.zarr",)


@pytest.fixture(scope="module")
def pair(make_evaluation, tmp_path_factory):
    root = tmp_path_factory.mktemp("baseline")
    found = [
        make_evaluation(root / str(seed), skill=skill, seed=seed, arrays=CONSISTENCY)
        for seed, skill in enumerate((2, 4))
    ]
    return [read_evaluation(path) for path in found]


def logits(read, one):
    return read(one.path / "predictions.zarr")["original/logits"].astype(float)


def compared(text, baseline, own):
    bound = parse_bound(text)
    return comparisons([bound], baseline, own)[bound]


def test_right_and_wrong_are_paired_by_sample(pair, read, few_digits):
    baseline, own = (logits(read, one).argmax(1) == few_digits.labels for one in pair)
    found = compared("accuracy>=baseline", *pair)
    gained, lost = int((own & ~baseline).sum()), int((baseline & ~own).sum())
    assert found.p_value == pytest.approx(binomtest(gained, gained + lost).pvalue)
    assert (found.test, found.baseline, found.confidence) == ("McNemar", baseline.mean(), 0.95)
    interval = paired_shares_interval(own.astype(float) - baseline)
    assert found.difference == interval


def test_other_means_are_paired_too(pair, read, few_digits):
    first, second = (negative_log_likelihood(logits(read, one), few_digits.labels) for one in pair)
    found = compared("nll<=baseline", *pair)
    expected = skewness_adjusted_interval(second - first)
    assert found.difference.value == pytest.approx(expected.value)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        (expected.low, expected.high)
    )


def test_metrics_of_no_sample_are_compared_by_their_intervals(pair, read, few_digits):
    first, second = (
        expected_calibration_error(logits(read, one), few_digits.labels, resamples=1000, seed=0)
        for one in pair
    )
    found = compared("ece<=baseline", *pair)
    assert found.test == "intervals"
    assert np.isnan(found.p_value)
    assert found.difference.value == pytest.approx(second.value - first.value)
    assert found.difference.low == pytest.approx(second.low - first.high)
    assert found.difference.high == pytest.approx(second.high - first.low)


def test_tests_are_corrected_for_their_number_and_ends_are_not(pair):
    texts = ("accuracy>=baseline", "nll<=baseline", "brier<=baseline+1", "accuracy.low>=baseline")
    found = comparisons([parse_bound(text) for text in (*texts, "nll<=3")], *pair)
    confidences = [one.confidence for one in found.values()]
    assert confidences == pytest.approx([1 - 0.05 / 3] * 3 + [0.95])
    alone = compared("accuracy>=baseline", *pair)
    assert found[parse_bound("accuracy>=baseline")].difference.low < alone.difference.low


def test_an_evaluation_is_as_good_as_itself(pair):
    bounds = [parse_bound(f"{name}>=baseline") for name in ("accuracy", "ece", "robust@2/255")]
    for bound, found in comparisons(bounds, pair[0], pair[0]).items():
        assert bound.missed_against(found) is None
        assert found.difference.value == 0


def test_samples_are_joined_on_their_ids(make_evaluation, pair, tmp_path):
    turned = make_evaluation(tmp_path / "b", skill=4, seed=1, arrays=CONSISTENCY, reverse=True)
    for text in ("accuracy>=baseline", "explanation_consistency>=baseline"):
        assert compared(text, pair[0], read_evaluation(turned)) == compared(text, *pair)


def test_other_samples_and_images_are_refused(make_evaluation, pair, few_digits, tmp_path):
    other = [*few_digits.sample_ids[:-1], "stranger"]
    strange = read_evaluation(make_evaluation(tmp_path / "x", skill=1, seed=2, known=other))
    with pytest.raises(InputError, match=r"1 missing, the first .*; evaluate both models on the"):
        compared("accuracy>=baseline", strange, pair[1])
    changed = make_evaluation(tmp_path / "y", skill=1, seed=2, fingerprint="f" * 64)
    with pytest.raises(InputError, match=r"expected the original images of .*; evaluate both"):
        compared("accuracy>=baseline", read_evaluation(changed), pair[1])


def test_other_options_and_missing_metrics_are_refused(make_evaluation, pair, tmp_path):
    other = read_evaluation(make_evaluation(tmp_path / "x", skill=1, seed=2, restarts=2))
    assert compared("accuracy>=baseline", other, pair[1])
    for text, got in (("robust@2/255>=baseline", "none"), ("mask_iou>=baseline", "none")):
        metric = parse_bound(text).metric
        with pytest.raises(InputError, match=rf"expected {metric} with the options of .*{got}; ev"):
            compared(text, other, pair[1])


class TestBeforehand:
    def prints(self, pair):
        return pair[0].results["data"]["variants"]

    def test_a_baseline_of_these_images(self, pair, tmp_path):
        bounds = [parse_bound("accuracy>=baseline")]
        check_baseline(pair[0].path, tmp_path / "eval", bounds, self.prints(pair))
        check_baseline(None, tmp_path / "eval", (), self.prints(pair))

    def test_a_baseline_that_the_command_will_write(self, pair, tmp_path):
        bounds = [parse_bound("accuracy>=baseline")]
        check_baseline(tmp_path / "audit" / "old", tmp_path / "audit", bounds, self.prints(pair))
        with pytest.raises(InputError, match="expected evaluation artifact, got no folder"):
            check_baseline(tmp_path / "old", tmp_path / "audit", bounds, self.prints(pair))

    def test_other_images_are_refused(self, pair, tmp_path):
        bounds = [parse_bound("accuracy>=baseline")]
        with pytest.raises(InputError, match=r"expected the original images of .*got eeeeeeeeeeee"):
            check_baseline(pair[0].path, tmp_path / "eval", bounds, {"original": "e" * 64})

    def test_a_metric_that_it_lacks(self, pair, tmp_path):
        bounds = [parse_bound("nll<=1"), parse_bound("mask_iou>=baseline")]
        with pytest.raises(InputError, match=r"expected mask_iou with the options of .*got none; "):
            check_baseline(pair[0].path, tmp_path / "eval", bounds, self.prints(pair))

    def test_a_baseline_without_use(self, pair, tmp_path):
        with pytest.raises(UsageError, match="expected a bound that needs it, got none; add one"):
            check_baseline(pair[0].path, tmp_path, [parse_bound("nll<=1")], self.prints(pair))

    def test_the_output_is_no_baseline(self, pair):
        bounds, path = [parse_bound("accuracy>=baseline")], pair[0].path
        with pytest.raises(UsageError, match="expected another evaluation than --output"):
            check_baseline(path, path / ".." / path.name, bounds, self.prints(pair))
