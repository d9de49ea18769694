"""Objects on every background against a copy of the official evaluation."""

import shutil

import numpy as np
import pytest
import torch
from miniatures.imagenet9 import write_imagenet9
from PIL import Image
from torchvision.transforms.functional import to_tensor

from ectool.config import EvaluateConfig, TrainConfig
from ectool.datasets.base import DataRequest
from ectool.datasets.published.imagenet9 import open_imagenet9
from ectool.datasets.views import View
from ectool.errors import InputError
from ectool.models.registry import create
from ectool.stages import evaluate, train
from ectool.stages.evaluate.one_model import open_variants
from ectool.stages.evaluate.results import read_metrics
from ectool.stages.evaluate.suites.debiasing.challenge import ChallengeWork

SIDE = 48
CLASSES = 9


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet9")
    write_imagenet9(root / "imagenet9", per_class=2, train_per_class=2)
    return root


def variant(root, name, kind="squash"):
    return open_imagenet9(DataRequest("", "test", root, name, View(SIDE, kind)))


@pytest.fixture(scope="module")
def model():
    """Untrained, but with predictions that depend on the image."""
    model = create("smallcnn", [str(k) for k in range(CLASSES)], seed=1, input_size=(SIDE, SIDE))
    with torch.no_grad():
        model.network.get_submodule("head").weight.mul_(100)
    return model.eval()


def official(root, model):
    """`adv_bgs_eval_model` of challenge_eval.py: every foreground on every background."""
    folder = root / "imagenet9" / "bg_challenge"
    paths = sorted((folder / "only_bg_t" / "val").glob("*/*.JPEG"))
    backgrounds = torch.stack([to_tensor(Image.open(path)) for path in paths])
    robust = []
    for path in sorted((folder / "original" / "val").glob("*/*.JPEG")):
        mask = np.load(folder / "fg_mask" / "val" / path.parent.name / f"{path.stem}.npy")
        tiled = np.tile(mask[:, :, np.newaxis], [1, 1, 3]).astype("uint8")
        big_mask = to_tensor(Image.fromarray(tiled * 255))
        combined = backgrounds * (1 - big_mask) + big_mask * to_tensor(Image.open(path))
        with torch.no_grad():
            predictions = model(combined).argmax(dim=1)
        robust.append(bool((predictions == int(path.parent.name[:2])).all()))
    return np.array(robust)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_robust_objects_are_the_official_ones(root, model, block):
    expected = official(root, model)
    assert 0 < expected.sum() < len(expected)
    work = ChallengeWork(model, variant(root, "original"), variant(root, "only_bg_t"), block)
    order = np.array([3, 0, 17, 11, 4, 9, 10])
    found = work.compute(work.load(order))
    np.testing.assert_array_equal(found["robust"], expected[order])
    np.testing.assert_array_equal(work.compute(work.load(np.arange(18)))["robust"], expected)


def test_missing_masks_or_backgrounds_are_an_error_before_anything_is_computed(
    model, few_options, tmp_path
):
    path = tmp_path / "w.pth"
    torch.save(model.network.state_dict(), path)
    config = EvaluateConfig(
        **few_options,
        model="smallcnn",
        checkpoint=path,
        classes=CLASSES,
        output=tmp_path / "e",
        challenge=True,
    )
    with pytest.raises(InputError, match=r"--challenge: expected .* masks and .* only_bg_t"):
        evaluate.run(config)
    assert not (tmp_path / "e").exists()


def test_missing_variants_are_left_out(root, model, tmp_path, monkeypatch, listener):
    shutil.copytree(root, tmp_path / "data")
    folder = tmp_path / "data" / "imagenet9" / "bg_challenge"
    shutil.rmtree(folder / "mixed_rand")
    monkeypatch.setenv("ECTOOL_DATA", str(tmp_path / "data"))
    config = EvaluateConfig(model="-", data="imagenet9", size=SIDE, output=tmp_path / "e")
    found = open_variants(config, listener)
    assert "mixed_rand" not in found
    assert "mixed_same" in found
    assert listener.warnings[0].startswith("without the variant mixed_rand: ")
    for path in sorted((folder / "no_fg" / "val" / "00_dog").iterdir())[:1]:
        path.unlink()
    with pytest.raises(InputError, match="expected the samples of imagenet9/test"):
        open_variants(config, listener)


def test_the_share_of_robust_objects_is_a_metric(root, tmp_path, monkeypatch, quick_evaluation):
    monkeypatch.setenv("ECTOOL_DATA", str(root))
    data = {"data": "imagenet9", "size": SIDE, "view": "squash", "device": "cpu"}
    trained = train.run(TrainConfig(**data, epochs=1, output=tmp_path / "m")).path
    given = {**quick_evaluation, "suite": "debiasing", "challenge": True}
    config = EvaluateConfig(**data, **given, model=str(trained), output=tmp_path / "e")
    found = read_metrics(evaluate.run(config).path)
    assert found["background_robustness"]["n"] == 18
    assert found["accuracy@only_bg_b"]["n"] == 18
    assert found["background_gap"]["n"] == 18
