"""Heatmaps that another program wrote as described in docs/artifacts.md."""

import h5py
import numpy as np
import pytest
import zarr

from ectool.config import ScoreConfig
from ectool.errors import InputError, OutputExistsError
from ectool.stages import score
from ectool.types import Outcome

N, CLASSES = 12, 4
WRITERS = ("zarr", "h5py")


def make_arrays():
    generator = np.random.default_rng(0)
    label = generator.integers(0, CLASSES, N)
    clean, adversarial = generator.random((2, N, 5, 6))
    logits_clean, logits_adversarial = generator.normal(size=(2, N, CLASSES))
    return {
        "sample_id": [f"bird/{row}.jpg" for row in range(N)],
        "label": label,
        "target": label,
        "clean": clean.astype("float16"),
        "adversarial": adversarial.astype("float16"),
        "logits_clean": logits_clean.astype("float32"),
        "logits_adversarial": logits_adversarial.astype("float32"),
    }


def write_zarr(folder, arrays, schema="heatmaps"):
    path = folder / "cams.zarr"
    group = zarr.create_group(path, attributes={"schema": schema, "version": 1})
    for name, values in arrays.items():
        if name == "sample_id":
            values = np.array(values, dtype=np.dtypes.StringDType())
        group.create_array(name, data=values)
    return path


def write_h5py(folder, arrays, schema="heatmaps"):
    path = folder / "cams.h5"
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = schema
        for name, values in arrays.items():
            dtype = h5py.string_dtype() if name == "sample_id" else None
            file.create_dataset(name, data=values, dtype=dtype)
    return path


def write_foreign(writer, folder, arrays, **options):
    return (write_zarr if writer == "zarr" else write_h5py)(folder, arrays, **options)


@pytest.fixture(scope="module")
def ours(write, read, tmp_path_factory):
    """The weights that come of an artifact of our own."""
    arrays = make_arrays()
    arrays["sample_id"] = np.array(arrays["sample_id"], dtype=np.dtypes.StringDType())
    path = write(tmp_path_factory.mktemp("ours") / "cams.zarr", "heatmaps", arrays)
    return read(score.run(ScoreConfig(heatmaps=path)).path)


@pytest.mark.parametrize("writer", WRITERS)
class TestForeign:
    def test_is_scored_like_ours(self, writer, ours, read, tmp_path):
        path = write_foreign(writer, tmp_path, make_arrays())
        found = read(score.run(ScoreConfig(heatmaps=path)).path)
        assert set(found) == set(ours)
        for name, values in ours.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)

    @pytest.mark.parametrize(
        "change",
        [
            lambda arrays: {"label": arrays["label"].astype(np.int32)},
            lambda arrays: {"label": arrays["label"].astype(np.uint8)},
            lambda arrays: {n: a.astype(np.float64) for n, a in arrays.items() if "logit" in n},
            lambda arrays: {n: arrays[n].astype(np.float64) for n in ("clean", "adversarial")},
            lambda arrays: {"notes": np.arange(3)},
        ],
        ids=["int32", "uint8", "wide logits", "wide maps", "unknown array"],
    )
    def test_may_take_other_widths(self, writer, change, ours, read, tmp_path):
        arrays = make_arrays()
        path = write_foreign(writer, tmp_path, {**arrays, **change(arrays)})
        found = read(score.run(ScoreConfig(heatmaps=path)).path)
        np.testing.assert_allclose(found["weight"], ours["weight"], rtol=1e-6)

    def test_again_is_up_to_date_until_it_changes(self, writer, listener, tmp_path):
        arrays = make_arrays()
        path = write_foreign(writer, tmp_path, arrays)
        weights = score.run(ScoreConfig(heatmaps=path)).path
        assert score.run(ScoreConfig(heatmaps=path), listener) == Outcome(weights, is_new=False)
        assert listener.notes == []
        arrays["clean"][0, 0, 0] += 1
        other = tmp_path / "other"
        other.mkdir()
        changed = write_foreign(writer, other, arrays)
        with pytest.raises(OutputExistsError, match="--force"):
            score.run(ScoreConfig(heatmaps=changed, output=weights))

    @pytest.mark.parametrize("name", ["clean", "adversarial", "logits_adversarial"])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_numbers_have_to_be_finite(self, writer, name, value, tmp_path):
        arrays = make_arrays()
        arrays[name][7, 1] = value
        path = write_foreign(writer, tmp_path, arrays)
        with pytest.raises(InputError, match=f"{name}: expected finite numbers, .* at row 7"):
            score.run(ScoreConfig(heatmaps=path))

    @pytest.mark.parametrize("name", ["sample_id", "target", "clean", "logits_clean"])
    def test_arrays_have_to_be_there(self, writer, name, tmp_path):
        arrays = make_arrays()
        del arrays[name]
        path = write_foreign(writer, tmp_path, arrays)
        with pytest.raises(InputError, match=f"expected the array `{name}` of a heatmaps artifact"):
            score.run(ScoreConfig(heatmaps=path))

    @pytest.mark.parametrize("name", ["adversarial", "logits_adversarial"])
    def test_the_adversarial_half_has_to_be_there(self, writer, name, tmp_path):
        arrays = make_arrays()
        del arrays[name]
        path = write_foreign(writer, tmp_path, arrays)
        with pytest.raises(InputError, match=f"{name}: expected heatmaps of clean and perturbed"):
            score.run(ScoreConfig(heatmaps=path))

    @pytest.mark.parametrize(
        ("name", "change", "message"),
        [
            ("clean", lambda a: a[:, None], r"got float16 of shape \(12, 1, 5, 6\)"),
            ("clean", lambda a: a[:, :4], "expected 5 along `map_height` as in adversarial, got 4"),
            ("label", lambda a: a[:-1], "along `sample`"),
            ("label", lambda a: a.astype(float), "expected kind i or u .* got float64"),
            ("logits_clean", lambda a: a[:, :3], "along `class`"),
            ("logits_clean", lambda a: a[:, 0], r"got float32 of shape \(12,\)"),
        ],
    )
    def test_dimensions_have_to_agree(self, writer, name, change, message, tmp_path):
        arrays = make_arrays()
        arrays[name] = change(arrays[name])
        path = write_foreign(writer, tmp_path, arrays)
        with pytest.raises(InputError, match=message):
            score.run(ScoreConfig(heatmaps=path))

    def test_labels_have_to_be_classes(self, writer, tmp_path):
        arrays = make_arrays()
        arrays["label"][2] = -1
        path = write_foreign(writer, tmp_path, arrays)
        with pytest.raises(InputError, match="labels: expected classes 0 to 3, got -1"):
            score.run(ScoreConfig(heatmaps=path))

    def test_samples_have_to_differ(self, writer, tmp_path):
        arrays = make_arrays()
        arrays["sample_id"][5] = "bird/1.jpg"
        path = write_foreign(writer, tmp_path, arrays)
        with pytest.raises(InputError, match=r"got 'bird/1\.jpg' twice"):
            score.run(ScoreConfig(heatmaps=path))

    def test_schema_has_to_be_named(self, writer, tmp_path):
        path = write_foreign(writer, tmp_path, make_arrays(), schema="cams")
        with pytest.raises(InputError, match="expected a heatmaps artifact, got schema 'cams'"):
            score.run(ScoreConfig(heatmaps=path))

    def test_there_has_to_be_a_sample(self, writer, tmp_path):
        arrays = {name: values[:0] for name, values in make_arrays().items()}
        path = write_foreign(writer, tmp_path, arrays)
        with pytest.raises(InputError, match="expected at least one sample, got none"):
            score.run(ScoreConfig(heatmaps=path))
