"""What localization is measured from, and its scores against their definitions, label by label."""

from __future__ import annotations

import numpy as np
import pytest
from miniatures.cub200 import write_cub200
from miniatures.voc import write_voc2007

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import DataOptions, EvaluateConfig
from ectool.datasets.base import is_multilabel
from ectool.datasets.labels import most_positives, positives
from ectool.metrics.boxes import box_overlaps
from ectool.metrics.localization import energy_inside, pointing_game
from ectool.metrics.parts import location_instability, part_distances
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import data_source, open_data
from ectool.stages.common.layout import HEATMAPS, PREDICTIONS, VALIDATION_HEATMAPS
from ectool.stages.evaluate.suites.base import Resampling
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.localization.suite import SUITE
from ectool.stages.evaluate.suites.parts import Subject

LIMIT, SIDE, MAP, CELLS = 16, 32, 6, 8


def draw_maps(dataset, seed):
    """Return random maps, the second one zero, and the classes that they explain."""
    labels, generator = dataset.labels, np.random.default_rng(seed)
    many = is_multilabel(labels)
    targets = positives(labels, most_positives(labels)) if many else labels
    maps = np.maximum(generator.normal(size=(*targets.shape, MAP, MAP)), 0).astype(np.float32)
    maps[1] = 0
    maps[targets < 0] = 0
    return maps, targets


def informed_maps(dataset, seed):
    """Return blurred masks under noise, whose boxes fit at some thresholds."""
    generator = np.random.default_rng(seed)
    masks = dataset.annotations(np.arange(LIMIT)).masks
    coarse = masks.reshape(LIMIT, CELLS, SIDE // CELLS, CELLS, SIDE // CELLS).mean(axis=(2, 4))
    return (coarse + generator.random(coarse.shape)).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    """Return a function that writes heatmaps of a split as `explain` does."""

    def write(file, options, split, maps, targets):
        dataset = open_data(options, split)
        count = len(dataset.sample_ids)
        arrays = {
            "sample_id": np.array(dataset.sample_ids, np.dtypes.StringDType()),
            "label": dataset.labels,
            "target": targets,
            "clean": maps,
            "logits_clean": np.zeros((count, len(dataset.classes)), np.float32),
        }
        recipe = Recipe(
            kind="heatmaps", stage="t", config={}, source=data_source(options, split, dataset)
        )
        with growing(tmp_path / file, recipe, length=count, shard_size=count) as partial:
            partial.write(0, arrays, {})
            return Artifact(partial.publish(), "heatmaps")

    return write


def evaluated_of(dataset, heatmaps, validation=None):
    """Return what the suite is measured from; heatmaps stand for predictions of the same order."""
    parts = {PREDICTIONS: heatmaps, HEATMAPS: heatmaps}
    if validation is not None:
        parts[VALIDATION_HEATMAPS] = validation
    return Evaluated(("original",), parts, {}, dataset.classes, dataset)


@pytest.fixture(scope="module")
def digits(data_root):
    options = DataOptions(data="digits", limit=LIMIT)
    return options, {split: open_data(options, split) for split in ("test", "validation")}


@pytest.fixture
def measured(store, digits):
    """Return a function that measures boxes of the test digits; each call has its own files."""
    options, sets = digits
    count = 0

    def measure(tested, tuning):
        nonlocal count
        count += 1
        labels = {split: dataset.labels for split, dataset in sets.items()}
        return SUITE.columns(
            evaluated_of(
                sets["test"],
                store(f"{count}.zarr", options, "test", tested, labels["test"]),
                store(f"{count}v.zarr", options, "validation", tuning, labels["validation"]),
            )
        )

    return measure


def test_thresholds_come_from_validation_images_whatever_the_test_images_show(measured, digits):
    tested, tuning = (informed_maps(digits[1][split], 0) for split in ("test", "validation"))
    before = measured(tested, tuning)
    changed = tested.copy()
    changed[LIMIT // 2 :] **= 9  # which fits at very low thresholds only
    after, retuned = measured(changed, tuning), measured(tested, tuning**9)
    for name in ("max_box_acc", "max_box_acc_v2"):
        np.testing.assert_array_equal(after[name][: LIMIT // 2], before[name][: LIMIT // 2])
        assert (after[name] != before[name]).any()
        assert (retuned[name] != before[name]).any()


def test_boxes_redone_threshold_by_threshold(measured, digits):
    sets = digits[1]
    tested, tuning = (informed_maps(sets[split], 3) for split in ("test", "validation"))
    rows = np.arange(LIMIT)
    tuned, found = (
        box_overlaps(maps, sets[split].annotations(rows).boxes, (SIDE, SIDE))
        for split, maps in (("validation", tuning), ("test", tested))
    )

    def accuracies(kind, levels):
        right = np.zeros((len(levels), LIMIT))
        for number, level in enumerate(levels):
            hits = [(getattr(tuned, kind)[:, t] >= level).sum() for t in range(100)]
            right[number] = getattr(found, kind)[:, hits.index(max(hits))] >= level
        return right.mean(axis=0)

    columns = measured(tested, tuning)
    np.testing.assert_allclose(columns["max_box_acc"], accuracies("largest", [0.5]))
    np.testing.assert_allclose(columns["max_box_acc_v2"], accuracies("best", [0.3, 0.5, 0.7]))


def test_skipped_maps_are_counted(store, digits):
    options, sets = digits
    maps, targets = draw_maps(sets["test"], 0)
    columns = SUITE.columns(
        evaluated_of(sets["test"], store("a.zarr", options, "test", maps, targets))
    )
    assert columns["zero_maps"].sum() == 1
    assert columns["zero_maps"][1] == 1
    assert np.flatnonzero(np.isnan(columns["content_heatmap"])).tolist() == [1]
    boxes = sets["test"].annotations(np.arange(LIMIT)).boxes
    filled = np.zeros((LIMIT, SIDE, SIDE), np.bool_)
    for mask, ((x0, y0, x1, y1),) in zip(filled, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    np.testing.assert_allclose(columns["content_heatmap"], energy_inside(maps, filled))
    assert "max_box_acc" not in columns
    assert "pointing_game_difficult" not in columns


def test_difficult_images_are_defined_per_label(store, tmp_path, monkeypatch):
    write_voc2007(tmp_path / "data")
    monkeypatch.setenv("ECTOOL_DATA", str(tmp_path / "data"))
    options = DataOptions(data="voc2007", size=SIDE, view="squash")
    dataset = open_data(options, "test")
    maps, targets = draw_maps(dataset, 1)
    columns = SUITE.columns(evaluated_of(dataset, store("a.zarr", options, "test", maps, targets)))
    expected = np.full(len(targets), np.nan)
    for row, classes in enumerate(targets):
        scores = []
        for place, name in enumerate(classes):
            if name < 0 or (dataset.labels[row] == 1).sum() < 2:
                continue
            annotations = dataset.annotations(np.array([row]), np.array([name]))
            mask = np.zeros((1, SIDE, SIDE), np.bool_)
            for x0, y0, x1, y1 in annotations.boxes[0]:
                mask[0, y0:y1, x0:x1] = True
            if mask.mean() < 0.25:
                scores += pointing_game(maps[row, place][None], mask).tolist()
        if scores:
            expected[row] = np.mean(scores)
    assert 0 < np.isfinite(expected).sum() < len(expected)
    np.testing.assert_allclose(columns["pointing_game_difficult"], expected)


def test_instability_is_of_data_with_parts(store, digits, tmp_path, monkeypatch):
    options, sets = digits
    heatmaps = store("d.zarr", options, "test", *draw_maps(sets["test"], 0))
    assert SUITE.estimates(evaluated_of(sets["test"], heatmaps), Resampling(100, 0)) == {}
    write_cub200(tmp_path / "data", per_class=6)
    monkeypatch.setenv("ECTOOL_DATA", str(tmp_path / "data"))
    options = DataOptions(data="cub200", size=SIDE)
    birds = open_data(options, "test")
    maps, targets = draw_maps(birds, 2)
    heatmaps = store("b.zarr", options, "test", maps, targets)
    (found,) = SUITE.estimates(evaluated_of(birds, heatmaps), Resampling(100, 0)).values()
    parts = birds.annotations(np.arange(len(maps))).parts
    distances = part_distances(maps, parts, (SIDE, SIDE))
    assert found.value == location_instability(distances, birds.labels)
    assert found.low < found.high


def subject_of(model, listener, split="test", **options):
    config = EvaluateConfig(
        model=str(model), split=split, output="e", device="cpu", limit=LIMIT, **options
    )
    variants = {"original": open_data(config, split)}
    return Subject(config, find_model(config), variants, listener)


def test_validation_images_are_explained_like_the_others(model, listener, tmp_path, data_root):
    subject = subject_of(model, listener, method="gradcam++")
    (*_, part) = SUITE.parts(subject)
    assert part.file == VALIDATION_HEATMAPS
    with Artifact(part.make(subject, tmp_path / part.file).path, part.kind) as heatmaps:
        assert heatmaps.manifest.recipe.source.split == "validation"
        assert heatmaps.manifest.recipe.config["method"] == "gradcam++"
        assert len(heatmaps) == LIMIT
    assert listener.notes == listener.warnings == []


def test_without_other_images_no_threshold_is_tuned(model, listener, data_root):
    subject = subject_of(model, listener, "validation")
    assert VALIDATION_HEATMAPS not in [part.file for part in SUITE.parts(subject)]
    subject = subject_of(model, listener, validation_split="holdout")
    assert VALIDATION_HEATMAPS not in [part.file for part in SUITE.parts(subject)]
    shared, missing = listener.warnings
    assert shared.startswith(
        "without MaxBoxAcc, because its threshold needs other images: digits/validation/"
    )
    assert "shares images with" in shared
    assert "split 'holdout' of digits: expected one of train, validation, test" in missing
