"""`train --shuffle-labels`: the same labels, but not those of the images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ectool.config import DataOptions, TrainConfig
from ectool.datasets.labels import shuffled
from ectool.errors import UsageError
from ectool.stages import train
from ectool.stages.common.inputs import open_data
from ectool.stages.train.feed import Feed

SIDE = 16


@pytest.fixture
def data(images, data_root):
    return {"data": f"imagefolder:{images}", "size": SIDE}


def config_of(output, data, **given):
    options = {"epochs": 2, "batch_size": 16, "device": "cpu", **data, **given}
    return TrainConfig(output=output, **options)


def labels_of(data, **given):
    """Return the label that every image is learned with, in the data set's order."""
    dataset = open_data(DataOptions(**data), "train")
    config = config_of("m", data, **given)
    feed = Feed(dataset, config, weights=None, perturbed=None, device=torch.device("cpu"))
    return feed.labels.numpy(), dataset.labels


def test_every_label_is_kept_and_goes_to_another_image(data):
    found, true = labels_of(data, shuffle_labels=True)
    assert sorted(found) == sorted(true)
    assert 0.3 < (found == true).mean() < 0.7  # two classes of twenty images each
    plain, true = labels_of(data)
    np.testing.assert_array_equal(plain, true)


def test_the_order_is_that_of_the_seed(data):
    first, _ = labels_of(data, shuffle_labels=True, seed=1)
    again, _ = labels_of(data, shuffle_labels=True, seed=1)
    other, _ = labels_of(data, shuffle_labels=True, seed=2)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_multilabel_samples_keep_them_together():
    labels = np.array([[1, 0, -1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], np.int8)
    found = shuffled(labels, 0)
    assert sorted(map(tuple, found)) == sorted(map(tuple, labels))


def test_training_goes_on_with_the_same_labels(data, tmp_path):
    whole = train.run(config_of(tmp_path / "whole", data, shuffle_labels=True)).path
    first = train.run(config_of(tmp_path / "first", data, shuffle_labels=True, until_epoch=1)).path
    rest = train.run(TrainConfig(resume=first, output=tmp_path / "rest", device="cpu")).path
    weights = [(path / "model.safetensors").read_bytes() for path in (whole, rest)]
    assert weights[0] == weights[1]
    true = train.run(config_of(tmp_path / "true", data)).path
    assert (true / "model.safetensors").read_bytes() != weights[0]
    with pytest.raises(UsageError, match=r"--shuffle-labels: expected False"):
        train.run(
            TrainConfig(resume=true, shuffle_labels=True, output=tmp_path / "no", device="cpu")
        )
