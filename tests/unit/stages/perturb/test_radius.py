"""`--eps auto` against runs with the same and the next smaller radius."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.partial import growing
from ectool.artifacts.store import read_manifest
from ectool.config import PerturbConfig
from ectool.datasets.subset import limited
from ectool.models.classifier import to_pixels
from ectool.stages import perturb
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import open_data
from ectool.stages.perturb.command import describe
from ectool.stages.perturb.radius import RadiusSearch, eps_of
from ectool.types import SILENT

N = 30


@pytest.fixture(scope="module")
def options(model, few_options):
    return {"model": str(model), "steps": 2, "mask": "full", "shard_size": 8, **few_options}


@pytest.fixture(scope="module")
def attack(options):
    """Run `perturb --eps auto` on the thirty digits; return the path."""

    def run(output, reporter=SILENT, **given):
        config = PerturbConfig(output=output, **{"eps": "auto", **options, **given})
        return perturb.run(config, reporter).path

    return run


@pytest.fixture(scope="module")
def auto(attack, tmp_path_factory):
    return attack(tmp_path_factory.mktemp("auto") / "adv.zarr")


def radius_of(path):
    return read_manifest(path).all_findings()["eps"]


def share(arrays):
    """Return the share of correct predictions that an attack changed, image by image."""
    correct = changed = 0
    columns = (arrays[name] for name in ("label", "logits_clean", "logits_adversarial"))
    for label, clean, adversarial in zip(*columns, strict=True):
        correct += clean.argmax() == label
        changed += clean.argmax() == label != adversarial.argmax()
    return correct, changed / correct


def test_it_is_the_first_level_that_changes_half_of_the_correct_predictions(
    auto, attack, read, tmp_path
):
    findings = read_manifest(auto).all_findings()
    level = round(255 * findings["eps"])
    assert findings["eps"] == level / 255
    correct, changed = share(read(auto))
    assert 5 <= correct == findings["eps_correct_predictions"] < N
    assert changed == pytest.approx(findings["eps_changed_predictions"], abs=1e-6)
    assert changed >= 0.5
    below = read(attack(tmp_path / "below.zarr", eps=(level - 1) / 255))
    assert share(below)[1] < 0.5


def test_the_samples_are_those_of_this_number_and_the_recipe_says_auto(
    auto, attack, read, tmp_path
):
    told = attack(tmp_path / "told.zarr", eps=radius_of(auto))
    expected = read(told)
    for name, values in read(auto).items():
        np.testing.assert_array_equal(values, expected[name])
    assert read_manifest(auto).recipe.config["eps"] == "auto"
    assert read_manifest(auto).key != read_manifest(told).key
    assert "eps" not in read_manifest(told).all_findings()


@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_the_batch_does_not_matter(batch_size, auto, attack, tmp_path):
    assert radius_of(attack(tmp_path / "a.zarr", batch_size=batch_size)) == radius_of(auto)


def test_a_warm_start_begins_at_the_last_samples(auto, attack, read, listener, tmp_path):
    path = attack(tmp_path / "a.zarr", listener, init=auto, steps=1)
    told = attack(tmp_path / "b.zarr", init=auto, steps=1, eps=radius_of(path))
    np.testing.assert_array_equal(read(path)["image"], read(told)["image"])
    (note,) = listener.notes
    assert note.startswith(f"{path}: --eps auto: {round(255 * radius_of(path))}/255 changes ")


def test_l2_has_its_own_levels(attack, read, tmp_path):
    path = attack(tmp_path / "a.zarr", norm="l2")
    eps = radius_of(path)
    level = round(1 + 4 * np.log2(16 * eps))
    assert eps == pytest.approx(2 ** ((level - 1) / 4) / 16)
    assert share(read(path))[1] >= 0.5
    below = read(attack(tmp_path / "b.zarr", norm="l2", eps=eps_of(level - 1, "l2")))
    assert share(below)[1] < 0.5


def test_joint_heatmaps_belong_to_the_same_samples(auto, attack, read, tmp_path):
    path = attack(tmp_path / "adv.zarr", heatmaps=tmp_path / "cams.zarr")
    assert read_manifest(path).key == read_manifest(auto).key
    assert radius_of(path) == radius_of(auto)
    with Artifact(tmp_path / "cams.zarr") as heatmaps:
        np.testing.assert_array_equal(
            heatmaps.read("logits_adversarial").argmax(1),
            read(path)["logits_adversarial"].argmax(1),
        )


class TestResume:
    def test_an_unfinished_output_keeps_its_radius(self, attack, options, read, tmp_path):
        """The recorded radius is another than the search would find, so no search was made."""
        path, recorded = tmp_path / "adv.zarr", {"eps": 2 / 255}
        config = PerturbConfig(output=path, **{**options, "eps": "auto"})
        dataset = open_data(config, config.split)
        recipe = describe(config, find_model(config), dataset)
        attributes = {"classes": list(dataset.classes)}
        with growing(path, recipe, length=N, shard_size=8, attributes=attributes) as partial:
            partial.record_findings(recorded)
        assert attack(path) == path
        moved = read(path)["image"].astype(int) - dataset.images(np.arange(N))
        assert np.abs(moved).max() == 2
        assert radius_of(path) == 2 / 255

    def test_damaged_shards_get_the_radius_of_the_others(
        self, auto, attack, flip, listener, tree, tmp_path
    ):
        path = attack(tmp_path / "adv.zarr")
        before = tree(path)
        flip(path / "background/c/1/0/0", 40)
        attack(path, listener, resume=True)
        assert not any("--eps auto" in note for note in listener.notes)
        assert tree(path) == before


class TestEnds:
    """Networks that any change misleads, or none."""

    @pytest.fixture
    def search(self, network, few_digits, tmp_path):
        """Search with noise, for a network whose logits are replaced."""

        def run(logits_of):
            config = PerturbConfig(
                model="unused", output=tmp_path / "a", eps="auto", attack="noise", mask="full"
            )
            changed = copy.deepcopy(network)
            changed.network.register_forward_hook(lambda _, images, __: logits_of(images[0]))
            return RadiusSearch(config, changed, few_digits, None).find()

        return run

    def test_the_smallest_radius_where_it_changes_everything(self, search, network, few_digits):
        pixels = to_pixels(few_digits.images(np.arange(N)))
        stored = (pixels - network.mean) / network.std
        labels = torch.from_numpy(few_digits.labels.copy())

        def exact(images):
            distance = (images[:, None] - stored[None]).abs().amax((2, 3, 4))
            wrong = (distance.amin(1) > 1e-5).long()
            return F.one_hot((labels[distance.argmin(1)] + wrong) % 10, 10).float()

        found = search(exact)
        assert found == {
            "eps": 1 / 255,
            "eps_correct_predictions": N,
            "eps_changed_predictions": 1.0,
            "eps_at_end": 1,
        }

    def test_the_largest_radius_where_nothing_changes(self, search):
        found = search(lambda images: F.one_hot(torch.zeros(len(images)).long(), 10).float())
        assert (found["eps"], found["eps_at_end"]) == (1.0, 1)
        assert (found["eps_correct_predictions"], found["eps_changed_predictions"]) == (3, 0)

    def test_the_smallest_radius_where_nothing_is_correct(self, search, few_digits):
        labels = torch.from_numpy(few_digits.labels.copy())
        found = search(lambda images: F.one_hot((labels[: len(images)] + 1) % 10, 10).float())
        assert (found["eps"], found["eps_correct_predictions"]) == (1 / 255, 0)


def test_the_search_takes_the_samples_of_the_smallest_hashes(network, few_digits, tmp_path):
    config = PerturbConfig(model="unused", output=tmp_path / "a", eps="auto", steps=0, seed=3)
    search = RadiusSearch(config, network, few_digits, None)
    assert list(search.subset.sample_ids) == list(limited(few_digits, 256, 3).sample_ids)
    with torch.no_grad():
        predicted = network(to_pixels(few_digits.images(np.arange(N)))).argmax(1).numpy()
    assert search.correct == (predicted == few_digits.labels).sum()
