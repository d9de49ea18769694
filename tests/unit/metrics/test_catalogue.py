from __future__ import annotations

import pytest

from ectool.metrics.catalogue import BY_RADIUS, BY_VARIANT, METRICS, describe


@pytest.mark.parametrize("base", BY_VARIANT)
def test_what_is_measured_on_a_variant_says_which(base):
    info = describe(f"{base}@mixed_rand")
    assert info.label.endswith(", mixed_rand")
    assert info.definition.endswith(": objects on backgrounds of random classes")
    assert info.higher_is_better


@pytest.mark.parametrize("base", BY_VARIANT)
@pytest.mark.parametrize("variant", ["no_fg", "only_bg_t"])
def test_doing_well_without_the_object_is_bad(base, variant):
    assert not describe(f"{base}@{variant}").higher_is_better


@pytest.mark.parametrize("base", BY_RADIUS)
def test_what_is_measured_under_attack_says_the_radius(base):
    info = describe(f"{base}@2/255")
    assert info.label.endswith(", 2/255")
    assert info.definition.endswith("eps 2/255")
    assert info.higher_is_better


def test_labels_tell_metrics_apart():
    names = [f"{base}@original" for base in BY_VARIANT] + [f"{base}@1/255" for base in BY_RADIUS]
    names += list(METRICS)
    assert len({describe(name).label for name in names}) == len(names)


def test_an_unknown_metric_has_no_description():
    with pytest.raises(KeyError, match="nonsense"):
        describe("nonsense@original")


def test_only_scores_of_probabilities_are_no_shares():
    assert [name for name, info in METRICS.items() if not info.is_share] == ["nll", "brier"]
    assert describe("accuracy@original").is_share
