"""The loop behind the map stages, with work simple enough to know every number of."""

import threading

import numpy as np
import pytest

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.store import read_manifest
from ectool.config import MapOptions
from ectool.errors import InputError, OutputExistsError
from ectool.stages.common.shards import is_done, map_shards
from ectool.types import SILENT

N, SHARD = 23, 8
RANGES = [(0, 8), (8, 16), (16, 23)]
RECIPE = Recipe(kind="weights", stage="test", config={"a": 1})


class Squares:
    """Weighs each row with its square; fails at given rows."""

    def __init__(self, fails_to_load=None, fails_to_compute=None, not_a_number=None):
        self.fails_to_load = fails_to_load
        self.fails_to_compute = fails_to_compute
        self.not_a_number = not_a_number
        self.loaded, self.computed, self.threads = [], [], set()

    def load(self, rows):
        if self.fails_to_load in rows:
            raise InputError("row", expected="an image", got="none", fix="add it")
        self.threads.add(threading.get_ident())
        self.loaded.append(rows.tolist())
        return rows

    def compute(self, batch):
        if self.fails_to_compute in batch:
            raise RuntimeError("out of memory")
        self.computed.append(batch.tolist())
        weight = batch.astype(np.float32) ** 2
        weight[batch == self.not_a_number] = np.nan
        ids = np.array([f"row/{row}" for row in batch], dtype=np.dtypes.StringDType())
        names = ("similarity", "stability", "explanation_consistency")
        return {"sample_id": ids, "weight": weight, **dict.fromkeys(names, weight / 1000)}

    def findings(self, arrays):
        return {"odd": int((arrays["weight"] % 2 == 1).sum())}


@pytest.fixture
def options(tmp_path):
    def make(batch_size=3, **given):
        output = tmp_path / "w.zarr"
        return MapOptions(output=output, shard_size=SHARD, batch_size=batch_size, **given)

    return make


def expected_batches(batch_size, ranges=RANGES):
    return [
        list(range(first, min(first + batch_size, stop)))
        for start, stop in ranges
        for first in range(start, stop, batch_size)
    ]


def markers(folder):
    return sorted(path.name for path in folder.glob("*.partial-*/shards/*.json"))


class TestMapShards:
    @pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
    def test_batches_stay_inside_shards_and_in_order(self, batch_size, options, read):
        work = Squares()
        path = map_shards(work, options(batch_size), RECIPE, N, SILENT).path
        assert work.loaded == work.computed == expected_batches(batch_size)
        arrays = read(path)
        np.testing.assert_array_equal(arrays["weight"], np.arange(N, dtype=np.float32) ** 2)
        assert arrays["sample_id"].tolist() == [f"row/{row}" for row in range(N)]

    def test_batch_size_does_not_change_a_byte(self, options, tree):
        trees = []
        for batch_size in (1, 5):
            path = map_shards(Squares(), options(batch_size), RECIPE, N, SILENT).path
            trees.append(tree(path))
            path.rename(path.with_name(f"{batch_size}.zarr"))
        assert trees[0] == trees[1]

    def test_shards_and_findings_are_recorded(self, options):
        manifest = read_manifest(map_shards(Squares(), options(), RECIPE, N, SILENT).path)
        assert [(shard.start, shard.stop) for shard in manifest.shards] == RANGES
        assert [shard.findings for shard in manifest.shards] == [
            {"odd": sum(row % 2 for row in range(*rows))} for rows in RANGES
        ]

    def test_progress_counts_samples(self, options, listener):
        map_shards(Squares(), options(), RECIPE, N, listener)
        assert (listener.tasks, listener.notes) == ([("test", N)], [])

    def test_another_thread_reads(self, options):
        work = Squares()
        map_shards(work, options(), RECIPE, N, SILENT)
        assert len(work.threads) == 1
        assert threading.get_ident() not in work.threads

    def test_there_has_to_be_a_sample(self, options, tmp_path):
        with pytest.raises(InputError, match="expected at least one sample, got none"):
            map_shards(Squares(), options(), RECIPE, 0, SILENT)
        assert not list(tmp_path.iterdir())


class TestFailure:
    @pytest.mark.parametrize(
        ("failure", "error"),
        [("fails_to_load", InputError), ("fails_to_compute", RuntimeError)],
    )
    def test_finished_shards_stay(self, failure, error, options, tree, listener, tmp_path):
        whole = tree(map_shards(Squares(), options(), RECIPE, N, SILENT).path)
        (tmp_path / "w.zarr").rename(tmp_path / "whole.zarr")
        with pytest.raises(error):
            map_shards(Squares(**{failure: 17}), options(), RECIPE, N, SILENT)
        assert markers(tmp_path) == ["000000.json", "000001.json"]
        work = Squares()
        path = map_shards(work, options(), RECIPE, N, listener).path
        assert work.computed == expected_batches(3, RANGES[2:])
        assert listener.notes == [f"{path}: continuing, 7 of 23 samples left"]
        assert listener.tasks == [("test", 7)]
        assert tree(path) == whole
        assert markers(tmp_path) == []

    def test_numbers_have_to_be_finite(self, options, tmp_path):
        with pytest.raises(InputError, match=r"weight: expected finite numbers, .* at row 9"):
            map_shards(Squares(not_a_number=9), options(), RECIPE, N, SILENT)
        assert "000001.json" not in markers(tmp_path)
        assert not (tmp_path / "w.zarr").exists()

    def test_the_output_has_to_have_a_format(self, tmp_path):
        with pytest.raises(InputError, match=r"expected an output that ends in \.zarr"):
            map_shards(Squares(), MapOptions(output=tmp_path / "w"), RECIPE, N, SILENT)


class TestIsDone:
    def test_nothing_there(self, options, listener):
        assert not is_done(options().output, options(), RECIPE, listener)
        assert listener.notes == []

    def test_same_key(self, options, listener):
        path = map_shards(Squares(), options(), RECIPE, N, SILENT).path
        for resume in (False, True):
            assert is_done(path, options(resume=resume), RECIPE, listener)
        assert listener.notes == []

    def test_another_key(self, options, tmp_path):
        path = map_shards(Squares(), options(), RECIPE, N, SILENT).path
        other = RECIPE.model_copy(update={"config": {"a": 2}})
        with pytest.raises(OutputExistsError, match="--force"):
            is_done(path, options(), other, SILENT)
        assert not is_done(path, options(force=True), other, SILENT)
        assert not path.exists()
        assert len(list(tmp_path.glob("w.zarr.old-*"))) == 1

    @pytest.mark.parametrize("name", ["weight", "sample_id"])
    def test_resume_looks_for_damage(self, name, options, flip, tree, listener):
        path = map_shards(Squares(), options(), RECIPE, N, SILENT).path
        whole = tree(path)
        for shard in (0, 2):
            flip(path / name / "c" / str(shard), 20)
        assert is_done(path, options(), RECIPE, SILENT)
        assert not is_done(path, options(resume=True), RECIPE, listener)
        assert listener.notes == [f"{path}: computing damaged shards [0, 2] again"]
        work = Squares()
        map_shards(work, options(), RECIPE, N, SILENT)
        assert work.computed == expected_batches(3, [RANGES[0], RANGES[2]])
        assert tree(path) == whole
