"""The same artifact in the other format, and back."""

import os

import h5py
import numpy as np
import pytest
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs import writers
from ectool.artifacts.manifest import DataSource, Parent, Recipe
from ectool.artifacts.partial import growing
from ectool.artifacts.schema import FOREIGN
from ectool.config import ConvertConfig
from ectool.errors import InputError, IntegrityError, OutputExistsError, UsageError
from ectool.stages.tools import convert
from ectool.types import SILENT, SilentReporter

ROWS, SHARD = 11, 4
SUFFIXES = pytest.mark.parametrize(("first", "second"), [(".zarr", ".h5"), (".h5", ".zarr")])


def arrays_of(seed=0):
    draw = np.random.default_rng(seed)
    return {
        "sample_id": np.array([f"é/{n}" for n in range(ROWS)], dtype=np.dtypes.StringDType()),
        "label": draw.integers(0, 3, ROWS),
        "target": draw.integers(0, 3, ROWS),
        "clean": draw.random((ROWS, 3, 2)).astype(np.float16),
        "logits_clean": draw.normal(size=(ROWS, 3)).astype(np.float32),
    }


def make(path, seed=0):
    """Write a heatmaps artifact as the stages do."""
    arrays = arrays_of(seed)
    recipe = Recipe(
        kind="heatmaps",
        stage="explain",
        config={"seed": seed},
        parents=(Parent(role="model", kind="model", id="abc", path="../models/one"),),
        source=DataSource(
            data="digits", split="test", options={"size": 224, "rho": 0.5}, fingerprint="f"
        ),
    )
    with growing(path, recipe, length=ROWS, shard_size=SHARD) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            rows = {name: values[start:stop] for name, values in arrays.items()}
            partial.write(number, rows, {"zero_maps": number})
        return partial.publish({"level": 42.0})


def make_foreign(path, seed=0):
    """Write an artifact of another program: no manifest, and an array without a schema."""
    arrays = {**arrays_of(seed), "notes": np.arange(ROWS * 2.0).reshape(ROWS, 2)}
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.attrs.update(schema="heatmaps", version=1, author="somebody")
            for name, values in arrays.items():
                is_text = name == "sample_id"
                data = values.astype(object) if is_text else values
                file.create_dataset(name, data=data, dtype=h5py.string_dtype() if is_text else None)
        return path
    group = zarr.open_group(str(path), mode="w")
    group.attrs.update(schema="heatmaps", version=1, author="somebody")
    for name, values in arrays.items():
        group.create_array(name, data=values)
    return path


def outcome_of(source, target, reporter=SILENT, **given):
    return convert.run(ConvertConfig(source=source, target=target, **given), reporter)


def to(source, target, **given):
    return outcome_of(source, target, **given).path


def check_same(left, right):
    with Artifact(left) as a, Artifact(right) as b:
        assert (a.id, a.kind, a.shards) == (b.id, b.kind, b.shards)
        mark = {FOREIGN: True}  # of copies without a manifest
        assert {**a.store.attributes, **mark} == {**b.store.attributes, **mark}
        assert sorted(a.arrays) == sorted(b.arrays)
        for name in a.arrays:
            one, other = a.read(name), b.read(name)
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes() or (one == other).all()
        assert b.verify() == []
        assert a.manifest == b.manifest


@SUFFIXES
class TestLossless:
    def test_there_and_back(self, first, second, tmp_path):
        source = make(tmp_path / f"a{first}")
        there = to(source, tmp_path / f"b{second}")
        back = to(there, tmp_path / f"c{first}")
        check_same(source, there)
        check_same(source, back)

    def test_what_another_program_wrote(self, first, second, tmp_path):
        source = make_foreign(tmp_path / f"a{first}")
        there = to(source, tmp_path / f"b{second}")
        back = to(there, tmp_path / f"c{first}")
        check_same(source, there)
        check_same(source, back)
        with Artifact(back) as artifact:
            assert artifact.manifest is None
            assert artifact.store.attributes["author"] == "somebody"
            assert (artifact.read("notes").ravel() == np.arange(2 * ROWS)).all()

    def test_leaves_nothing_else_behind(self, first, second, tmp_path):
        source, target = make(tmp_path / f"a{first}"), tmp_path / f"b{second}"
        to(source, target)
        assert sorted(tmp_path.iterdir()) == [source, target]

    def test_again_does_nothing(self, first, second, tmp_path, tree):
        source, target = make(tmp_path / f"a{first}"), tmp_path / f"b{second}"
        assert outcome_of(source, target).is_new
        before, notes = tree(tmp_path), []
        reporter = SilentReporter()
        reporter.note = notes.append
        outcome = outcome_of(source, target, reporter)
        assert (outcome.path, outcome.is_new, notes) == (target, False, [])
        assert tree(tmp_path) == before


class TestParents:
    def test_paths_follow_into_another_folder(self, tmp_path):
        (tmp_path / "maps").mkdir()
        source = make(tmp_path / "maps" / "a.zarr")
        target = to(source, tmp_path / "far" / "away" / "b.h5")
        with Artifact(source) as old, Artifact(target) as new:
            (parent,) = new.manifest.recipe.parents
            assert parent.path == "../../models/one"
            assert (target.parent / parent.path).resolve() == tmp_path / "models" / "one"
            assert (new.id, new.manifest.key) == (old.id, old.manifest.key)

    def test_paths_stay_in_the_same_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make(tmp_path / "a.zarr")
        with Artifact(to("a.zarr", "b.h5")) as artifact:
            assert artifact.manifest.recipe.parents[0].path == "../models/one"


class TestExisting:
    def test_other_contents_stay(self, tmp_path, tree):
        source, target = make(tmp_path / "a.zarr"), make(tmp_path / "b.h5", seed=1)
        before = tree(tmp_path)
        with pytest.raises(OutputExistsError, match=r"b\.h5: expected no file, or the same"):
            to(source, target)
        assert tree(tmp_path) == before

    def test_force_moves_aside(self, tmp_path, tree):
        source, target = make(tmp_path / "a.zarr"), make(tmp_path / "b.h5", seed=1)
        before = target.read_bytes()
        to(source, target, force=True)
        check_same(source, target)
        (old,) = tmp_path.glob("b.h5.old-*")
        assert old.read_bytes() == before

    def test_a_damaged_copy_is_no_copy(self, tmp_path, flip):
        source = make(tmp_path / "a.h5")
        target = to(source, tmp_path / "b.zarr")
        flip(target / "clean" / "c" / "0" / "0" / "0", 20)
        with pytest.raises(OutputExistsError, match="got other contents"):
            to(source, target)

    def test_no_artifact_at_all(self, tmp_path):
        source = make(tmp_path / "a.zarr")
        (tmp_path / "b.h5").write_text("a diary")
        with pytest.raises(OutputExistsError, match="got other contents"):
            to(source, tmp_path / "b.h5")
        assert (tmp_path / "b.h5").read_text() == "a diary"

    def test_a_damaged_source_leaves_the_target_where_it_is(self, tmp_path, flip):
        source, target = make(tmp_path / "a.zarr"), make(tmp_path / "b.h5", seed=1)
        before = target.read_bytes()
        flip(source / "clean" / "c" / "1" / "0" / "0", 20)
        with pytest.raises(IntegrityError, match="shard 1"):
            to(source, target, force=True)
        assert target.read_bytes() == before


class TestRefused:
    @pytest.mark.parametrize("target", ["a.zarr", "sub/../a.zarr"])
    def test_onto_itself(self, target, tmp_path):
        (tmp_path / "sub").mkdir()
        source = make(tmp_path / "a.zarr")
        with pytest.raises(UsageError, match="another file than the source"):
            to(source, tmp_path / target, force=True)

    def test_missing_source(self, tmp_path):
        with pytest.raises(InputError, match=r"a\.zarr: expected an artifact, got no such file"):
            to(tmp_path / "a.zarr", tmp_path / "b.h5")
        assert list(tmp_path.iterdir()) == []

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(InputError, match=r"ends in \.zarr or \.h5"):
            to(make(tmp_path / "a.zarr"), tmp_path / "b.csv")

    def test_array_without_rows_is_carried_along(self, tmp_path):
        source = make_foreign(tmp_path / "a.zarr")
        zarr.open_group(str(source)).create_array("classes", data=np.arange(3))
        with h5py.File(to(source, tmp_path / "b.h5")) as file:
            assert file["classes"][:].tolist() == [0, 1, 2]


def test_killed_after_the_target_was_published(tmp_path):
    source, target = tmp_path / "maps.zarr", tmp_path / "maps.h5"
    make(source)
    config = ConvertConfig(source=source, target=target)
    convert.run(config)
    with Artifact(source) as artifact:
        folder = target.with_name(f"{target.name}.partial-{artifact.id[:16]}")
    folder.mkdir()
    os.link(target, folder / target.name)
    writers.lock_of(target).touch()
    assert not convert.run(config).is_new
    assert sorted(tmp_path.iterdir()) == [target, source]
