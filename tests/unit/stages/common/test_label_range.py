"""Labels that are none of the classes: one line from every stage that reads them, no traceback."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from ectool.config import (
    DataCheckConfig,
    DataInfoConfig,
    EvaluateConfig,
    ExplainConfig,
    PerturbConfig,
    ScoreConfig,
    TrainConfig,
)
from ectool.errors import InputError, IntegrityError
from ectool.stages import evaluate, explain, perturb, score, train
from ectool.stages.data import check as data_check
from ectool.stages.data import info as data_info

N = 6
NAMES = tuple("0123456789")


def store(path, labels, names=NAMES):
    """Write images as another program would."""
    attributes = {"schema": "pictures", "version": 1}
    if names is not None:
        attributes["classes"] = list(names)
    group = zarr.create_group(path, attributes=attributes)
    ids = np.array([f"{row}.png" for row in range(len(labels))], dtype=np.dtypes.StringDType())
    group.create_array("sample_id", data=ids)
    group.create_array("label", data=np.asarray(labels))
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 3, 32, 32), np.uint8)
    group.create_array("image", data=images)
    return f"zarr:{path}"


WRONG = {
    "too great": (np.array([0, 1, 2, 3, 4, 10]), "a class from 0 to 9.*, got 10 for '5.png'"),
    "negative": (np.array([0, 1, -2, 3, 4, 9], np.int32), "got -2 for '2.png'"),
    "wide": (np.array([0, 1, 2, 3, 4, 2**31]), "got 2147483648 for '5.png'"),
    "several": (np.eye(N, 10, dtype=np.int16) * 256, "1, 0 or -1, got 127 for '0.png'"),
    "few entries": (np.eye(N, 9, dtype=np.int8), "for each of 10 classes, got 9 entries"),
}
STAGES = {
    "data info": lambda uri, _, to: data_info.run(DataInfoConfig(uri=uri)),
    "perturb": lambda uri, m, to: perturb.run(PerturbConfig(data=uri, model=m, output=to)).path,
    "explain": lambda uri, m, to: explain.run(ExplainConfig(data=uri, model=m, output=to)).path,
    "train": lambda uri, _, to: train.run(TrainConfig(data=uri, output=to)).path,
    "evaluate": lambda uri, m, to: (
        evaluate.run(EvaluateConfig(data=uri, model=m, split="train", output=to)).path
    ),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", WRONG)
def test_every_stage_refuses(stage, fault, model, tmp_path):
    labels, message = WRONG[fault]
    uri = store(tmp_path / "x.zarr", labels)
    with pytest.raises(InputError, match=f"labels of x/train: .*{message}") as stop:
        STAGES[stage](uri, str(model), tmp_path / "out.zarr")
    assert stop.value.exit_code == 3
    assert not (tmp_path / "out.zarr").exists()


def test_check_names_every_sample(listener, tmp_path):
    uri = store(tmp_path / "x.zarr", np.array([0, 12, 2, 3, -5, 9]))
    with pytest.raises(IntegrityError, match="got 2 faults") as stop:
        data_check.run(DataCheckConfig(uri=uri), listener)
    assert stop.value.exit_code == 5
    told = " ".join(listener.notes)
    assert "got 12 for '1.png'" in told
    assert "got -5 for '4.png'" in told


def test_a_number_that_cannot_be_one_of_a_class(tmp_path):
    uri = store(tmp_path / "x.zarr", np.array([0, 1, 2, 3, 4, 2**40]), names=None)
    with pytest.raises(InputError, match="classes below 100000, because they have no names"):
        data_info.run(DataInfoConfig(uri=uri))


@pytest.mark.parametrize(
    "stability", ["probability", "softened", "correct", "total-variation", "none"]
)
@pytest.mark.parametrize("wrong", [3, -2])
def test_heatmaps_of_no_class(stability, wrong, write, tmp_path):
    generator = np.random.default_rng(0)
    target = np.array([0, 1, 2, wrong])
    arrays = {
        "sample_id": np.array(list("abcd"), dtype=np.dtypes.StringDType()),
        "label": target,
        "target": target,
        **{name: generator.random((4, 5, 5), np.float32) for name in ("clean", "adversarial")},
        "logits_clean": generator.random((4, 3), np.float32),
        "logits_adversarial": generator.random((4, 3), np.float32),
    }
    path = write(tmp_path / "cams.zarr", "heatmaps", arrays)
    with pytest.raises(InputError, match=f"classes 0 to 2, as there are logits, got {wrong}"):
        score.run(ScoreConfig(heatmaps=path, stability=stability))
