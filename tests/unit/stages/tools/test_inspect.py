"""`inspect`: contents and provenance of artifacts."""

import json
import shutil

import h5py
import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import ExplainConfig, InspectConfig, PerturbConfig, ScoreConfig, TrainConfig
from ectool.errors import InputError, IntegrityError
from ectool.stages import explain, perturb, score, train
from ectool.stages.tools import inspect

ROWS, SHARD = 10, 4


def look(path, **given):
    found = inspect.run(InspectConfig(artifact=path, **given))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


@pytest.fixture(scope="module")
def chain(images, data_root, tmp_path_factory):
    """A folder with a model and the artifacts of one round."""
    root = tmp_path_factory.mktemp("chain")
    data = {"data": f"imagefolder:{images}", "size": 16}
    train.run(TrainConfig(epochs=1, output=root / "model", device="cpu", **data))
    options = {"model": str(root / "model"), "device": "cpu"}
    samples, heatmaps = root / "round" / "adv.zarr", root / "round" / "cams.zarr"
    perturb.run(PerturbConfig(steps=1, output=samples, **options, **data))
    explain.run(ExplainConfig(samples=samples, output=heatmaps, **options))
    score.run(ScoreConfig(heatmaps=heatmaps))
    return root


@pytest.fixture
def own(chain, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(chain, tmp_path / "own")


def states(found):
    return {entry["role"]: entry["state"] for entry in found["provenance"]}


def heatmaps_arrays():
    draw = np.random.default_rng(0)
    return {
        "sample_id": np.array([str(n) for n in range(ROWS)], dtype=np.dtypes.StringDType()),
        "label": draw.integers(0, 3, ROWS),
        "target": draw.integers(0, 3, ROWS),
        "clean": draw.random((ROWS, 3, 2)).astype(np.float32),
        "logits_clean": draw.normal(size=(ROWS, 3)).astype(np.float32),
    }


def write(path, kind, arrays, findings=None):
    recipe = Recipe(kind=kind, stage="test", config={})
    with growing(path, recipe, length=ROWS, shard_size=SHARD) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            rows = {name: values[start:stop] for name, values in arrays.items()}
            partial.write(number, rows, {"odd_rows": number})
        return partial.publish(findings)


class TestProvenance:
    def test_reaches_the_data(self, chain, images):
        found = look(chain / "round" / "weights.zarr")
        assert [(e["role"], e["kind"]) for e in found["provenance"]] == [
            ("heatmaps", "heatmaps"),
            ("model", "model"),
            ("samples", "samples"),
        ]
        assert set(states(found).values()) == {"found"}
        data = f"imagefolder:{images} (train)"
        assert {e["data"] for e in found["provenance"] if e["kind"] != "heatmaps"} == {data}

    def test_ids_are_those_of_the_ancestors(self, chain):
        for entry in look(chain / "round" / "weights.zarr")["provenance"]:
            path = chain / "round" / entry["path"].rpartition("/round/")[2]
            assert look(path)["id"] == entry["id"]

    def test_follows_when_everything_moves_together(self, own):
        assert set(states(look(own / "round" / "weights.zarr")).values()) == {"found"}

    def test_works_in_the_folder_itself(self, chain, monkeypatch):
        monkeypatch.chdir(chain / "round")
        found = inspect.run(InspectConfig(artifact="weights.zarr"))
        assert set(states(found).values()) == {"found"}

    def test_stops_at_a_missing_ancestor(self, own):
        shutil.rmtree(own / "round" / "cams.zarr")
        assert states(look(own / "round" / "weights.zarr")) == {"heatmaps": "missing"}

    def test_notes_a_changed_ancestor(self, own, images):
        shutil.rmtree(own / "model")
        data = {"data": f"imagefolder:{images}", "size": 16}
        train.run(TrainConfig(epochs=1, seed=1, output=own / "model", device="cpu", **data))
        found = look(own / "round" / "adv.zarr")
        assert states(found) == {"model": "changed"}
        assert found["provenance"][0]["data"] is None

    def test_notes_an_ancestor_that_cannot_be_read(self, own):
        (own / "round" / "cams.zarr" / "manifest.json").write_text("{}")
        assert states(look(own / "round" / "weights.zarr")) == {"heatmaps": "changed"}


class TestArrays:
    def test_shapes_and_statistics(self, tmp_path):
        arrays = heatmaps_arrays()
        found = look(write(tmp_path / "a.zarr", "heatmaps", arrays, {"level": 42.0}))
        assert (found["kind"], found["samples"], found["verified"]) == ("heatmaps", ROWS, False)
        assert found["findings"] == {"odd_rows": 0 + 1 + 2, "level": 42.0}
        assert found["arrays"]["clean"] == {"shape": [ROWS, 3, 2], "dtype": "float32"}
        assert set(found["statistics"]) == {"clean", "logits_clean"}
        values = arrays["clean"].astype(np.float64)
        assert found["statistics"]["clean"] == {
            "min": values.min(),
            "mean": pytest.approx(values.mean(), rel=1e-12),
            "max": values.max(),
            "undefined": 0,
        }

    def test_undefined_values_are_counted_apart(self, tmp_path):
        arrays = heatmaps_arrays()
        score = np.arange(ROWS, dtype=np.float32)
        score[[1, 5]] = np.nan
        nothing = np.full(ROWS, np.nan, np.float32)
        weights = {
            "sample_id": arrays["sample_id"],
            "similarity": score,
            "stability": score,
            "explanation_consistency": nothing,
            "weight": np.ones(ROWS, np.float32),
        }
        found = look(write(tmp_path / "w.zarr", "weights", weights))["statistics"]
        assert found["similarity"] == {"min": 0, "mean": 39 / 8, "max": 9, "undefined": 2}
        assert found["explanation_consistency"] == {
            "min": None,
            "mean": None,
            "max": None,
            "undefined": ROWS,
        }

    def test_samples_have_statistics_of_images_and_masks(self, chain):
        found = look(chain / "round" / "adv.zarr", verify=True)
        with Artifact(chain / "round" / "adv.zarr") as artifact:
            image, background = artifact.read("image"), artifact.read("background")
        assert found["statistics"]["image"]["mean"] == pytest.approx(image.mean())
        assert found["statistics"]["background"]["mean"] == pytest.approx(background.mean())
        assert "label" not in found["statistics"]
        assert found["config"]["steps"] == 1

    def test_what_another_program_wrote(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.attrs.update(schema="heatmaps", version=1)
            for name, values in heatmaps_arrays().items():
                is_text = name == "sample_id"
                file.create_dataset(
                    name,
                    data=values.astype(object) if is_text else values,
                    dtype=h5py.string_dtype() if is_text else None,
                )
        found = look(tmp_path / "a.h5", verify=True)
        assert (found["kind"], found["key"], found["provenance"]) == ("heatmaps", None, [])
        assert len(found["id"]) == 64


class TestFolders:
    def test_files_and_contents(self, chain):
        found = look(chain / "model", verify=True)
        assert found["kind"] == "model"
        assert found["files"] == {
            path.name: path.stat().st_size
            for path in (chain / "model").iterdir()
            if path.name != "manifest.json"
        }
        assert found["contents"]["model.json"]["architecture"] == "smallcnn"
        assert found["data"]["split"] == "train"
        assert found["verified"]


class TestDamage:
    def test_of_an_array_is_found_with_verify(self, own, flip):
        path = own / "round" / "weights.zarr"
        chunk = next(p for p in path.glob("weight/**/*") if p.is_file() and p.name != "zarr.json")
        flip(chunk, 20)
        with pytest.raises(IntegrityError, match=r"got shard 0 of `\w+`: not as"):
            look(path, verify=True)

    @pytest.mark.parametrize("name", ["model.safetensors", "model.json", "history.json"])
    def test_of_a_file_is_found_with_verify(self, name, own, flip):
        flip(own / "model" / name, 30)
        with pytest.raises(IntegrityError, match=name):
            look(own / "model", verify=True)

    def test_of_a_large_file_is_not_looked_for_without(self, own, flip):
        flip(own / "model" / "model.safetensors", -1)
        assert not look(own / "model")["verified"]

    def test_a_missing_file_is_always_noticed(self, own):
        (own / "model" / "trainer.safetensors").unlink()
        with pytest.raises(IntegrityError, match=r"trainer.safetensors.*got no file"):
            look(own / "model")


class TestRefused:
    @pytest.mark.parametrize("name", ["nothing", "nothing.zarr", "nothing.h5"])
    def test_nothing_there(self, name, tmp_path):
        with pytest.raises(InputError, match="expected an artifact, got no such file"):
            look(tmp_path / name)

    def test_no_artifact(self, tmp_path):
        with pytest.raises(InputError, match=r"got a path without manifest.json; give a .zarr"):
            look(tmp_path)

    def test_a_file_that_is_no_artifact(self, tmp_path):
        (tmp_path / "a.h5").write_text("a diary")
        with pytest.raises(InputError, match="expected an HDF5 file"):
            look(tmp_path / "a.h5")
