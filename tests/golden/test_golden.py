"""Artifacts of version 0.1.0, as its code wrote them (`make.py`), are read with the same values."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.folder import open_folder
from ectool.config import CompareConfig, ConvertConfig, InspectConfig, VerifyConfig
from ectool.errors import InputError, IntegrityError
from ectool.stages.common.model_folder import load_artifact
from ectool.stages.evaluate.results import read_results
from ectool.stages.tools import compare, convert, inspect, verify

ARCHIVE = Path(__file__).with_name("artifacts-0.1.0.tar.xz")


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    root = tmp_path_factory.mktemp("golden")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(root, filter="data")
    return root


@pytest.fixture(scope="module")
def values(golden):
    """Return what the code of version 0.1.0 read from each of them."""
    return json.loads((golden / "values.json").read_text())


def test_the_archive_is_small():
    assert ARCHIVE.stat().st_size < 200_000


def test_arrays_have_the_same_values_in_both_formats(golden, values):
    kinds = set()
    for name, wanted in values.items():
        with Artifact(golden / name) as artifact:
            kinds.add((artifact.kind, Path(name).suffix))
            assert (artifact.id, artifact.manifest.key) == (wanted["id"], wanted["key"])
            assert artifact.manifest.versions["ectool"] == "0.1.0"
            assert artifact.arrays.keys() == wanted["arrays"].keys()
            for array, known in wanted["arrays"].items():
                found = artifact.read(array)
                if isinstance(known, list) and found.dtype.kind == "f":
                    np.testing.assert_array_equal(found, np.array(known, found.dtype))
                elif isinstance(known, list):
                    assert found.tolist() == known
                else:
                    assert list(found.shape) == known["shape"]
                    assert found.astype(np.float64).sum() == pytest.approx(known["sum"], abs=1e-9)
    both = {(kind, end) for kind in ("samples", "heatmaps", "weights") for end in (".zarr", ".h5")}
    assert kinds == both | {("predictions", ".zarr")}


def test_a_model_gives_the_logits_that_were_stored(golden):
    model = load_artifact(golden / "run/0/model").eval()
    with Artifact(golden / "run/1/adv.zarr") as samples, torch.no_grad():
        images = torch.from_numpy(samples.read("image")).float() / 255
        torch.testing.assert_close(
            model(images).numpy(), samples.read("logits_adversarial"), rtol=1e-4, atol=1e-5
        )


def test_results_are_refused_with_the_command_that_makes_them_again(golden):
    path = golden / "run/eval"
    assert open_folder(path, "evaluation").kind == "evaluation"
    message = "expected results.json of version 3, got version 1.*; repeat `ectool evaluate`"
    with pytest.raises(InputError, match=message):
        read_results(path)
    with pytest.raises(InputError, match=message):
        compare.run(CompareConfig(a=path, b=path))


def test_options_and_parents_are_read(golden):
    manifest = open_folder(golden / "run/0/model", "model")
    assert manifest.recipe.source.options == {"size": 32, "rho": 0.5, "data_seed": 0}
    found = inspect.run(InspectConfig(artifact=golden / "run/1/cams.h5", verify=True))
    assert [parent["state"] for parent in found["provenance"]] == ["found", "found"]


def test_everything_is_verified(golden, tmp_path):
    assert verify.run(VerifyConfig(paths=(golden / "run",))).document["summary"] == {
        **{"intact": 12, "damaged": 0, "incomplete": 0, "unknown": 0}
    }
    target = tmp_path / "cams.h5"
    convert.run(ConvertConfig(source=golden / "run/1/cams.zarr", target=target))
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    with pytest.raises(IntegrityError, match="got 1 damaged"):
        verify.run(VerifyConfig(paths=(target,)))
