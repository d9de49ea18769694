"""Models of other programs: their weights go through the stages, or are refused in one line."""

import numpy as np
import pytest
import torch
import torchvision
from miniatures.imagenet9 import write_imagenet9
from miniatures.stl10 import write_stl10
from torch import nn

from ectool.artifacts.store import read_manifest
from ectool.config import DataOptions, EvaluateConfig, ExplainConfig, PerturbConfig, TrainConfig
from ectool.datasets.published.imagenet9 import class_mapping
from ectool.errors import InputError, OutputExistsError, UsageError
from ectool.models.classifier import Classifier, ModelSpec, to_pixels
from ectool.models.registry import create
from ectool.models.sources.zoo import imagenet_class_names
from ectool.stages import evaluate, explain, perturb, train
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import open_data
from ectool.stages.common.loaded import check_data
from ectool.stages.common.model_folder import load_folder
from ectool.stages.evaluate.results import read_metrics

N = 30
NAME = "shufflenet_v2_x0_5"
"""The smallest network of torchvision's zoo."""


@pytest.fixture(scope="module")
def foreign():
    """A network as torchvision makes it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.shufflenet_v2_x0_5(num_classes=10).eval()


@pytest.fixture(scope="module")
def checkpoint(foreign, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "shufflenet.pth"
    torch.save(foreign.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def options(few_options, checkpoint):
    return {"model": NAME, "checkpoint": checkpoint, "classes": 10, **few_options}


def logits_of(network, images):
    """Return the logits of a network, with the normalisation of its public weights."""
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        return network((to_pixels(images) - mean) / std).numpy()


class TestForeignCheckpoint:
    @pytest.mark.slow
    def test_is_evaluated(self, options, foreign, few_digits, read, tmp_path, quick_evaluation):
        config = EvaluateConfig(
            **options, **quick_evaluation, output=tmp_path / "eval", eps=(2 / 255,)
        )
        path = evaluate.run(config).path
        predicted = read(path / "predictions.zarr")["original/logits"]
        expected = logits_of(foreign, few_digits.images(np.arange(N)))
        np.testing.assert_allclose(predicted, expected, atol=1e-4)
        results = read_metrics(path)
        right = (expected.argmax(axis=1) == few_digits.labels).mean()
        assert results["accuracy@original"]["value"] == pytest.approx(right)
        (parent,) = read_manifest(path).recipe.parents
        assert parent.kind == "checkpoint"
        assert parent.id.startswith(f"{NAME}:10:")

    def test_is_perturbed_and_explained(self, options, foreign, few_digits, read, tmp_path):
        options = {**options, "layer": "stage3"}
        samples = perturb.run(PerturbConfig(**options, output=tmp_path / "adv.zarr", steps=1)).path
        arrays = read(samples)
        expected = logits_of(foreign, arrays["image"])
        np.testing.assert_allclose(arrays["logits_adversarial"], expected, atol=1e-4)
        config = ExplainConfig(**options, samples=samples, output=tmp_path / "cams.zarr")
        assert read(explain.run(config).path)["adversarial"].shape == (N, 2, 2)

    def test_is_identified_by_its_architecture_and_bytes(self, options, foreign, tmp_path):
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

    def test_checkpoint_without_head(self, refused, foreign, tmp_path):
        state = {n: v for n, v in foreign.state_dict().items() if not n.startswith("fc")}
        torch.save(state, tmp_path / "backbone.pth")
        with pytest.raises(InputError, match=r"2 \(fc.weight, fc.bias\) missing.*--reset-head of"):
            refused(classes=None, checkpoint=tmp_path / "backbone.pth")

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
        with pytest.raises(InputError, match=r"missing\.pth: expected .*, got no such file; check"):
            refused(checkpoint=tmp_path / "missing.pth")

    def test_missing_artifact(self, refused, tmp_path):
        with pytest.raises(InputError, match="expected model artifact, got no folder"):
            refused(model=str(tmp_path / "missing"), checkpoint=None, classes=None)


class TestImageSize:
    @pytest.fixture
    def rigid(self):
        """A network that takes images of 16 pixels and no others."""
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
        message = r"size that rigid accepts, such as \(16, 16\), got \(32, 32\) .*--size"
        with pytest.raises(InputError, match=message) as stop:
            check_data(rigid, few_digits)
        assert "\n" not in str(stop.value)

    def test_that_it_was_made_for(self, rigid, few, data_root):
        data = DataOptions(data=f"imagefolder:{few}", size=16)
        check_data(rigid, open_data(data, "all"))

    def test_that_it_accepts_nevertheless(self, model, few, data_root):
        data = DataOptions(data=f"imagefolder:{few}", size=48)
        check_data(load_folder(model).eval(), open_data(data, "all"))


def test_a_model_artifact_predicts_like_its_network(model, few_options, few_digits, read, tmp_path):
    config = PerturbConfig(model=str(model), output=tmp_path / "a.zarr", steps=0, **few_options)
    found = read(perturb.run(config).path)["logits_clean"]
    network = load_folder(model).eval()
    with torch.no_grad():
        expected = network(to_pixels(few_digits.images(np.arange(N)))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


class TestOptionsOfCheckpoints:
    def test_normalisation_and_entry_are_in_the_key(self, options, foreign, tmp_path):
        path = tmp_path / "both.pth"
        torch.save({"model": foreign.state_dict(), "model_ema": foreign.state_dict()}, path)
        output = tmp_path / "adv.zarr"
        given = {**options, "checkpoint": path, "layer": "stage3", "steps": 0, "output": output}
        perturb.run(PerturbConfig(**given))
        for change in ({"entry": "ema"}, {"mean": (0, 0, 0)}, {"std": (1, 1, 1)}):
            with pytest.raises(OutputExistsError):
                perturb.run(PerturbConfig(**given, **change))

    def test_normalisation_counts(self, options, foreign, few_digits, read, tmp_path):
        given = {**options, "layer": "stage3", "steps": 0, "mean": (0, 0, 0), "std": (1, 1, 1)}
        path = perturb.run(
            PerturbConfig(**given, random_start=False, output=tmp_path / "a.zarr")
        ).path
        with torch.no_grad():
            expected = foreign(to_pixels(few_digits.images(np.arange(N)))).numpy()
        np.testing.assert_allclose(read(path)["logits_clean"], expected, atol=1e-4)

    @pytest.mark.parametrize(
        "change", [{"entry": "ema"}, {"mean": (0, 0, 0)}, {"std": (1, 1, 1)}, {"classes": 10}]
    )
    def test_a_model_artifact_contains_them(self, model, few_options, change, tmp_path):
        config = PerturbConfig(
            model=str(model), **few_options, **change, output=tmp_path / "adv.zarr"
        )
        with pytest.raises(UsageError, match=f"--{next(iter(change))}: .*leave it out"):
            perturb.run(config)


class TestTraining:
    @pytest.mark.parametrize("given", [{"reset_head": True}, {"entry": "ema"}])
    def test_what_belongs_to_a_checkpoint_needs_one(self, given, few, tmp_path):
        config = TrainConfig(data=f"imagefolder:{few}", output=tmp_path / "m", **given)
        with pytest.raises(UsageError, match="expected a --checkpoint, got none"):
            train.run(config)

    def test_a_file_of_weights_is_not_a_model(self, checkpoint, few_options, tmp_path):
        config = PerturbConfig(**few_options, model=str(checkpoint), output=tmp_path / "a.zarr")
        with pytest.raises(UsageError, match="and the file as --checkpoint"):
            perturb.run(config)

    def test_requires_labels(self, tmp_path):
        write_stl10(tmp_path / "stl10_binary", per_class=1)
        config = TrainConfig(data=f"stl10:{tmp_path}", split="unlabeled", output=tmp_path / "m")
        with pytest.raises(InputError, match="expected a label for every image, got none for"):
            train.run(config)

    def test_leaves_nothing_behind_that_an_input_error_has_begun(self, few, tmp_path):
        config = TrainConfig(
            data=f"imagefolder:{few}",
            split="all",
            model="import:no_such_module:make",
            output=tmp_path / "m",
        )
        with pytest.raises(InputError, match="no_such_module"):
            train.run(config)
        assert list(tmp_path.iterdir()) == []


class TestFineTuning:
    @pytest.fixture
    def tune(self, checkpoint, few, tmp_path):
        def run(name, **given):
            config = TrainConfig(
                data=f"imagefolder:{few}",
                split="all",
                size=32,
                device="cpu",
                model=NAME,
                layer="stage3",
                checkpoint=checkpoint,
                epochs=2,
                output=tmp_path / name,
                **given,
            )
            return train.run(config).path

        return run

    def test_starts_from_the_weights(self, tune, foreign, tmp_path):
        found = load_folder(tune("still", lr=1e-12, until_epoch=1)).network.state_dict()
        for name, value in foreign.named_parameters():
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6)
        (parent,) = read_manifest(tmp_path / "still").recipe.parents
        assert (parent.role, parent.kind) == ("checkpoint", "checkpoint")

    def test_with_a_fresh_head(self, tune, foreign):
        found = load_folder(tune("fresh", lr=1e-12, until_epoch=1, reset_head=True, seed=5)).network
        torch.testing.assert_close(
            found.conv1[0].weight, foreign.conv1[0].weight, rtol=0, atol=1e-6
        )
        assert not torch.allclose(found.fc.weight, foreign.fc.weight, atol=1e-3)

    def test_resumes_to_the_same_bytes(self, tune, tmp_path):
        tune("half", until_epoch=1)
        tune("rest", resume=tmp_path / "half")
        tune("whole")
        name = "model.safetensors"
        assert (tmp_path / "rest" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "smallcnn.pt"
    network = create("smallcnn", [str(k) for k in range(10)], seed=0).network.eval()
    torch.jit.trace(network, torch.rand(2, 3, 32, 32)).save(str(path))
    return path


class TestPrograms:
    @pytest.fixture
    def options(self, program, few_options):
        return {"model": f"torchscript:{program}", "classes": 10, "trust_code": True, **few_options}

    def test_are_evaluated_without_heatmaps(self, options, listener, tmp_path, quick_evaluation):
        config = EvaluateConfig(**options, **quick_evaluation, output=tmp_path / "e")
        found = read_metrics(evaluate.run(config, listener).path)
        assert set(found) == {
            *("accuracy@original", "robust@2/255", "robust@8/255", "top5_accuracy"),
            "robust_area@linf",
            *("balanced_accuracy", "nll", "brier", "ece"),
        }
        for suite in ("localization", "stability"):
            text = f"without {suite}, because a program has no layers"
            assert any(text in warning for warning in listener.warnings)

    def test_without_any_metric_are_refused(self, options, tmp_path):
        config = EvaluateConfig(**options, suite="stability,sanity", output=tmp_path / "e")
        with pytest.raises(InputError, match=r"--suite sanity,stability: .*has no layers"):
            evaluate.run(config)
        assert not (tmp_path / "e").exists()

    def test_cannot_be_trained(self, program, few, tmp_path):
        config = TrainConfig(
            model=f"torchscript:{program}", data=f"imagefolder:{few}", output=tmp_path / "m"
        )
        with pytest.raises(UsageError, match="a program, whose weights are fixed"):
            train.run(config)

    def test_bring_their_own_weights(self, options, program, tmp_path):
        config = EvaluateConfig(**options, checkpoint=program, output=tmp_path / "e")
        with pytest.raises(UsageError, match="--checkpoint: expected none with a program"):
            evaluate.run(config)

    def test_that_are_not_there_leave_nothing_behind(self, few_options, tmp_path):
        (tmp_path / "empty.pt").write_bytes(b"nothing")
        config = EvaluateConfig(
            **few_options,
            model=f"torchscript:{tmp_path / 'empty.pt'}",
            classes=10,
            trust_code=True,
            output=tmp_path / "e",
        )
        with pytest.raises(InputError, match=r"empty\.pt"):
            evaluate.run(config)
        assert [path.name for path in tmp_path.iterdir()] == ["empty.pt"]

    def test_cannot_be_explained(self, options, tmp_path):
        with pytest.raises(InputError, match="heatmaps"):
            explain.run(ExplainConfig(**options, output=tmp_path / "cams.zarr"))


class TestWiderModels:
    """Models of the 1,000 classes of ImageNet on the nine of ImageNet-9."""

    @pytest.mark.slow
    def test_predict_over_all_classes_and_are_grouped(
        self, tmp_path, monkeypatch, read, quick_evaluation
    ):
        write_imagenet9(tmp_path / "imagenet9", per_class=2, train_per_class=1)
        monkeypatch.setenv("ECTOOL_DATA", str(tmp_path))
        network = create("smallcnn", imagenet_class_names(), seed=3, input_size=(48, 48)).network
        torch.save(network.state_dict(), tmp_path / "w.pth")
        config = EvaluateConfig(
            model="smallcnn",
            checkpoint=tmp_path / "w.pth",
            classes=1000,
            data="imagenet9",
            size=48,
            device="cpu",
            **quick_evaluation,
            output=tmp_path / "e",
        )
        path = evaluate.run(config).path
        dataset = open_data(config, "test")
        images = to_pixels(dataset.images(np.arange(18)))
        with torch.no_grad():
            predictions = network.eval()((images - 0.5) / 0.25).argmax(dim=1).numpy()
        expected = class_mapping()[predictions]
        found = read(path / "predictions.zarr")["original/logits"].argmax(axis=1)
        np.testing.assert_array_equal(np.where(found == 9, -1, found), expected)
        maps = read(path / "cams.zarr")
        assert maps["logits_clean"].shape == (18, 10)
        assert maps["clean"].any()
