"""Perturbed samples against their definition: what moved, how far, and from where."""

import math

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ectool.artifacts.store import read_manifest
from ectool.attacks.masks import otsu
from ectool.config import PerturbConfig
from ectool.errors import InputError, OutputExistsError, UsageError
from ectool.explainers import GradCAM
from ectool.models.classifier import to_pixels
from ectool.stages import perturb
from ectool.types import SILENT

RULES = ("quantile", "fraction", "otsu", "inverse", "object", "full")
LEVELS = 6
N = 30


@pytest.fixture(scope="module")
def outcome(model, few_options):
    """Run `perturb` on the thirty digits."""

    def run(output, reporter=SILENT, **given):
        options = {"model": str(model), "eps": LEVELS / 255, "steps": 2, **few_options, **given}
        return perturb.run(PerturbConfig(output=output, **options), reporter)

    return run


@pytest.fixture(scope="module")
def attack(outcome):
    """Run `perturb`; return the path."""
    return lambda *arguments, **given: outcome(*arguments, **given).path


@pytest.fixture(scope="module")
def by_rule(attack, read, tmp_path_factory):
    """The arrays by mask rule."""
    folder = tmp_path_factory.mktemp("rules")
    return {rule: read(attack(folder / f"{rule}.zarr", mask=rule)) for rule in RULES}


@pytest.fixture(scope="module")
def cold(attack, tmp_path_factory):
    """Samples in four shards."""
    return attack(tmp_path_factory.mktemp("cold") / "adv.zarr", shard_size=8)


@pytest.fixture(scope="module")
def clean(few_digits):
    return few_digits.images(np.arange(N))


@pytest.fixture(scope="module")
def heatmaps(network, few_digits, clean):
    """Heatmaps of all clean images at the images' size."""
    maps = GradCAM(network)(to_pixels(clean), torch.from_numpy(few_digits.labels.copy())).heatmaps
    return F.interpolate(maps[:, None], size=(32, 32), mode="bilinear")[:, 0]


def logits_of(network, images):
    with torch.no_grad():
        return network(to_pixels(images)).numpy()


def smallest(heatmap, share):
    """Mark the pixels at or below the value of rank `share`."""
    ranked = sorted(heatmap.flatten().tolist())
    return heatmap <= ranked[max(1, math.ceil(share * len(ranked))) - 1]


class TestDefinition:
    @pytest.mark.parametrize("rule", RULES)
    def test_only_the_background_moves_and_no_further_than_eps(self, rule, by_rule, clean):
        arrays = by_rule[rule]
        moved = np.abs(arrays["image"].astype(int) - clean.astype(int))
        background = np.broadcast_to(arrays["background"][:, None], moved.shape)
        assert arrays["image"].dtype == np.uint8
        assert not moved[~background].any()
        assert moved.max() == LEVELS
        assert not background.all() or rule == "full"

    @pytest.mark.parametrize(
        ("rule", "definition"),
        [
            ("quantile", lambda heatmap: smallest(heatmap, 0.5)),
            ("inverse", lambda heatmap: ~smallest(heatmap, 0.5)),
            ("fraction", lambda heatmap: heatmap <= 0.5 * heatmap.max()),
            ("otsu", lambda heatmap: otsu(heatmap[None])[0]),
        ],
    )
    def test_background_is_the_rule_on_the_heatmap(self, rule, definition, by_rule, heatmaps):
        expected = np.stack([definition(heatmap).numpy() for heatmap in heatmaps])
        np.testing.assert_array_equal(by_rule[rule]["background"], expected)

    @pytest.mark.parametrize("level", [0.25, 0.8])
    def test_the_level_of_the_mask_counts(self, level, attack, read, heatmaps, tmp_path):
        found = read(attack(tmp_path / "a.zarr", mask_level=level, steps=0))["background"]
        expected = np.stack([smallest(heatmap, level).numpy() for heatmap in heatmaps])
        np.testing.assert_array_equal(found, expected)

    def test_background_without_a_heatmap(self, by_rule, few_digits):
        objects = few_digits.annotations(np.arange(N)).masks
        np.testing.assert_array_equal(by_rule["object"]["background"], ~objects)
        assert by_rule["full"]["background"].all()

    @pytest.mark.parametrize("rule", RULES)
    def test_logits_are_those_of_the_images(self, rule, by_rule, clean, network):
        arrays = by_rule[rule]
        for name, images in (("clean", clean), ("adversarial", arrays["image"])):
            found = arrays[f"logits_{name}"]
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, logits_of(network, images), atol=1e-4)

    def test_samples_are_those_of_the_data(self, by_rule, few_digits):
        for arrays in by_rule.values():
            assert arrays["sample_id"].tolist() == list(few_digits.sample_ids)
            np.testing.assert_array_equal(arrays["label"], few_digits.labels)

    def test_loss_rises(self, by_rule):
        arrays = by_rule["full"]
        loss = [
            F.cross_entropy(torch.tensor(arrays[name]), torch.tensor(arrays["label"]))
            for name in ("logits_clean", "logits_adversarial")
        ]
        assert loss[1] > loss[0]

    def test_findings_are_counted(self, attack, read, tmp_path):
        path = attack(tmp_path / "a.zarr", mask="full", shard_size=8)
        arrays = read(path)
        flipped = 0
        for before, after in zip(arrays["logits_clean"], arrays["logits_adversarial"], strict=True):
            flipped += before.argmax() != after.argmax()
        wrong = (arrays["logits_adversarial"].argmax(axis=1) != arrays["label"]).sum()
        found = read_manifest(path).all_findings()
        assert found == {
            "misclassified_samples": wrong,
            "whole_picture_background": N,
            "flipped_predictions": flipped,
            "unmoved_samples": 0,
            "samples_without_gradient": 0,
        }

    def test_unchanged_samples_are_counted_and_found(self, outcome, tmp_path):
        """From the clean image, a step of a third of a level is rounded away."""
        given = {"steps": 1, "alpha": 1 / 765, "random_start": False}
        path = tmp_path / "a.zarr"
        for is_new in (True, False):
            found = outcome(path, **given)
            assert (found.path, found.is_new) == (path, is_new)
            (finding,) = found.findings
            assert str(finding).startswith(f"{path}: {N} of {N} samples are unchanged")
        assert read_manifest(path).all_findings()["unmoved_samples"] == N


class TestStart:
    def test_no_steps_from_the_image_change_nothing(self, attack, read, clean, tmp_path):
        path = attack(tmp_path / "a.zarr", steps=0, random_start=False)
        np.testing.assert_array_equal(read(path)["image"], clean)

    def test_random_start_depends_on_the_seed_alone(self, attack, read, clean, tmp_path):
        options = {"steps": 0, "mask": "full"}
        images = [
            read(attack(tmp_path / f"{name}.zarr", seed=seed, **options))["image"]
            for name, seed in (("a", 0), ("b", 0), ("c", 1))
        ]
        np.testing.assert_array_equal(images[0], images[1])
        assert (images[0] != images[2]).mean() > 0.8
        assert np.abs(images[0].astype(int) - clean).max() == LEVELS

    def test_default_steps_are_two_when_warm_and_five_when_cold(self, attack, read, cold, tmp_path):
        for name, steps, init in (("cold", 5, None), ("warm", 2, cold)):
            default = attack(tmp_path / f"{name}.zarr", steps=None, init=init)
            told = attack(tmp_path / f"{name}-told.zarr", steps=steps, init=init)
            np.testing.assert_array_equal(read(default)["image"], read(told)["image"])

    @pytest.mark.parametrize("levels", [2, LEVELS])
    def test_earlier_samples_are_projected(self, levels, attack, read, cold, clean, tmp_path):
        path = attack(tmp_path / "a.zarr", init=cold, steps=0, mask="full", eps=levels / 255)
        wide = clean.astype(int)
        expected = np.clip(read(cold)["image"], wide - levels, wide + levels)
        np.testing.assert_array_equal(read(path)["image"], expected)

    def test_earlier_samples_are_joined_by_id(self, attack, read, write, cold, tmp_path):
        order = np.random.default_rng(0).permutation(N)
        mixed = {name: values[order] for name, values in read(cold).items()}
        extra = {name: np.concatenate([values, values[:1]]) for name, values in mixed.items()}
        extra["sample_id"][-1] = "another"
        other = write(tmp_path / "mixed.zarr", "samples", extra, shard_size=5)
        found = read(attack(tmp_path / "a.zarr", init=other, batch_size=7))
        expected = read(attack(tmp_path / "b.zarr", init=cold, batch_size=7))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)

    def test_a_missing_sample_is_named(self, attack, read, write, cold, tmp_path):
        short = {name: values[1:] for name, values in read(cold).items()}
        init = write(tmp_path / "short.zarr", "samples", short)
        with pytest.raises(InputError, match=r"--init .*: expected all 30 .* first '0/0.png'"):
            attack(tmp_path / "a.zarr", init=init)

    @pytest.mark.parametrize(
        ("change", "got"),
        [
            (lambda image: image[:, :, :16, :16], r"uint8 of shape \(3, 16, 16\)"),
            (lambda image: image[:, :1], r"uint8 of shape \(1, 32, 32\)"),
            (lambda image: image.astype(np.uint16), r"uint16 of shape \(3, 32, 32\)"),
        ],
    )
    def test_other_images_are_refused(self, change, got, attack, read, write, cold, tmp_path):
        arrays = read(cold)
        image = change(arrays["image"])
        background = arrays["background"][:, : image.shape[2], : image.shape[3]]
        changed = {**arrays, "image": image, "background": background}
        init = write(tmp_path / "other.zarr", "samples", changed)
        with pytest.raises(InputError, match=rf"--init .*: expected uint8 images .*got {got}"):
            attack(tmp_path / "a.zarr", init=init)

    def test_another_kind_of_artifact_is_refused(self, attack, write, tmp_path):
        scores = ("similarity", "stability", "explanation_consistency", "weight")
        ids = np.array(["a"], dtype=np.dtypes.StringDType())
        arrays = {"sample_id": ids, **dict.fromkeys(scores, np.ones(1, np.float32))}
        init = write(tmp_path / "weights.zarr", "weights", arrays)
        with pytest.raises(InputError, match="expected a samples artifact, got schema 'weights'"):
            attack(tmp_path / "a.zarr", init=init)


class TestInputs:
    def test_object_mask_needs_masks(self, attack, bare, tmp_path):
        with pytest.raises(InputError, match="--mask object: expected a data set with object"):
            attack(tmp_path / "a.zarr", data=f"imagefolder:{bare}", mask="object")

    def test_number_of_classes_has_to_agree(self, attack, images, tmp_path):
        with pytest.raises(InputError, match=r"expected the model.s 10 classes .*got 2 classes"):
            attack(tmp_path / "a.zarr", data=f"imagefolder:{images}")

    def test_output_has_a_format(self, attack, tmp_path):
        with pytest.raises(InputError, match=r"expected an output that ends in \.zarr"):
            attack(tmp_path / "adv.npz")


class TestOutput:
    @pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.slow), 7])
    def test_batch_size_changes_hardly_a_pixel(self, batch_size, attack, read, cold, tmp_path):
        arrays = read(attack(tmp_path / "a.zarr", shard_size=8, batch_size=batch_size))
        expected = read(cold)
        for name in ("image", "background"):
            assert (arrays[name] != expected[name]).mean() < 0.005

    def test_hdf5_has_the_same_id(self, attack, cold, tmp_path):
        manifest = read_manifest(attack(tmp_path / "adv.h5", shard_size=8))
        assert (manifest.id, manifest.key) == (read_manifest(cold).id, read_manifest(cold).key)

    def test_again_is_up_to_date_and_another_key_needs_force(
        self, attack, outcome, cold, listener, tmp_path
    ):
        path = attack(tmp_path / "adv.zarr", shard_size=8)
        assert not outcome(path, listener, shard_size=8, batch_size=3).is_new
        assert (listener.notes, listener.tasks) == ([], [])
        with pytest.raises(OutputExistsError, match="--force"):
            attack(path, shard_size=8, seed=1)
        attack(path, shard_size=8, seed=1, force=True)
        key = read_manifest(cold).key
        assert read_manifest(tmp_path / f"adv.zarr.old-{key[:8]}").key == key
        assert read_manifest(path).key != key


class TestResume:
    @pytest.mark.parametrize(
        "name",
        ["image", *(pytest.param(n, marks=pytest.mark.slow) for n in ("background", "sample_id"))],
    )
    def test_only_the_damaged_shard_is_computed(
        self, name, attack, outcome, cold, flip, tree, listener, tmp_path
    ):
        path = attack(tmp_path / "adv.zarr", shard_size=8)
        chunks = sorted(file for file in (path / name / "c").rglob("*") if file.is_file())
        flip(chunks[1], len(chunks[1].read_bytes()) // 2)
        assert outcome(path, listener, shard_size=8, resume=True).is_new
        assert listener.notes == [
            f"{path}: computing damaged shards [1] again",
            f"{path}: continuing, 8 of 30 samples left",
        ]
        assert listener.tasks == [("perturb", 8)]
        arrays = {file: data for file, data in tree(path).items() if file != "manifest.json"}
        expected = tree(cold)
        assert arrays == {file: expected[file] for file in arrays}
        assert read_manifest(path).shards == read_manifest(cold).shards

    def test_damage_in_an_hdf5_file(self, attack, cold, flip, listener, tmp_path):
        path = attack(tmp_path / "adv.h5", shard_size=8)
        whole = path.read_bytes()
        with h5py.File(path) as file:
            chunk = file["image"].id.get_chunk_info(1)
        flip(path, chunk.byte_offset + chunk.size // 2)
        attack(path, listener, shard_size=8, resume=True)
        assert listener.tasks == [("perturb", 8)]
        assert path.read_bytes() == whole

    def test_a_whole_output_stays_untouched(self, attack, outcome, listener, tmp_path):
        path = attack(tmp_path / "adv.zarr", shard_size=8)
        files = [path, *path.rglob("*")]
        before = [file.stat().st_mtime_ns for file in files]
        assert not outcome(path, listener, shard_size=8, resume=True).is_new
        assert listener.notes == []
        assert [file.stat().st_mtime_ns for file in files] == before


class TestObjectRadius:
    @pytest.mark.parametrize("mask", ["quantile", "inverse", "object"])
    @pytest.mark.parametrize("soft", [0, 2])
    def test_each_side_has_its_radius(self, mask, soft, attack, read, clean, tmp_path):
        path = attack(tmp_path / "adv.zarr", mask=mask, soft=soft, object_eps=2 / 255, steps=3)
        found = read(path)
        moved = np.abs(found["image"].astype(int) - clean).max(axis=1)
        background = found["background"]
        assert moved[~background].max() == 2
        assert moved[background].max() <= LEVELS
        if not soft:
            assert moved[background].max() == LEVELS

    def test_no_radius_is_the_default(self, attack, read, cold, tmp_path):
        path = attack(tmp_path / "adv.zarr", shard_size=8, object_eps=0)
        assert read_manifest(path).key == read_manifest(cold).key
        assert "object_eps" not in read_manifest(path).recipe.config

    def test_a_warm_start_keeps_what_the_object_has(self, attack, read, clean, tmp_path):
        options = {"object_eps": 3 / 255}
        first = attack(tmp_path / "a.zarr", **options)
        warm = read(attack(tmp_path / "b.zarr", init=first, steps=0, **options))
        same = np.abs(warm["image"].astype(int) - read(first)["image"])
        assert same.max() == 0

    def test_in_the_l2_ball(self, attack, read, clean, tmp_path):
        options = {"norm": "l2", "eps": 2.0, "object_eps": 0.5}
        found = read(attack(tmp_path / "adv.zarr", **options))
        moved = (found["image"].astype(int) - clean) / 255
        inside = np.where(found["background"][:, None], 0, moved)
        lengths = np.sqrt((inside**2).sum((1, 2, 3)))
        assert 0 < lengths.max() <= 0.5 + 1e-6

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"object_eps": 7 / 255}, r"--object-eps: expected at most --eps 6/255, got 7/255"),
            ({"object_eps": 1 / 255, "eps": "auto"}, "--object-eps: expected a number as --eps"),
            (
                {"object_eps": 1 / 255, "attack": "blur", "eps": None, "steps": None},
                r"--object-eps: expected an attack",
            ),
        ],
    )
    def test_a_radius_that_does_not_fit_is_refused(self, options, message):
        given = {"eps": LEVELS / 255, **options}
        given = {name: value for name, value in given.items() if value is not None}
        with pytest.raises(UsageError, match=message):
            PerturbConfig(model="m", output="o", **given)
