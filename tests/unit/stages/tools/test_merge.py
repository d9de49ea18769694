"""`merge`: jobs with `--shard` in any order give the bytes of one process."""

import itertools
import os
import shutil

import pytest

from ectool.artifacts import files
from ectool.artifacts.jobs import writers
from ectool.config import ExplainConfig, MergeConfig, PerturbConfig
from ectool.errors import BusyOutputError, InputError, IntegrityError, OutputExistsError
from ectool.stages import explain, perturb
from ectool.stages.tools import merge

LIMIT, SHARD = 20, 4


@pytest.fixture(scope="module")
def work(model):
    """Return functions that perturb, and perturb and explain in one pass."""

    def run(folder, name="adv.zarr", *, heatmaps=None, **options):
        config = PerturbConfig(
            model=str(model),
            split="validation",
            limit=LIMIT,
            shard_size=SHARD,
            steps=1,
            device="cpu",
            output=folder / name,
            heatmaps=heatmaps and folder / heatmaps,
            **options,
        )
        return perturb.run(config)

    return run


@pytest.fixture(scope="module")
def whole(work, tmp_path_factory):
    """Return the folder that one process writes."""
    folder = tmp_path_factory.mktemp("whole")
    work(folder, heatmaps="cams.zarr")
    work(folder, "adv.h5")
    return folder


def merged(*paths, **options):
    return merge.run(MergeConfig(paths=paths, **options))


@pytest.mark.parametrize("order", [*itertools.permutations(["1/3", "2/3", "3/3"])], ids="-".join)
def test_any_order_of_jobs(work, whole, tree, tmp_path, order):
    for part in order:
        outcome = work(tmp_path, shard=part)
        assert outcome.is_new
        assert not work(tmp_path, shard=part).is_new
    output = tmp_path / "adv.zarr"
    assert outcome.path.parent == tmp_path
    assert not output.exists()
    first, second = merged(output), merged(output)
    assert (first.path, first.is_new, second.is_new) == (output, True, False)
    assert first.findings == second.findings
    assert tree(output) == tree(whole / "adv.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["adv.zarr"]
    assert not work(tmp_path, shard="1/3").is_new


def test_hdf5(work, whole, tmp_path):
    for part in ("1/2", "2/2"):
        folder = work(tmp_path, "adv.h5", shard=part).path
    assert merged(folder).path == tmp_path / "adv.h5"
    assert (tmp_path / "adv.h5").read_bytes() == (whole / "adv.h5").read_bytes()


@pytest.mark.parametrize(
    ("name", "left"),
    [
        *(("adv.h5", "all"), ("adv.zarr", "the job"), ("adv.h5", "an empty folder")),
        pytest.param("adv.zarr", "a lock", marks=pytest.mark.slow),
    ],
)
def test_killed_after_the_output_was_published(work, whole, tree, tmp_path, name, left):
    for part in ("1/2", "2/2"):
        folder = work(tmp_path, name, shard=part).path
    kept = shutil.copytree(folder, tmp_path / "kept")
    merged(tmp_path / name)
    if left != "all":
        for path in sorted(kept.iterdir()):
            if path.name != "job.json" or left != "the job":
                files.remove(path)
    if left != "a lock":
        kept.rename(folder)
    files.remove(kept)
    writers.lock_of(tmp_path / name).touch()
    assert not merged(tmp_path / name).is_new
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert tree(tmp_path / name) == tree(whole / name)


def test_samples_and_heatmaps_of_one_pass(work, whole, tree, tmp_path):
    outputs = tmp_path / "cams.zarr", tmp_path / "adv.zarr"
    for part in ("2/2", "1/2"):
        work(tmp_path, heatmaps="cams.zarr", shard=part)
    assert not work(tmp_path, heatmaps="cams.zarr", shard="1/2").is_new
    with pytest.raises(InputError, match=r"cams.zarr: expected the samples .* merged before.*adv"):
        merged(outputs[0])
    outcome = merged(*outputs)
    assert outcome.summary.text == "\n".join(map(str, outputs))
    assert tree(tmp_path) == {k: v for k, v in tree(whole).items() if k != "adv.h5"}
    assert not merged(*outputs).is_new


def test_explain(work, whole, tree, model, tmp_path):
    shutil.copytree(whole / "adv.zarr", tmp_path / "adv.zarr")
    for part in ("1/2", "2/2"):
        explain.run(
            ExplainConfig(
                model=str(model),
                samples=tmp_path / "adv.zarr",
                shard_size=SHARD,
                device="cpu",
                output=tmp_path / "cams.zarr",
                shard=part,
            )
        )
    merged(tmp_path / "cams.zarr")
    assert tree(tmp_path / "cams.zarr") == tree(whole / "cams.zarr")


def test_missing_shards_are_listed_and_nothing_is_lost(work, whole, tree, tmp_path):
    work(tmp_path, shard="2/5")
    work(tmp_path, shard="4/5")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"5 finished shards, got 2; 0, 2, 4 missing \(of 0-4\);"):
        merged(tmp_path / "adv.zarr")
    assert tree(tmp_path).keys() == before.keys()
    work(tmp_path)  # one process computes the rest
    assert tree(tmp_path / "adv.zarr") == tree(whole / "adv.zarr")


def test_other_numbers_of_parts_continue(work, whole, tree, tmp_path):
    for part in ("1/2", "3/3", "2/3"):
        work(tmp_path, shard=part)
    merged(tmp_path / "adv.zarr")
    assert tree(tmp_path / "adv.zarr") == tree(whole / "adv.zarr")


def test_a_merge_beside_a_process_at_work_is_refused(work, tmp_path):
    work(tmp_path, shard="1/1")
    lock = writers.open_lock(writers.lock_of(tmp_path / "adv.zarr"))
    assert writers.try_lock(lock, shared=True)  # as another job
    with pytest.raises(BusyOutputError, match=r"adv.zarr: expected one process writing it"):
        merged(tmp_path / "adv.zarr")
    os.close(lock)
    assert merged(tmp_path / "adv.zarr").is_new


def test_damage_is_found_and_its_shard_is_computed_again(work, whole, tree, flip, tmp_path):
    folder = work(tmp_path, shard="1/1").path
    flip(folder / "store.zarr/image/c/2/0/0/0", 100)
    with pytest.raises(IntegrityError, match=r"shards \[2\]: expected the bytes that were written"):
        merged(tmp_path / "adv.zarr")
    work(tmp_path, shard="1/1")
    merged(tmp_path / "adv.zarr")
    assert tree(tmp_path / "adv.zarr") == tree(whole / "adv.zarr")


def test_nothing_to_merge(tmp_path):
    with pytest.raises(
        InputError, match=r"a.zarr: expected an output of jobs with --shard, got no"
    ):
        merged(tmp_path / "a.zarr")


def test_jobs_with_different_options(work, tmp_path):
    folder = work(tmp_path, shard="1/1").path
    work(tmp_path, shard="1/2", seed=7)
    with pytest.raises(InputError, match=r"adv.zarr: expected jobs with the same options, got "):
        merged(tmp_path / "adv.zarr")
    assert merged(folder).path == tmp_path / "adv.zarr"


def test_another_output_is_in_the_way(work, tree, whole, tmp_path):
    work(tmp_path, seed=7)
    with pytest.raises(OutputExistsError, match=r"adv.zarr: expected"):
        work(tmp_path, shard="1/1")
    work(tmp_path, shard="1/1", force=True)
    with pytest.raises(OutputExistsError, match=r"adv.zarr: expected"):
        merged(tmp_path / "adv.zarr")
    assert merged(tmp_path / "adv.zarr", force=True).is_new
    assert tree(tmp_path / "adv.zarr") == tree(whole / "adv.zarr")


def test_eps_auto_is_the_same_in_every_job(work, tree, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    work(tmp_path / "a", eps="auto")
    for part in ("1/2", "2/2"):
        work(tmp_path / "b", eps="auto", shard=part)
    merged(tmp_path / "b/adv.zarr")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
