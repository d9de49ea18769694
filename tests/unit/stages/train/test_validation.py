"""The learning curves of parts of the validation images."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from ectool.config import DataOptions, TrainConfig
from ectool.models.registry import create
from ectool.stages.common.inputs import open_data
from ectool.stages.train.feed import Feed
from ectool.stages.train.validation import point_of
from ectool.training.loop import EpochResult
from ectool.training.ranks.ranks import ALONE
from tests.gloo import on_ranks


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_ranks_agree_with_one_process(kind, images, tmp_path):
    data = f"imagefolder:{images}"
    if kind == "labels":
        shutil.copytree(images, tmp_path, dirs_exist_ok=True)
        paths = sorted(path.relative_to(images) for path in images.glob("train/*/*.png"))
        lines = [
            f"{path},{path.parts[1]}{'|bright' if n % 3 else ''},train"
            for n, path in enumerate(paths)
        ]
        (tmp_path / "several.csv").write_text("\n".join(["path,labels,split", *lines]) + "\n")
        data = f"csv:{tmp_path / 'several.csv'}"
    dataset = open_data(DataOptions(data=data, size=16, limit=11), "train")
    model = create("smallcnn", dataset.classes, seed=0, input_size=(16, 16))
    config = TrainConfig(output="m", data=data)

    def point(ranks):
        device = torch.device("cpu")
        feed = Feed(dataset, config, weights=None, perturbed=None, device=device, ranks=ranks)
        return point_of(2, EpochResult(0.5, 0.25), model, {"original": dataset}, feed)

    expected = point(ALONE)
    assert expected["epoch"] == 3
    for found in on_ranks(2, point):
        assert found.keys() == expected.keys()
        np.testing.assert_allclose(list(found.values()), list(expected.values()))
