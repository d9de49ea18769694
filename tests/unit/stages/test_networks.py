"""Models of other programs: their weights go through the stages, or are refused in one line."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from ectool.artifacts.store import read_manifest
from ectool.config import DataOptions, EvaluateConfig, ExplainConfig, PerturbConfig
from ectool.errors import InputError, UsageError
from ectool.models.classifier import Classifier, ModelSpec, to_pixels
from ectool.stages import evaluate, explain, perturb
from ectool.stages.inputs import find_model, open_data
from ectool.stages.networks import check_data, load_folder

N = 30


@pytest.fixture(scope="module")
def foreign():
    """A network as torchvision makes it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.resnet18(num_classes=10).eval()


@pytest.fixture(scope="module")
def checkpoint(foreign, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "resnet18.pth"
    torch.save(foreign.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def options(few_options, checkpoint):
    return {"model": "resnet18", "checkpoint": checkpoint, "classes": 10, **few_options}


def logits_of(network, images):
    """Ask a network the way its public weights want to be asked."""
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        return network((to_pixels(images) - mean) / std).numpy()


class TestForeignCheckpoint:
    def test_is_evaluated(self, options, foreign, few_digits, read, tmp_path):
        config = EvaluateConfig(
            **options, output=tmp_path / "eval", eps=(2 / 255,), steps=1, bootstrap=100
        )
        path = evaluate.run(config)
        predicted = read(path / "predictions.zarr")["original/logits"]
        expected = logits_of(foreign, few_digits.images(np.arange(N)))
        np.testing.assert_allclose(predicted, expected, atol=1e-4)
        results = evaluate.read_results(path)
        right = (expected.argmax(axis=1) == few_digits.labels).mean()
        assert results["accuracy@original"]["value"] == pytest.approx(right)
        (parent,) = read_manifest(path).recipe.parents
        assert (parent.kind, parent.id[:12]) == ("checkpoint", "resnet18:10:")

    def test_is_perturbed_and_explained(self, options, foreign, few_digits, read, tmp_path):
        options = {**options, "layer": "layer3"}
        samples = perturb.run(PerturbConfig(**options, output=tmp_path / "adv.zarr", steps=1))
        arrays = read(samples)
        expected = logits_of(foreign, arrays["image"])
        np.testing.assert_allclose(arrays["logits_adversarial"], expected, atol=1e-4)
        config = ExplainConfig(**options, samples=samples, output=tmp_path / "cams.zarr")
        assert read(explain.run(config))["adversarial"].shape == (N, 2, 2)

    def test_is_known_by_its_architecture_and_bytes(self, options, foreign, tmp_path):
        state = {name: value * 2 for name, value in foreign.state_dict().items()}
        torch.save(state, tmp_path / "other.pth")
        changes = ({}, {"checkpoint": tmp_path / "other.pth"}, {"model": "resnet34"})
        configs = [PerturbConfig(**{**options, **c}, output=tmp_path / "a.zarr") for c in changes]
        assert len({find_model(config).id for config in configs}) == 3


class TestRefusals:
    @pytest.fixture
    def refused(self, options, tmp_path):
        def run(**changes):
            output = tmp_path / "eval"
            evaluate.run(EvaluateConfig(**{**options, **changes}, output=output, steps=1))

        return run

    def test_weights_that_are_not_finite(self, refused, foreign, tmp_path):
        state = {name: value.clone() for name, value in foreign.state_dict().items()}
        state["fc.weight"][3, 5] = torch.nan
        torch.save(state, tmp_path / "nan.pth")
        with pytest.raises(InputError, match=r"finite numbers, got NaN or infinity in fc\.weight"):
            refused(checkpoint=tmp_path / "nan.pth")

    def test_architecture_without_checkpoint(self, refused):
        with pytest.raises(UsageError, match="no such artifact and no --checkpoint") as stop:
            refused(checkpoint=None, classes=None)
        assert stop.value.exit_code == 2

    def test_checkpoint_without_classes(self, refused):
        with pytest.raises(UsageError, match="no --classes"):
            refused(classes=None)

    def test_another_number_of_classes(self, refused):
        with pytest.raises(InputError, match=r"a head for 7 classes, got one for 10 classes"):
            refused(classes=7)

    def test_another_architecture(self, refused):
        with pytest.raises(InputError, match="expected exactly the weights of this architecture"):
            refused(model="smallcnn")

    def test_unknown_architecture(self, refused):
        with pytest.raises(InputError, match="got 'resnet81'; try resnet"):
            refused(model="resnet81")

    def test_missing_checkpoint(self, refused, tmp_path):
        with pytest.raises(InputError, match="expected a checkpoint file, got no such file"):
            refused(checkpoint=tmp_path / "missing.pth")

    def test_missing_artifact(self, refused, tmp_path):
        with pytest.raises(InputError, match="expected model artifact, got no folder"):
            refused(model=str(tmp_path / "missing"), checkpoint=None, classes=None)


class TestPictureSize:
    @pytest.fixture
    def rigid(self):
        """A network that takes pictures of 16 pixels and no others."""
        network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(2 * 16 * 16, 10))
        spec = ModelSpec(
            architecture="rigid",
            class_names=tuple("0123456789"),
            input_size=(16, 16),
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            target_layer="0",
            layout="nchw",
        )
        return Classifier(network, spec)

    def test_that_the_network_refuses(self, rigid, few_digits):
        message = r"size that rigid takes, such as \(16, 16\), got \(32, 32\) .*--size"
        with pytest.raises(InputError, match=message) as stop:
            check_data(rigid, few_digits)
        assert "\n" not in str(stop.value)

    def test_that_it_was_made_for(self, rigid, few, data_root):
        data = DataOptions(data=f"imagefolder:{few}", size=16)
        check_data(rigid, open_data(data, "all"))

    def test_that_it_takes_all_the_same(self, model, few, data_root):
        data = DataOptions(data=f"imagefolder:{few}", size=48)
        check_data(load_folder(model).eval(), open_data(data, "all"))


def test_a_model_artifact_answers_as_its_network(model, few_options, few_digits, read, tmp_path):
    config = PerturbConfig(model=str(model), output=tmp_path / "a.zarr", steps=0, **few_options)
    found = read(perturb.run(config))["logits_clean"]
    network = load_folder(model).eval()
    with torch.no_grad():
        expected = network(to_pixels(few_digits.images(np.arange(N)))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
