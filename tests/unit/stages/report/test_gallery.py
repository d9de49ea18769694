from __future__ import annotations

import numpy as np
import pytest
from written_evaluations import CLASSES, SIDE, N, write_evaluation, write_images, write_round

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.store import read_manifest
from ectool.config import DataOptions
from ectool.stages.common.inputs import open_data
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS
from ectool.stages.report.gallery import read_gallery


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> DataOptions:
    images = tmp_path_factory.mktemp("images")
    write_images(images)
    return DataOptions(data=f"imagefolder:{images}", size=SIDE)


def write_evaluated(path, options, number, columns=2):
    """Write the round of an evaluation, and results that were computed from it."""
    write_round(path, options, number, columns)
    found = {file: read_manifest(path / file).id for file in (SAMPLES, HEATMAPS, WEIGHTS)}
    write_evaluation(path, {"accuracy@original": 0.5}, parts=found)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, options):
    root = tmp_path_factory.mktemp("evaluations")
    found = {name: root / name for name in ("a", "b")}
    for number, path in enumerate(found.values()):
        write_evaluated(path, options, number)
    write_evaluation(root / "without", {})
    return found | {"without": root / "without"}


def test_every_model_shows_the_same_images(folders, options):
    gallery = read_gallery(folders)
    dataset = open_data(options, "train")
    assert len(gallery) == N - 1  # the explanation consistency of one is undefined
    assert [one.first.label for one in gallery] == sorted(
        (one.first.label for one in gallery), key=CLASSES.index
    )
    for one in gallery:
        assert list(one.by_model) == ["a", "b"]
        row = list(dataset.sample_ids).index(one.first.sample_id)
        for sample in one.by_model.values():
            assert sample.sample_id == one.first.sample_id
            assert (sample.image == dataset.images(np.array([row]))[0]).all()
            assert sample.label == dataset.classes[dataset.labels[row]]


def test_results_of_models_are_joined_on_the_sample_id(folders):
    for one in read_gallery(folders):
        for name, sample in one.by_model.items():
            with Artifact(folders[name] / "cams.zarr", "heatmaps") as heatmaps:
                row = heatmaps.sample_ids.index(sample.sample_id)
                clean, logits = (heatmaps.read(key)[row] for key in ("clean", "logits_clean"))
            assert sample.clean == pytest.approx(clean.astype(np.float32))
            assert sample.predicted[0] == CLASSES[int(logits.argmax())]
            assert sample.correct[0] == (sample.predicted[0] == sample.label)
            assert sample.correct[1] != sample.correct[0]  # the logits change their sign
            with Artifact(folders[name] / "weights.zarr", "weights") as weights:
                row = weights.sample_ids.index(sample.sample_id)
                assert sample.weight == weights.read("weight")[row]


def test_predictions_of_classes_that_the_data_do_not_have(options, tmp_path):
    write_evaluated(tmp_path, options, 3, columns=len(CLASSES) + 1)
    seen = set()
    for one in read_gallery({"a": tmp_path}):
        with Artifact(tmp_path / "cams.zarr", "heatmaps") as heatmaps:
            row = heatmaps.sample_ids.index(one.first.sample_id)
            columns = [heatmaps.read(f"logits_{name}")[row] for name in ("clean", "adversarial")]
        names = [*CLASSES, "another class"]
        assert one.first.predicted == tuple(names[logits.argmax()] for logits in columns)
        seen |= set(one.first.predicted)
    assert "another class" in seen


def test_samples_run_from_the_least_to_the_most_consistent(folders):
    for label in CLASSES:
        found = [o.first.consistency for o in read_gallery(folders) if o.first.label == label]
        assert found == sorted(found)


def test_other_data_sets_have_separate_samples(folders, tmp_path):
    write_images(tmp_path / "images", seed=1)
    other = DataOptions(data=f"imagefolder:{tmp_path / 'images'}", size=SIDE)
    write_evaluated(tmp_path / "c", other, 0)
    gallery = read_gallery(folders | {"c": tmp_path / "c"})
    assert [list(one.by_model) for one in gallery] == [["a", "b"]] * (N - 1) + [["c"]] * (N - 1)


def test_evaluations_without_consistency(tmp_path):
    write_evaluation(tmp_path, {})
    assert read_gallery({"a": tmp_path}) == ()
