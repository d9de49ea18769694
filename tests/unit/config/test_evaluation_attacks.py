"""The attacks of `evaluate`: every row can be run, and is explained in the help."""

import pytest

from ectool.attacks import ATTACKS
from ectool.config.evaluate import EvaluateConfig
from ectool.config.evaluation_attacks import EVALUATION_ATTACKS, attacks_help


@pytest.mark.parametrize("name", EVALUATION_ATTACKS)
def test_a_row_names_an_attack_of_ours_or_a_package(name):
    row = EVALUATION_ATTACKS[name]
    assert (row.method in ATTACKS) != (row.package is not None)
    assert (row.loss is None) == (row.method is None)


@pytest.mark.parametrize("name", EVALUATION_ATTACKS)
def test_the_help_names_every_attack_and_its_remark(name):
    row = EVALUATION_ATTACKS[name]
    expected = f"{name} ({row.remark})" if row.remark else name
    assert expected in attacks_help()
    assert attacks_help() in str(EvaluateConfig.model_fields["attacks"].description)


def test_an_attack_that_starts_at_the_image_draws_nothing():
    for row in EVALUATION_ATTACKS.values():
        if row.method is not None:
            assert row.is_random == (ATTACKS[row.method].start != "clean")
