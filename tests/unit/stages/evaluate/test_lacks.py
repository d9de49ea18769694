"""What suites cannot give: warnings, or an error before anything is computed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ectool.cli.main import main
from ectool.config import DataOptions, EvaluateConfig
from ectool.config.evaluate import SUITES
from ectool.errors import InputError
from ectool.stages.common.inputs import open_data
from ectool.stages.evaluate.lacks import check_suites


class Several:
    """The same images with multi-label labels."""

    def __init__(self, dataset):
        self._dataset = dataset
        self.labels = np.eye(len(dataset.classes), dtype=np.int8)[dataset.labels]

    def __getattr__(self, name):
        return getattr(self._dataset, name)


@pytest.fixture(scope="module")
def plain(bare):
    """Return digits without masks."""
    return open_data(DataOptions(data=f"imagefolder:{bare}", size=32), "all")


@pytest.fixture
def told(listener, tmp_path):
    """Return a function that checks suites and returns the warnings, without the data set."""

    def check(dataset, suite, *, is_program=False, others=None, **options):
        config = EvaluateConfig(model="-", output=tmp_path, suite=suite, **options)
        variants = {"original": dataset, **(others or {})}
        check_suites(config, variants, listener, is_program=is_program)
        return [text.removeprefix(f"{dataset.name}: without ") for text in listener.warnings]

    return check


NO_OBJECTS = "because the images have no object masks, boxes or parts"


def test_data_with_masks_and_backgrounds_have_all_suites(told, few_digits):
    assert told(few_digits, SUITES, others={"mixed_rand": few_digits}) == []


def test_each_suite_that_gives_nothing_is_a_warning(told, plain):
    assert told(plain, SUITES) == [
        "debiasing, because the data have no images on other backgrounds",
        "robustness: background, because the images have no object masks or boxes",
        f"localization, {NO_OBJECTS}",
        f"filters: filter_instability, {NO_OBJECTS}",
    ]


@pytest.mark.parametrize(
    ("suite", "options", "got"),
    [
        ("localization", {}, "localization: the images have no object masks, boxes or parts"),
        ("debiasing", {}, "debiasing: the data have no images on other backgrounds"),
        ("robustness", {"attacks": ("background",), "corruptions": ()}, "robustness: the images"),
        ("robustness", {"attacks": (), "corruptions": ()}, "neither attacks nor corruptions"),
        ("debiasing,localization", {}, "other backgrounds; localization: the images have no"),
    ],
)
def test_without_any_metric_is_an_error(told, plain, suite, options, got):
    with pytest.raises(InputError, match=f"--suite {suite}: .* got .*{got}"):
        told(plain, suite, **options)


def test_multi_label_data_have_no_faithfulness_and_no_corruptions(told, few_digits):
    several = Several(few_digits)
    assert told(several, ("faithfulness", "robustness", "filters"), attacks=("pgd",)) == [
        "robustness: corruptions, because they are measured of one label a sample",
        "faithfulness, because it is defined for one label a sample",
        "filters: filter_instability, because it is defined for one label a sample",
    ]
    with pytest.raises(InputError, match="faithfulness: it is defined for one label a sample"):
        told(several, "faithfulness")


def test_a_program_has_no_suites_of_heatmaps(told, few_digits):
    (text,) = told(few_digits, ("classification", "sanity"), is_program=True)
    assert text.startswith("sanity, because a program has no layers for heatmaps")
    with pytest.raises(InputError, match=r"--suite sanity,filters: .*a program has no layers"):
        told(few_digits, ("sanity", "filters"), is_program=True)


def test_replaced_shares_need_masks_and_the_variant(told, plain, few_digits):
    expected = "debiasing: replaced shares, because it needs object masks and the variant"
    for dataset, other in ((few_digits, "only_fg"), (plain, "mixed_rand")):
        assert told(dataset, "debiasing", others={other: dataset})[-1].startswith(expected)
    assert len(told(plain, "debiasing", others={"mixed_rand": plain}, replaced=())) == 2


@pytest.mark.parametrize("many", [False, True])
def test_the_command_ends_at_once_with_one_line(capsys, bare, model, tmp_path, many):
    which = ("--models", f"{model.parent}/*") if many else ("--model", str(model))
    given = ("--data", f"imagefolder:{bare}", "--split", "all", "--suite", "localization")
    start = time.perf_counter()
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *which, *given, "--size", "32", "--output", str(tmp_path / "e")])
    found = capsys.readouterr()
    assert (stop.value.code, found.out) == (3, "")
    assert found.err.startswith("error: --suite localization: expected a suite that can give")
    assert found.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert time.perf_counter() - start < 5
