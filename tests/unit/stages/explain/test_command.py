"""Heatmaps against the explainer called directly, and what may not be explained."""

import dataclasses

import numpy as np
import pytest
import torch
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.store import read_manifest
from ectool.config import ExplainConfig, PerturbConfig
from ectool.errors import InputError, OutputExistsError, UsageError
from ectool.explainers import GradCAM
from ectool.models.classifier import to_pixels
from ectool.stages import explain, perturb
from ectool.stages.common.model_folder import load_folder
from ectool.stages.common.outcomes import outcome_of
from ectool.types import SILENT

N = 30
HALF_MAX = np.finfo(np.float16).max


@pytest.fixture(scope="module")
def pairs(model, few_options, tmp_path_factory):
    """Perturbed images of the thirty digits."""
    output = tmp_path_factory.mktemp("pairs") / "adv.zarr"
    config = PerturbConfig(model=str(model), output=output, steps=2, shard_size=8, **few_options)
    return perturb.run(config).path


@pytest.fixture(scope="module")
def outcome(model):
    """Run `explain` with the model."""

    def run(output, reporter=SILENT, **given):
        options = {"model": str(model), "device": "cpu", **given}
        return explain.run(ExplainConfig(output=output, **options), reporter)

    return run


@pytest.fixture(scope="module")
def make(outcome):
    """Run `explain`; return the path."""
    return lambda *arguments, **given: outcome(*arguments, **given).path


@pytest.fixture(scope="module")
def maps(make, pairs, tmp_path_factory):
    """Heatmaps of the pairs, in one batch."""
    return make(tmp_path_factory.mktemp("maps") / "cams.zarr", samples=pairs)


def write_foreign(path, arrays):
    """Write samples as another program does: no manifest."""
    group = zarr.create_group(path, attributes={"schema": "samples", "version": 1})
    for name, values in arrays.items():
        group.create_array(name, data=values)
    return path


class TestDefinition:
    @pytest.mark.parametrize("name", ["clean", "adversarial"])
    def test_maps_are_those_of_grad_cam(self, name, maps, pairs, network, few_digits, read):
        clean = few_digits.images(np.arange(N))
        images = clean if name == "clean" else read(pairs)["image"]
        labels = torch.from_numpy(few_digits.labels.copy())
        explanation = GradCAM(network)(to_pixels(images), labels)
        found = read(maps)
        assert found[name].dtype == np.float16
        np.testing.assert_array_equal(found[name], explanation.heatmaps.half().numpy())
        np.testing.assert_array_equal(found[f"logits_{name}"], explanation.logits.numpy())

    def test_folding_batch_norm_only_rounds(self, maps, model, few_digits, read):
        labels = torch.from_numpy(few_digits.labels.copy())
        pixels = to_pixels(few_digits.images(np.arange(N)))
        expected = GradCAM(load_folder(model).eval())(pixels, labels).heatmaps.numpy()
        np.testing.assert_allclose(
            read(maps)["clean"], expected, rtol=2e-3, atol=2e-3 * expected.max()
        )

    def test_targets_are_labels(self, maps, few_digits, read):
        arrays = read(maps)
        np.testing.assert_array_equal(arrays["target"], few_digits.labels)
        np.testing.assert_array_equal(arrays["label"], few_digits.labels)
        assert arrays["sample_id"].tolist() == list(few_digits.sample_ids)

    def test_or_predictions_of_the_clean_image(
        self, make, pairs, network, few_digits, read, tmp_path
    ):
        arrays = read(make(tmp_path / "a.zarr", samples=pairs, targets="prediction"))
        np.testing.assert_array_equal(arrays["target"], arrays["logits_clean"].argmax(axis=1))
        np.testing.assert_array_equal(arrays["label"], few_digits.labels)
        targets = torch.from_numpy(arrays["target"])
        assert (arrays["target"] != arrays["label"]).any()
        expected = GradCAM(network)(to_pixels(read(pairs)["image"]), targets).heatmaps
        np.testing.assert_array_equal(arrays["adversarial"], expected.half().numpy())

    def test_data_without_samples_give_clean_maps_alone(
        self, make, maps, few_options, read, tmp_path
    ):
        found = read(make(tmp_path / "a.zarr", **few_options))
        expected = read(maps)
        assert set(expected) - set(found) == {"adversarial", "logits_adversarial"}
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)

    def test_another_layer_has_other_maps(self, make, few_options, read, tmp_path):
        found = read(make(tmp_path / "a.zarr", layer="features.2", **few_options))
        assert found["clean"].shape == (N, 16, 16)

    @pytest.mark.parametrize("batch_size", [1, 7])
    def test_batch_size_is_worth_one_ulp(self, batch_size, make, maps, pairs, read, tmp_path):
        arrays = read(make(tmp_path / "a.zarr", samples=pairs, batch_size=batch_size))
        for name in ("clean", "adversarial"):
            expected = read(maps)[name]
            # Float16's own spacing, but for numbers that float32 cancels down to its rounding.
            peak = expected.max(axis=(1, 2), keepdims=True).astype(np.float32)
            ulp = np.maximum(np.spacing(expected).astype(np.float32), 2e-6 * peak)
            assert (np.abs(arrays[name].astype(np.float32) - expected) <= ulp).all()

    def test_shards_do_not_change_the_maps(self, make, maps, pairs, read, tmp_path):
        small = read(make(tmp_path / "a.zarr", samples=pairs, shard_size=7))
        for name, values in read(maps).items():
            if values.dtype.kind != "f":
                np.testing.assert_array_equal(small[name], values)
            else:
                np.testing.assert_allclose(small[name], values, rtol=2e-3, atol=1e-5)


class TestFindings:
    @pytest.fixture
    def scaled(self, model, tmp_path):
        """Write the network's weights with a scaled head; return the options to use them."""

        def write(scale):
            state = {
                name: value.clone()
                for name, value in load_folder(model).network.state_dict().items()
            }
            state["head.weight"] *= scale
            torch.save(state, tmp_path / "scaled.pth")
            return {"model": "smallcnn", "checkpoint": tmp_path / "scaled.pth", "classes": 10}

        return write

    def test_zero_maps_are_counted(self, make, scaled, pairs, read, tmp_path):
        path = make(tmp_path / "a.zarr", samples=pairs, shard_size=8, **scaled(0))
        assert not read(path)["clean"].any()
        found = read_manifest(path).all_findings()
        assert found == {
            "zero_maps_clean": N,
            "zero_maps_adversarial": N,
            "saturated_maps_clean": 0,
            "saturated_maps_adversarial": 0,
        }

    def test_saturated_maps_are_counted_and_found(self, make, scaled, pairs, read, tmp_path):
        path = make(tmp_path / "a.zarr", samples=pairs, shard_size=8, **scaled(1e6))
        found, arrays = read_manifest(path).all_findings(), read(path)
        logits = np.stack([arrays["logits_clean"], arrays["logits_adversarial"]])
        huge = (np.abs(logits).max(axis=(0, 2)) > 1e4).sum()
        assert found["samples_with_huge_logits"] == huge > 0
        names = ["huge-logits", "saturated-heatmaps"]
        assert sorted(one.name for one in outcome_of(path, is_new=True).findings) == names
        for name in ("clean", "adversarial"):
            saturated = sum(HALF_MAX in heatmap for heatmap in arrays[name])
            assert found[f"saturated_maps_{name}"] == saturated > 0
            assert np.isfinite(arrays[name]).all()

    def test_none_without_adversarial_maps(self, make, few_options, read, tmp_path):
        path = make(tmp_path / "a.zarr", **few_options)
        zero = sum(not heatmap.any() for heatmap in read(path)["clean"])
        found = read_manifest(path).all_findings()
        assert found == {"zero_maps_clean": zero, "saturated_maps_clean": 0}

    def test_logits_have_to_be_finite(self, make, scaled, pairs, tmp_path):
        with pytest.raises(InputError, match=r"finite logits, got NaN or infinity for '0/[0-2]\."):
            make(tmp_path / "a.zarr", samples=pairs, **scaled(3e38))


class TestInputs:
    def test_neither_samples_nor_data(self, make, tmp_path):
        with pytest.raises(InputError, match="--data: expected the data set"):
            make(tmp_path / "a.zarr")

    def test_foreign_samples_need_data(self, make, maps, pairs, few_options, read, tmp_path):
        foreign = write_foreign(tmp_path / "foreign.zarr", read(pairs))
        with pytest.raises(InputError, match="no samples that name it; give --data"):
            make(tmp_path / "a.zarr", samples=foreign)
        found = read(make(tmp_path / "b.zarr", samples=foreign, **few_options))
        for name, values in read(maps).items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)

    def test_samples_may_be_some_and_in_any_order(
        self, make, maps, pairs, few_options, read, tmp_path
    ):
        order = np.random.default_rng(0).permutation(N)[:20]
        some = {name: values[order] for name, values in read(pairs).items()}
        foreign = write_foreign(tmp_path / "foreign.zarr", some)
        found = read(make(tmp_path / "a.zarr", samples=foreign, **few_options))
        expected = read(maps)
        for name in ("sample_id", "label", "target"):
            np.testing.assert_array_equal(found[name], expected[name][order])
        for name in ("clean", "adversarial"):
            np.testing.assert_allclose(found[name], expected[name][order], rtol=2e-3, atol=1e-5)

    def test_there_has_to_be_a_sample(self, make, pairs, few_options, read, tmp_path):
        none = {name: values[:0] for name, values in read(pairs).items()}
        foreign = write_foreign(tmp_path / "foreign.zarr", none)
        with pytest.raises(InputError, match="expected at least one sample, got none"):
            make(tmp_path / "a.zarr", samples=foreign, **few_options)

    def test_samples_of_other_data_are_named(self, make, pairs, write, read, tmp_path, few_options):
        arrays = read(pairs)
        arrays["sample_id"][4] = "9/elsewhere.png"
        samples = write(tmp_path / "other.zarr", "samples", arrays)
        with pytest.raises(InputError, match=r"1 missing, the first '9/elsewhere.png'"):
            make(tmp_path / "a.zarr", samples=samples, **few_options)

    def test_another_data_set_is_refused(self, make, pairs, tmp_path):
        with pytest.raises(InputError, match=r"--samples .*expected images of digits"):
            make(tmp_path / "a.zarr", samples=pairs, data="digits", split="validation")

    @pytest.mark.parametrize("shape", [(3, 16, 16), (1, 32, 32)])
    def test_images_of_another_size(self, shape, make, pairs, write, read, few_options, tmp_path):
        arrays = read(pairs)
        image = np.zeros((N, *shape), np.uint8)
        background = arrays["background"][:, : shape[1], : shape[2]]
        changed = {**arrays, "image": image, "background": background}
        samples = write(tmp_path / "other.zarr", "samples", changed)
        with pytest.raises(InputError, match=r"--samples .*: expected uint8 images of shape"):
            make(tmp_path / "a.zarr", samples=samples, **few_options)

    def test_number_of_classes_has_to_agree(self, make, images, tmp_path):
        with pytest.raises(InputError, match=r"expected the model.s 10 classes .*got 2 classes"):
            make(tmp_path / "a.zarr", data=f"imagefolder:{images}", size=16)

    def test_layer_has_to_exist(self, make, few_options, tmp_path):
        with pytest.raises(InputError, match="nonsense"):
            make(tmp_path / "a.zarr", layer="nonsense", **few_options)


class TestOutput:
    def test_hdf5_has_the_same_id(self, make, maps, pairs, tmp_path):
        path = make(tmp_path / "cams.h5", samples=pairs)
        assert read_manifest(path).id == read_manifest(maps).id

    def test_again_is_up_to_date(self, make, outcome, pairs, listener, tmp_path):
        first = outcome(tmp_path / "cams.zarr", samples=pairs)
        path = first.path
        again = outcome(path, listener, samples=pairs, batch_size=3)
        assert again == dataclasses.replace(first, is_new=False)
        assert first.is_new
        assert (listener.notes, listener.tasks) == ([], [])
        with pytest.raises(OutputExistsError):
            make(path, samples=pairs, targets="prediction")

    def test_a_damaged_shard_is_computed_again(self, make, pairs, flip, tree, listener, tmp_path):
        path = make(tmp_path / "cams.zarr", samples=pairs, shard_size=8)
        whole = tree(path)
        flip(path / "adversarial" / "c" / "2" / "0" / "0", 40)
        make(path, listener, samples=pairs, shard_size=8, resume=True)
        assert listener.tasks == [("explain", 8)]
        assert tree(path) == whole


class TestCompiled:
    """`--compile`: parts of the network in another form."""

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # as torch's own filter
    def test_heatmaps_are_those_of_the_network_up_to_rounding(self, model, few_options, tmp_path):
        given = {"model": str(model), "device": "cpu", "batch_size": 4, **few_options}
        plain = explain.run(ExplainConfig(output=tmp_path / "a.zarr", **given)).path
        made = explain.run(ExplainConfig(output=tmp_path / "b.zarr", compile="default", **given))
        with Artifact(plain) as one, Artifact(made.path) as other:
            assert one.manifest.key != other.manifest.key
            for name in ("clean", "logits_clean"):
                found, wanted = other.read(name), one.read(name)
                np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-4)

    def test_a_method_that_looks_at_many_layers_is_refused(self):
        with pytest.raises(UsageError, match=r"--compile: expected none for --method fullgrad"):
            ExplainConfig(model="m", output="h.zarr", method="fullgrad", compile="default")
