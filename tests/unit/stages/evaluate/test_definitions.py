from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from ectool.config.evaluate import SUITES
from ectool.stages.evaluate.definitions import FAMILIES, METRICS, describe, suite_of

ON_VARIANTS = [name.partition("@")[0] for name in FAMILIES["debiasing"]]
AT_RADII = [
    base
    for base, _, detail in (n.partition("@") for n in FAMILIES["robustness"])
    if detail == "RADIUS"
]
EXAMPLES = {
    "VARIANT": "mixed_rand",
    "RADIUS": "2/255",
    "CORRUPTION": "fog",
    "MAPS": "random",
    "METHOD": "layercam",
}


def an_example(name):
    base, _, detail = name.partition("@")
    return f"{base}@{EXAMPLES[detail]}"


def test_every_suite_has_metrics():
    assert tuple(METRICS) == SUITES
    assert set(FAMILIES) < set(SUITES)


@pytest.mark.parametrize("tables", [METRICS, FAMILIES])
def test_every_metric_is_declared_once(tables):
    times = Counter(chain.from_iterable(tables.values()))
    assert set(times.values()) == {1}


@pytest.mark.parametrize("suite", SUITES)
def test_metrics_are_of_the_suite_that_declares_them(suite):
    names = [*METRICS[suite], *map(an_example, FAMILIES.get(suite, ()))]
    assert names
    assert {suite_of(name) for name in names} == {suite}


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        ("accuracy@original", "classification"),
        ("accuracy@mixed_rand", "debiasing"),
        ("accuracy@replaced-0.25", "debiasing"),
        ("robust@l2-0.5", "robustness"),
        ("corruption_accuracy", "robustness"),
        ("deletion@centre", "faithfulness"),
        ("agreement@rise", "stability"),
    ],
)
def test_details_decide_about_the_suite(name, suite):
    assert suite_of(name) == suite


@pytest.mark.parametrize("base", ON_VARIANTS)
def test_what_is_measured_on_a_variant_says_which(base):
    info = describe(f"{base}@mixed_rand")
    assert info.label.endswith(", mixed_rand")
    assert info.definition.endswith(": objects on backgrounds of random classes")
    assert info.higher_is_better
    assert describe(f"{base}@original").definition.endswith(": unchanged images")


def test_a_replaced_background_says_how_much():
    info = describe("accuracy@replaced-0.25")
    assert ": 25% of the background replaced" in info.definition


@pytest.mark.parametrize("base", ON_VARIANTS)
@pytest.mark.parametrize("variant", ["no_fg", "only_bg_t"])
def test_doing_well_without_the_object_is_bad(base, variant):
    assert not describe(f"{base}@{variant}").higher_is_better


@pytest.mark.parametrize("base", AT_RADII)
def test_what_is_measured_under_attack_says_the_radius(base):
    info = describe(f"{base}@2/255")
    assert info.label.endswith(", 2/255")
    assert info.definition.endswith(", L-inf, eps 2/255")
    assert info.higher_is_better


@pytest.mark.parametrize(
    ("name", "label", "end"),
    [
        ("robust@l2-0.5", "robust accuracy, l2-0.5", "(Madry et al. 2018), L2, eps 0.5"),
        ("robust_fgsm_map@1/255", "robust mAP (FGSM), 1/255", "L-inf, eps 1/255"),
        ("robust_area@l2", "area under robustness, l2", "that was run"),
        ("corruption_accuracy@fog", "accuracy under corruption, fog", "2019): fog"),
        ("agreement@rise", "agreement, rise", "coarser of the two: rise"),
        ("road@centre", "ROAD, centre", "; for heatmaps with a spot at the centre"),
    ],
)
def test_details_have_their_own_labels(name, label, end):
    info = describe(name)
    assert info.label == label
    assert info.definition.endswith(end)


def test_labels_tell_metrics_apart():
    families = map(an_example, chain.from_iterable(FAMILIES.values()))
    names = [*chain.from_iterable(METRICS.values()), *families]
    assert len({describe(name).label for name in names}) == len(names)


@pytest.mark.parametrize(
    "name", ["nonsense", "nonsense@original", "robust", "robust@", "deletion@nonsense", "nll@1"]
)
def test_an_unknown_metric_has_no_description(name):
    for ask in (describe, suite_of):
        with pytest.raises(KeyError):
            ask(name)


def test_a_share_of_the_background_is_a_number():
    with pytest.raises(ValueError, match="much"):
        describe("accuracy@replaced-much")


def test_what_has_another_range_is_no_share():
    metrics = {name: info for own in METRICS.values() for name, info in own.items()}
    assert {name for name, info in metrics.items() if not info.is_share} == {
        *("nll", "brier", "mce", "relative_mce", "location_instability"),
        *("sensitivity_max", "sanity_cascading", "sanity_independent", "filter_instability"),
    }
    assert not describe("agreement@layercam").is_share
    assert describe("accuracy@original").is_share
