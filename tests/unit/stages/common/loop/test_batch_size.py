"""The first automatic batch size."""

import pytest
import torch

from ectool.config import ExplainConfig, MaterializeConfig
from ectool.config.groups import AutomaticSize
from ectool.models.memory import first_batch
from ectool.stages.common.loop.batch_size import sized


def options(tmp_path, **given):
    return ExplainConfig(model="m", output=tmp_path / "c.zarr", device="cpu", **given)


@pytest.mark.parametrize(
    ("side", "shard", "expected"), [(224, 256, 12), (64, 256, 147), (64, 100, 100), (2000, 256, 1)]
)
def test_a_batch_keeps_the_cores_busy_and_fits_into_a_shard(side, shard, expected, tmp_path):
    config = sized(options(tmp_path, batch_size="auto", shard_size=shard), (side, side))
    assert config.batch == expected
    assert isinstance(config.batch, AutomaticSize)


def test_a_number_is_kept(tmp_path):
    config = options(tmp_path, batch_size=7)
    assert sized(config, (224, 224)) is config
    assert not isinstance(config.batch, AutomaticSize)


def test_auto_changes_no_key_and_has_no_number_before_it_is_chosen(tmp_path):
    auto = options(tmp_path, batch_size="auto")
    assert auto.keyed() == options(tmp_path).keyed() == sized(auto, (64, 64)).keyed()
    with pytest.raises(ValueError, match="not been chosen"):
        _ = auto.batch


def test_stages_without_a_device_choose_as_on_a_cpu(tmp_path):
    config = MaterializeConfig(uri="digits", output=tmp_path / "d.zarr", batch_size="auto")
    assert sized(config, (64, 64)).batch == first_batch((64, 64), torch.device("cpu"))


def test_an_accelerator_begins_with_more():
    assert first_batch((224, 224), torch.device("cuda")) == 512
    assert first_batch((448, 448), torch.device("meta")) == 128
