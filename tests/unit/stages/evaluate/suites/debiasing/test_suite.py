"""The Backgrounds Challenge on a miniature of it, redone from its files; replaced backgrounds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from miniatures.imagenet9 import write_imagenet9
from PIL import Image
from torchvision.transforms.functional import to_tensor

from ectool.artifacts.artifact import Artifact
from ectool.config import EvaluateConfig
from ectool.models.registry import create
from ectool.stages import evaluate

SIDE, CLASSES, LIMIT = 48, 9, 40
VARIANTS = ("mixed_same", "mixed_rand", "mixed_next", "only_fg", "only_bg_t", "only_bg_b", "no_fg")


def measured(**options):
    """Evaluate and return what `results.json` says."""
    given = {"suite": ("debiasing",), "bootstrap": 100, "device": "cpu", **options}
    config = EvaluateConfig(**given)
    return json.loads((evaluate.run(config).path / "results.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a miniature Backgrounds Challenge."""
    root = tmp_path_factory.mktemp("data")
    write_imagenet9(root / "imagenet9", per_class=2, train_per_class=1)
    return root / "imagenet9" / "bg_challenge"


@pytest.fixture(scope="module")
def network():
    """Untrained, but with predictions that depend on the image."""
    network = create("smallcnn", [str(k) for k in range(CLASSES)], seed=1, input_size=(SIDE, SIDE))
    with torch.no_grad():
        network.network.get_submodule("head").weight.mul_(100)
    return network.eval()


def images(folder, variant):
    """Yield the true class of every image of a variant, its path and its pixels."""
    for path in sorted((folder / variant / "val").glob("*/*.JPEG")):
        yield int(path.parent.name[:2]), path, to_tensor(Image.open(path))


def accuracy(folder, network, variant):
    with torch.no_grad():
        right = [
            int(network(pixels[None]).argmax()) == label
            for label, _, pixels in images(folder, variant)
        ]
    return np.mean(right)


def share_of_robust_objects(folder, network):
    """Put every object on every background, one image at a time."""
    robust = []
    for label, path, pixels in images(folder, "original"):
        mask = np.load(folder / "fg_mask" / "val" / path.parent.name / f"{path.stem}.npy")
        predictions = set()
        for _, _, background in images(folder, "only_bg_t"):
            pasted = torch.where(torch.from_numpy(mask), pixels, background)
            with torch.no_grad():
                predictions.add(int(network(pasted[None]).argmax()))
        robust.append(predictions == {label})
    return np.mean(robust)


def test_the_challenge_redone_from_its_files(folder, network, tmp_path, monkeypatch):
    monkeypatch.setenv("ECTOOL_DATA", str(folder.parents[1]))
    torch.save(network.network.state_dict(), tmp_path / "w.pth")
    results = measured(
        model="smallcnn",
        checkpoint=tmp_path / "w.pth",
        classes=CLASSES,
        data="imagenet9",
        size=SIDE,
        view="squash",
        challenge=True,
        replaced=(1.0,),
        output=tmp_path / "e",
    )
    found = {name: entry["value"] for name, entry in results["metrics"].items()}
    expected = {f"accuracy@{name}": accuracy(folder, network, name) for name in VARIANTS}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert len(set(expected.values())) > 2
    gap = expected["accuracy@mixed_same"] - expected["accuracy@mixed_rand"]
    assert found["background_gap"] == pytest.approx(gap)
    robust = share_of_robust_objects(folder, network)
    assert found["background_robustness"] == pytest.approx(robust)
    assert 0 < robust < 1


@pytest.fixture
def measured_digits(model, tmp_path):
    """Return a function that measures the digits in one folder, and that folder."""

    def measure(shares):
        return measured(model=str(model), limit=LIMIT, replaced=shares, output=tmp_path / "digits")

    return measure, tmp_path / "digits"


def test_accuracy_falls_from_the_image_to_the_other_background(measured_digits):
    results = measured_digits[0]((1.0, 0.5))
    curve = [line for line in results["tables"]["curves"] if line["curve"] == "replaced"]
    assert [line["share"] for line in curve] == [0, 0.5, 1]
    metrics = results["metrics"]
    # The objects of both variants are the same pixels, so the last point is a variant.
    assert curve[-1]["value"] == metrics["accuracy@mixed_rand"]["value"]
    assert curve[1]["value"] == metrics["accuracy@replaced-0.5"]["value"]
    assert curve[0]["value"] > curve[-1]["value"]
    assert all(line["low"] <= line["value"] <= line["high"] for line in curve)
    definition = metrics["accuracy@replaced-0.5"]["definition"]
    assert definition.endswith("50% of the background replaced by that of mixed_rand, in tiles")


def test_another_share_leaves_the_others_unchanged(measured_digits):
    measure, folder = measured_digits
    measure((0.5,))
    written = (folder / "replaced" / "0.5.zarr" / "manifest.json").stat().st_mtime_ns
    measure((0.25, 0.5))
    assert (folder / "replaced" / "0.5.zarr" / "manifest.json").stat().st_mtime_ns == written
    with Artifact(folder / "replaced" / "0.25.zarr", "predictions") as artifact:
        assert "replaced-0.25/logits" in artifact.arrays


def test_without_masks_or_other_backgrounds_nothing_is_replaced(bare, model, tmp_path):
    data = {"data": f"imagefolder:{bare}", "split": "all", "size": 32}
    suites = ("classification", "debiasing")
    results = measured(model=str(model), suite=suites, **data, output=tmp_path / "e")
    assert {one["suite"] for one in results["metrics"].values()} == {"classification"}
    assert "curves" not in results
