"""`open` reads every artifact as arrays, and as a data set of xarray."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import ectool
from ectool.artifacts.artifact import Artifact
from ectool.config import ConvertConfig
from ectool.stages.tools import convert


def test_arrays_are_those_of_the_artifact(samples: Path) -> None:
    found = ectool.open(samples)
    with Artifact(samples) as artifact:
        assert set(found) == set(artifact.arrays)
        assert np.array_equal(found["image"], artifact.read("image"))
        assert found["sample_id"].tolist() == artifact.sample_ids
    assert found.kind == "samples"
    assert len(found.attributes["classes"]) == 10
    assert "samples: background, image" in repr(found)
    with pytest.raises(KeyError, match="'masks'; there are background"):
        found["masks"]


def test_both_formats_are_the_same(heatmaps: Path, tmp_path: Path) -> None:
    other = tmp_path / "cams.h5"
    convert.run(ConvertConfig(source=heatmaps, target=other))
    one, two = ectool.open(heatmaps).to_xarray(), ectool.open(other).to_xarray()
    assert one.identical(two)
    assert one["clean"].dims == ("sample", "map_height", "map_width")
    assert one["logits_clean"].dims == ("sample", "class")


def test_xarray_has_ids_and_classes_as_coordinates(samples: Path) -> None:
    found = ectool.open(samples)
    data = found.to_xarray()
    assert data.sizes["sample"] == len(found["label"])
    first = data.sel({"sample": found["sample_id"][3], "class": "7"})
    assert float(first["logits_clean"]) == found["logits_clean"][3, 7]
    assert data.attrs == {"kind": "samples"}


def test_models_are_their_weights_and_their_description(model: Path) -> None:
    found = ectool.open(model)
    weights = load_file(model / "model.safetensors")
    assert set(found) == set(weights)
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
    assert found.attributes == json.loads((model / "model.json").read_text())
    assert found.to_xarray()["head.bias"].shape == (10,)


def test_paths_that_are_no_artifact_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ectool.EctoolError, match=r"none: expected a .zarr.*got no such file"):
        ectool.open(tmp_path / "none")
    with pytest.raises(ectool.EctoolError, match=r"got a path without manifest.json"):
        ectool.open(tmp_path)
    with pytest.raises(ectool.EctoolError, match=r"none.zarr: expected an artifact, got no such"):
        ectool.open(tmp_path / "none.zarr")


@pytest.mark.parametrize("package", ["xarray", "pandas"])
def test_missing_packages_are_named(package, model, monkeypatch, wrapped, photos, classes) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    evaluation = ectool.evaluate(wrapped, (photos, classes), "classification", bootstrap=100)
    call = {"xarray": ectool.open(model).to_xarray, "pandas": evaluation.to_pandas}[package]
    with pytest.raises(ectool.EctoolError, match=rf"{package}: .*pip install 'ectool\[xarray\]'"):
        call()
