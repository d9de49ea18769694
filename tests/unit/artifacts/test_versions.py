"""Versions behind artifacts: all that can change a result, both where work went on with another."""

from __future__ import annotations

import ast
import json
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
import pytest

import ectool
from ectool.artifacts import folder, versions
from ectool.artifacts.jobs import states
from ectool.artifacts.jobs.sealed import read_table, write_checked, write_table
from ectool.artifacts.manifest import LIBRARIES, Recipe, library_versions, make_manifest
from ectool.artifacts.partial import growing

COMPUTING = (
    *("attacks", "consistency", "corruptions", "datasets", "explainers", "faithfulness"),
    *("metrics", "models", "sanity", "stability", "training"),
)
DESCRIBING = {"jaxtyping", "safetensors", "pydantic", "matplotlib", "datasets", "pyarrow"}
"""Packages that report or store the results of others, or read files that have a fingerprint."""
OPTIONAL = {"pytorch-lightning", "lightning", "lpips"}
RECIPE = Recipe(kind="weights", stage="test", config={})


def imported():
    for name in COMPUTING:
        for file in (Path(ectool.__file__).parent / name).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    yield node.module.partition(".")[0]


def test_every_package_that_computes_is_recorded():
    known = packages_distributions()
    names = set(imported()) - sys.stdlib_module_names - {"ectool"}
    found = {known[name][0].lower().replace("_", "-") for name in names if name in known}
    assert {"torch", "numpy", "scipy", "pillow"} <= found
    assert found - DESCRIBING <= set(LIBRARIES)


def test_versions_are_those_of_the_packages():
    found = library_versions()
    assert all(found[name] == version(name) for name in ("torch", "scipy", "pillow", "numpy"))


def arrays(start, stop):
    ones = np.ones(stop - start, np.float32)
    names = ("similarity", "stability", "explanation_consistency", "weight")
    ids = np.array([f"{row}" for row in range(start, stop)], np.dtypes.StringDType())
    return {"sample_id": ids} | dict.fromkeys(names, ones)


def grow(output, shards, *, publish=True):
    """Write some of three shards; describe the versions at the beginning."""
    with growing(output, RECIPE, length=6, shard_size=2) as partial:
        for number in shards:
            partial.write(number, arrays(*partial.ranges[number]), {})
        if publish:
            partial.publish()
        return partial.other_versions


def begun(output, **others):
    """Change the recorded versions of the finished part of an output."""
    (place,) = output.parent.glob(f"{output.name}.partial-*")
    file = place / versions.FILE
    write_table(file, {**read_table(file), **others})


@pytest.fixture
def manifest():
    def read(path):
        return json.loads((path / "manifest.json").read_text())

    return read


def test_an_artifact_continued_with_another_version_records_both(tmp_path, manifest):
    whole, output = tmp_path / "whole.zarr", tmp_path / "out.zarr"
    assert grow(whole, range(3)) == ""
    grow(output, [0], publish=False)
    begun(output, torch="0.9", zarr="2.0")
    now = version("torch")
    assert grow(output, [1, 2]) == f"torch 0.9 (installed: {now})"  # zarr changes nothing
    found = manifest(output)
    assert found["versions"]["torch"] == f"0.9 and {now}"
    assert found["versions"]["numpy"] == version("numpy")
    assert [found[name] for name in ("key", "id")] == [manifest(whole)[n] for n in ("key", "id")]
    assert "torch" in versions.differing(found["versions"])


def test_what_was_begun_but_holds_nothing_is_of_the_installed_ones(tmp_path, manifest):
    output = tmp_path / "out.zarr"
    grow(output, [], publish=False)
    begun(output, torch="0.9")
    assert grow(output, range(3)) == ""
    assert manifest(output)["versions"] == library_versions()


def test_an_unfinished_folder_records_both(tmp_path):
    recipe = Recipe(kind="model", stage="test", config={})
    output = tmp_path / "model"
    with folder.building(output, recipe) as partial:
        (partial.scratch / "epoch-00001").mkdir()
        checksums = {"a": write_checked(partial.scratch / "epoch-00001" / "a", b"b")}
        made_with = {**partial.versions, "numpy": "1.0"}
        states.finish(partial.scratch / "epoch-00001", checksums, made_with)
    with folder.building(output, recipe) as partial:
        assert partial.other_versions == f"numpy 1.0 (installed: {np.__version__})"
        partial.store.mkdir()
        partial.publish({"a": write_checked(partial.store / "a", b"b")})
    found = folder.open_folder(output, "model").versions["numpy"]
    assert found == f"1.0 and {np.__version__}"


def test_a_package_that_was_not_there_is_not_another_version():
    assert versions.differing({"timm": "not installed", "numpy": np.__version__}) == {}
    assert versions.differing({"numpy": "1.0", "unknown": "2"}) == {
        "numpy": {"made_with": "1.0", "installed": np.__version__}
    }


def test_the_machine_is_in_neither_key_nor_id():
    one, two = (make_manifest(RECIPE, files={"a": "b"}, machine={"threads": n}) for n in (1, 2))
    assert (one.key, one.id) == (two.key, two.id)
    assert (one.machine, two.machine) == ({"threads": 1}, {"threads": 2})
