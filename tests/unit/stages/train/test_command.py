"""Training on forty tiny images: exact to the byte, and particular about its inputs."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import DataOptions, TrainConfig
from ectool.errors import InputError, IntegrityError, OutputExistsError, UsageError
from ectool.stages import train
from ectool.stages.common.inputs import open_data
from ectool.stages.train.inputs import validation_sets
from ectool.types import Outcome, SilentReporter

SIDE = 16
STATE = ("model.safetensors", "trainer.safetensors", "history.json")


@pytest.fixture(scope="module")
def dataset(images, data_root):
    return open_data(DataOptions(data=f"imagefolder:{images}", size=SIDE), "train")


@pytest.fixture(scope="module")
def outcome(dataset, images):
    """Train for three epochs on the images, by default."""

    def run(output, reporter=None, **given):
        options = {
            "data": f"imagefolder:{images}",
            "size": SIDE,
            "epochs": 3,
            "batch_size": 16,
            "device": "cpu",
            **given,
        }
        config = TrainConfig(output=output, **options)
        return train.run(config, reporter or SilentReporter())

    return run


@pytest.fixture(scope="module")
def fit(outcome):
    """Train; return the path of the model."""
    return lambda *arguments, **given: outcome(*arguments, **given).path


@pytest.fixture(scope="module")
def whole(fit, tmp_path_factory):
    """A model after three epochs."""
    return fit(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture(scope="module")
def third(fit, tmp_path_factory):
    """The same model after the first epoch."""
    return fit(tmp_path_factory.mktemp("third") / "model", until_epoch=1)


def state(model):
    return {name: (model / name).read_bytes() for name in STATE}


def write(path, kind, arrays, shard_size=16):
    rows = len(arrays["sample_id"])
    recipe = Recipe(kind=kind, stage="test", config={"name": str(path)})
    with growing(path, recipe, length=rows, shard_size=shard_size) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            partial.write(number, {n: a[start:stop] for n, a in arrays.items()}, {})
        return partial.publish()


def text(ids):
    return np.array(list(ids), dtype=np.dtypes.StringDType())


def write_weights(path, ids, weight):
    score = np.zeros(len(ids), np.float32)
    names = ("similarity", "stability", "explanation_consistency")
    arrays = {"sample_id": text(ids), "weight": np.asarray(weight, np.float32)}
    return write(path, "weights", {**arrays, **dict.fromkeys(names, score)})


def write_samples(path, dataset, rows, images):
    logits = np.zeros((len(rows), 2), np.float32)
    arrays = {
        "sample_id": text(dataset.sample_ids[row] for row in rows),
        "label": dataset.labels[rows],
        "image": images,
        "background": np.ones((len(rows), *images.shape[2:]), np.bool_),
        "logits_clean": logits,
        "logits_adversarial": logits,
    }
    return write(path, "samples", arrays)


@pytest.fixture
def uneven():
    """Weights of mean 1 that are anything but equal."""
    weight = np.random.default_rng(0).random(40).astype(np.float32)
    return weight / weight.mean()


@pytest.fixture
def inverted(dataset, tmp_path):
    """Samples whose images are the negatives of the data set's."""
    rows = np.arange(40)
    return write_samples(tmp_path / "adv.zarr", dataset, rows, 255 - dataset.images(rows))


class TestResume:
    def test_in_one_go_or_in_parts(self, fit, whole, third, tmp_path):
        at_once = fit(tmp_path / "b", resume=third)
        second = fit(tmp_path / "c", resume=third, until_epoch=2)
        last = fit(tmp_path / "d", resume=second)
        assert state(at_once) == state(whole) == state(last)
        assert state(second) != state(whole)

    @pytest.mark.parametrize("options", [{"objective": "ec"}, {"objective": "ec-cam", "mix": 0.3}])
    def test_an_objective_with_a_state(self, options, fit, tmp_path):
        options |= {"objective_start": 0.2, "scored_epochs": 2}
        at_once = fit(tmp_path / "a", epochs=4, **options)
        first = fit(tmp_path / "b", epochs=4, until_epoch=2, **options)
        last = fit(tmp_path / "c", resume=first, epochs=4)
        names = (*STATE, "objective.safetensors")
        assert [(at_once / n).read_bytes() for n in names] == [
            (last / n).read_bytes() for n in names
        ]
        assert "prediction_stability" in json.loads((last / "history.json").read_text())[-1]

    def test_takes_its_options_from_the_model(self, third, whole, tmp_path):
        model = train.run(TrainConfig(resume=third, output=tmp_path / "m", device="cpu")).path
        assert state(model) == state(whole)

    def test_adamw_with_weights_and_samples(self, fit, dataset, inverted, uneven, tmp_path):
        options = {
            "optimizer": "adamw",
            "lr": 0.01,
            "samples": inverted,
            "weights": write_weights(tmp_path / "w.zarr", dataset.sample_ids, uneven),
        }
        first = fit(tmp_path / "a", until_epoch=1, **options)
        assert state(fit(tmp_path / "b", resume=first, **options)) == state(
            fit(tmp_path / "c", **options)
        )

    @pytest.mark.parametrize(
        ("name", "value"), [("lr", 0.1), ("epochs", 4), ("optimizer", "adamw"), ("seed", 1)]
    )
    def test_the_schedule_cannot_change(self, name, value, fit, third, tmp_path):
        with pytest.raises(UsageError, match=f"--{name}: expected .* as in .*got {value}"):
            fit(tmp_path / "m", resume=third, **{name: value})

    @pytest.mark.parametrize("until", [1, 4])
    def test_until_epoch_lies_ahead(self, until, fit, third, tmp_path):
        with pytest.raises(UsageError, match="an epoch after 1 and up to --epochs 3, got "):
            fit(tmp_path / "m", resume=third, until_epoch=until)

    def test_until_epoch_lies_in_the_schedule(self, fit, tmp_path):
        with pytest.raises(UsageError, match="an epoch after 0 and up to --epochs 3, got 4"):
            fit(tmp_path / "m", until_epoch=4)

    def test_data_may_move_but_not_change(self, fit, whole, third, images, tmp_path):
        moved = tmp_path / "moved"
        shutil.copytree(images, moved)
        options = {"resume": third, "data": f"imagefolder:{moved}"}
        assert state(fit(tmp_path / "a", **options)) == state(whole)
        next(moved.glob("train/*/*.png")).unlink()
        with pytest.raises(InputError, match=r"expected the images .* was trained on"):
            fit(tmp_path / "b", **options)

    @pytest.mark.parametrize("name", [*STATE, "model.json"])
    def test_a_damaged_model_is_refused(self, name, fit, third, flip, tmp_path):
        damaged = tmp_path / "damaged"
        shutil.copytree(third, damaged)
        flip(damaged / name, 50)
        with pytest.raises(IntegrityError, match=name):
            fit(tmp_path / "m", resume=damaged)

    def test_something_else_is_refused(self, fit, images, tmp_path):
        with pytest.raises(InputError, match="expected model artifact"):
            fit(tmp_path / "m", resume=images)


class TestWeights:
    def test_ones_are_none(self, fit, whole, dataset, tmp_path):
        weights = write_weights(tmp_path / "w.zarr", dataset.sample_ids, np.ones(40))
        assert state(fit(tmp_path / "m", weights=weights)) == state(whole)

    def test_are_joined_by_id(self, fit, whole, dataset, uneven, tmp_path):
        order = np.random.default_rng(1).permutation(40)
        ids = [dataset.sample_ids[row] for row in order]
        plain = write_weights(tmp_path / "a.zarr", dataset.sample_ids, uneven)
        mixed = write_weights(tmp_path / "b.zarr", [*ids, "other"], [*uneven[order], 7])
        found = state(fit(tmp_path / "m", weights=plain))
        assert found == state(fit(tmp_path / "n", weights=mixed))
        assert found != state(whole)

    def test_a_missing_sample_is_named(self, fit, dataset, uneven, tmp_path):
        weights = write_weights(tmp_path / "w.zarr", dataset.sample_ids[1:], uneven[1:])
        with pytest.raises(InputError, match=f"1 missing, the first '{dataset.sample_ids[0]}'"):
            fit(tmp_path / "m", weights=weights)

    def test_a_repeated_sample_is_named(self, fit, dataset, uneven, tmp_path):
        ids = [*dataset.sample_ids, dataset.sample_ids[3]]
        weights = write_weights(tmp_path / "w.zarr", ids, [*uneven, 1])
        with pytest.raises(InputError, match=f"'{dataset.sample_ids[3]}' twice"):
            fit(tmp_path / "m", weights=weights)

    def test_their_mean_does_not_multiply_the_learning_rate(self, fit, dataset, uneven, tmp_path):
        """Four times the weights, exact in binary, are the same weights."""
        paths = [
            write_weights(tmp_path / f"w{scale}.zarr", dataset.sample_ids, scale * uneven)
            for scale in (1, 4)
        ]
        models = [fit(tmp_path / path.stem, weights=path) for path in paths]
        one, four = (load_file(model / "model.safetensors") for model in models)
        for name, values in one.items():
            np.testing.assert_allclose(four[name], values, rtol=1e-4, atol=1e-6, err_msg=name)

    def test_all_zero_is_refused(self, fit, dataset, uneven, tmp_path):
        weights = write_weights(tmp_path / "w.zarr", dataset.sample_ids, 0 * uneven)
        with pytest.raises(InputError, match=r"some of them more, got 0 for .* and all others"):
            fit(tmp_path / "m", weights=weights)

    def test_negative_ones_are_refused(self, fit, dataset, uneven, tmp_path):
        uneven[5] = -0.5
        weights = write_weights(tmp_path / "w.zarr", dataset.sample_ids, uneven)
        with pytest.raises(InputError, match=f"got -0.5 for '{dataset.sample_ids[5]}'"):
            fit(tmp_path / "m", weights=weights)

    def test_another_artifact_is_refused(self, fit, inverted, tmp_path):
        with pytest.raises(InputError, match="expected a weights artifact, got schema 'samples'"):
            fit(tmp_path / "m", weights=inverted)


class TestSamples:
    def test_share_of_zero_is_none(self, fit, whole, inverted, tmp_path):
        assert state(fit(tmp_path / "m", samples=inverted, mix=0)) == state(whole)

    def test_are_learned_from(self, fit, whole, inverted, tmp_path):
        half = state(fit(tmp_path / "m", samples=inverted))
        all_of_them = state(fit(tmp_path / "n", samples=inverted, mix=1))
        assert len({s["model.safetensors"] for s in (half, all_of_them, state(whole))}) == 3

    def test_that_equal_the_data_in_any_order_change_nothing(self, fit, whole, dataset, tmp_path):
        rows = np.random.default_rng(2).permutation(40)
        samples = write_samples(tmp_path / "adv.zarr", dataset, rows, dataset.images(rows))
        assert state(fit(tmp_path / "m", samples=samples)) == state(whole)

    def test_augmented_as_their_originals(self, fit, dataset, tmp_path):
        rows = np.arange(40)
        same = write_samples(tmp_path / "a.zarr", dataset, rows, dataset.images(rows))
        given = {"flip": True, "rand_augment": 9, "until_epoch": 1}
        plain = state(fit(tmp_path / "m", **given))
        assert state(fit(tmp_path / "n", samples=same, mix=1, **given)) == plain
        assert state(fit(tmp_path / "o", until_epoch=1)) != plain

    @pytest.mark.parametrize(
        "order", [np.arange(40)[::-1], pytest.param(np.arange(40), marks=pytest.mark.slow)]
    )
    def test_in_hdf5_are_the_same(self, fit, dataset, order, tmp_path):
        images = 255 - dataset.images(order)
        models = [
            state(fit(tmp_path / suffix, samples=write_samples(path, dataset, order, images)))
            for suffix in ("zarr", "h5")
            for path in [tmp_path / f"adv.{suffix}"]
        ]
        assert models[0] == models[1]

    def test_a_missing_sample_is_named(self, fit, dataset, tmp_path):
        rows = np.arange(39)
        samples = write_samples(tmp_path / "adv.zarr", dataset, rows, dataset.images(rows))
        with pytest.raises(InputError, match=f"1 missing, the first '{dataset.sample_ids[39]}'"):
            fit(tmp_path / "m", samples=samples)

    def test_another_size_is_refused(self, fit, dataset, tmp_path):
        rows = np.arange(40)
        small = dataset.images(rows)[:, :, ::2, ::2]
        samples = write_samples(tmp_path / "adv.zarr", dataset, rows, small)
        with pytest.raises(InputError, match=r"of shape \(3, 16, 16\).*got .*\(3, 8, 8\)"):
            fit(tmp_path / "m", samples=samples)


class TestOutput:
    def test_another_seed_is_another_model(self, fit, third, tmp_path):
        other = fit(tmp_path / "m", until_epoch=1, seed=1)
        assert state(other)["model.safetensors"] != state(third)["model.safetensors"]

    def test_again_does_nothing(self, third, outcome, tmp_path):
        notes = []
        reporter = SilentReporter()
        reporter.note = notes.append
        before = {path: path.stat().st_mtime_ns for path in third.iterdir()}
        assert outcome(third, reporter, until_epoch=1) == Outcome(third, is_new=False)
        assert notes == []
        assert {path: path.stat().st_mtime_ns for path in third.iterdir()} == before

    def test_another_key_needs_force(self, fit, third, tmp_path):
        output = tmp_path / "model"
        shutil.copytree(third, output)
        with pytest.raises(OutputExistsError, match="--force to move it aside"):
            fit(output, until_epoch=1, seed=1)
        fit(output, until_epoch=1, seed=1, force=True)
        (old,) = tmp_path.glob("model.old-*")
        assert state(old) == state(third)

    def test_nothing_else_is_left_behind(self, whole):
        assert [path.name for path in whole.parent.iterdir()] == ["model"]
        assert sorted(p.name for p in whole.iterdir()) == sorted(
            [*STATE, "model.json", "manifest.json"]
        )

    def test_divergence_is_an_error(self, fit, tmp_path):
        with pytest.raises(InputError, match="loss of epoch 1: expected a finite number"):
            fit(tmp_path / "m", lr=1e30)
        assert not (tmp_path / "m").exists()


class TestHistory:
    def test_without_a_validation_split(self, whole):
        history = json.loads((whole / "history.json").read_text())
        assert [record["epoch"] for record in history] == [1, 2, 3]
        assert all(set(record) == {"epoch", "loss", "accuracy"} for record in history)

    def test_with_a_validation_split(self, fit, images, tmp_path):
        shutil.copytree(images, tmp_path / "p")
        shutil.copytree(images / "train", tmp_path / "p" / "validation")
        model = fit(tmp_path / "m", data=f"imagefolder:{tmp_path / 'p'}", until_epoch=1)
        (record,) = json.loads((model / "history.json").read_text())
        assert 0 <= record["validation_original"] <= 1

    def test_digits_have_two_curves(self, tmp_path, data_root):
        sets = validation_sets(TrainConfig(output=tmp_path))
        assert {name: s.name for name, s in sets.items()} == {
            "original": "digits/validation/original",
            "mixed_rand": "digits/validation/mixed_rand",
        }
