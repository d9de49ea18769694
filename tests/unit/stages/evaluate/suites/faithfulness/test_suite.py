"""Columns and curves of the suite, against the measures of the library one by one."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from ectool.artifacts.artifact import Artifact
from ectool.config import EvaluateConfig
from ectool.explainers import EXPLAINERS
from ectool.faithfulness import (
    Explained,
    centre_map,
    confidence_changes,
    deletion,
    insertion,
    pixel_flipping,
    random_maps,
    road,
)
from ectool.models.classifier import to_pixels
from ectool.stages.common.found_models import find_model
from ectool.stages.evaluate.definitions import describe
from ectool.stages.evaluate.suites.base import Resampling
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.faithfulness import work as faithfulness_work
from ectool.stages.evaluate.suites.faithfulness.suite import (
    FAITHFULNESS,
    KINDS,
    SUITE,
    columns,
    tables,
)
from ectool.stages.evaluate.suites.parts import Subject

SEED, SUBSET, SHARD = 3, 7, 3


class Several:
    """The same images with multi-label labels."""

    def __init__(self, dataset):
        self._dataset = dataset
        self.labels = np.eye(len(dataset.classes), dtype=np.int8)[dataset.labels]

    def __getattr__(self, name):
        return getattr(self._dataset, name)


@pytest.fixture
def subject_in(model, few_options, few_digits, listener):
    """Return a function that makes the subject of an evaluation in a folder."""

    def make(folder, **options):
        given = {"subset": SUBSET, "seed": SEED, "method": "layercam", **few_options}
        config = EvaluateConfig(model=str(model), output=folder, **{**given, **options})
        return Subject(config, find_model(config), {"original": few_digits}, listener)

    return make


def make_part(subject):
    """Make the suite's only part; return its path."""
    (part,) = SUITE.parts(subject)
    with subject:
        return part.make(subject, subject.path(part.file)).path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture
def part(subject_in, folder):
    """Return the artifact, which is made once."""
    with Artifact(make_part(subject_in(folder, shard_size=SHARD)), "faithfulness") as artifact:
        yield artifact


@pytest.fixture
def evaluated(part, subject_in, folder):
    """Return the suite's view of an evaluation whose predictions are of the same samples."""
    config = subject_in(folder).config
    return Evaluated(
        variants=("original",),
        parts={"predictions.zarr": part, FAITHFULNESS: part},
        config=config.keyed(),
        classes=tuple("0123456789"),
        dataset=subject_in(folder).original,
    )


@pytest.fixture
def explained(network, subject_in, folder):
    """Return the subset as the input of the measures, and the maps of every kind."""
    subset = subject_in(folder).subset
    pixels = to_pixels(subset.images(np.arange(SUBSET)))
    targets = torch.from_numpy(subset.labels)
    maps = EXPLAINERS["layercam"].make(network)(pixels, targets).heatmaps
    size = tuple(maps.shape[1:])
    kinds = (maps, random_maps(subset.sample_ids, SEED, size), centre_map(size).expand_as(maps))
    return Explained(network, pixels, targets), dict(zip(KINDS, kinds, strict=True)), subset


def area_under(curves):
    return torch.trapezoid(curves, dx=1) / (curves.shape[1] - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_those_of_the_library(kind, evaluated, explained):
    images, kinds, subset = explained
    found, maps, ids = columns(evaluated), kinds[kind], list(subset.sample_ids)
    changes = confidence_changes(images, maps)
    flips = pixel_flipping(images, maps).probabilities
    removed = {
        order: road(images, maps, ids, order=order, seed=SEED).correct.double().mean(1)
        for order in ("morf", "lerf")
    }
    expected = {
        "deletion": area_under(deletion(images, maps).probabilities),
        "insertion": area_under(insertion(images, maps).probabilities),
        "pixel_flipping": (flips[:, :1] - flips).mean(1),
        "average_drop": changes.drop,
        "increase_in_confidence": changes.increase,
        "road_morf": removed["morf"],
        "road_lerf": removed["lerf"],
        "road": removed["lerf"] - removed["morf"],
    }
    detail = "" if kind == "method" else f"@{kind}"
    for name, values in expected.items():
        np.testing.assert_allclose(found[name + detail], values, atol=1e-5, err_msg=name)
        assert describe(name + detail).label.endswith(", centre") == (kind == "centre")
    assert len(found) == 3 * len(expected)


def test_curves_of_all_maps_have_the_same_ends(part):
    first = {kind: part.read(f"{kind}/deletion") for kind in KINDS}
    for kind in KINDS:
        np.testing.assert_array_equal(first[kind][:, 0], first["method"][:, 0])
        np.testing.assert_array_equal(part.read(f"{kind}/insertion")[:, -1], first[kind][:, 0])
        np.testing.assert_array_equal(part.read(f"{kind}/pixel_flipping")[:, 0], first[kind][:, 0])
    assert np.abs(first["random"] - first["method"]).max() > 1e-3


def test_the_table_holds_means_of_the_curves(evaluated, part):
    lines = tables(evaluated, Resampling(100, 0))["faithfulness_curves"]
    known = {(line["curve"], line["maps"], line["share"]): line for line in lines}
    assert len(known) == len(lines) == 3 * (29 + 29 + 17 + 9 + 9)
    for name, kind, share, point in (
        ("deletion", "method", 0.25, 7),
        ("insertion", "centre", 1.0, 28),
        ("pixel_flipping", "random", 3 / 16, 3),
        ("road_lerf", "method", 0.3, 2),
    ):
        line = known[name, kind, share]
        values = part.read(f"{kind}/{name}")[:, point]
        assert line["value"] == pytest.approx(values.mean(), abs=1e-6)
        assert line["low"] <= line["value"] <= line["high"]
        assert line["n"] == SUBSET


@pytest.mark.slow
def test_an_interrupted_artifact_resumes_from_its_shards(subject_in, part, tmp_path, monkeypatch):
    compute, calls = faithfulness_work.FaithfulnessWork.compute, []

    def stop_at_the_third(work, batch):
        calls.append(len(batch.sample_ids))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(work, batch)

    monkeypatch.setattr(faithfulness_work.FaithfulnessWork, "compute", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        make_part(subject_in(tmp_path, shard_size=SHARD))
    path = make_part(subject_in(tmp_path, shard_size=SHARD))
    assert calls == [3, 3, 1, 1]
    with Artifact(path, "faithfulness") as found:
        for name in part.arrays:
            np.testing.assert_array_equal(found.read(name), part.read(name), err_msg=name)


def stop(*_):
    """End a computation that has begun: its values do not matter."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "options",
    [
        {"method": "gradcam"},
        {"seed": 4},
        {"precision": "bf16"},
        {"subset": 6},
        {"curve_tolerance": 0.01},
    ],
)
@pytest.mark.usefixtures("part")
def test_options_that_change_the_result_are_in_the_key(
    options, subject_in, folder, tmp_path, listener, monkeypatch
):
    own = shutil.copytree(folder, tmp_path / "eval")
    listener.tasks.clear()  # of the part, if this is the first test that needs it
    monkeypatch.setattr(faithfulness_work.FaithfulnessWork, "compute", stop)
    with pytest.raises(KeyboardInterrupt):
        make_part(subject_in(own, shard_size=SHARD, **options))
    assert [name for name, _ in listener.tasks] == ["evaluate"]
    (aside,) = own.glob(f"{FAITHFULNESS}.old-*")
    (note,) = [text for text in listener.notes if text.startswith(f"{own / FAITHFULNESS}: ")]
    assert ": made with other options (" in note
    assert note.endswith(f"), now {aside.name}")


@pytest.mark.usefixtures("part")
def test_an_existing_part_is_not_computed_again(subject_in, folder, listener):
    listener.tasks.clear()
    make_part(subject_in(folder, shard_size=SHARD, batch_size=2, eps=(0.1,)))
    assert listener.tasks == []


def test_without_layers_there_is_nothing_to_measure(subject_in, tmp_path):
    subject = subject_in(tmp_path)
    subject.reference = replace(subject.reference, is_program=True)
    assert SUITE.parts(subject) == ()


def test_multi_label_data_are_left_out(subject_in, tmp_path, few_digits):
    subject = subject_in(tmp_path)
    subject.variants = {"original": Several(few_digits)}
    assert SUITE.parts(subject) == ()
    assert SUITE.lack(subject.config, subject.variants).metrics == ""
