"""Filters suite: its maps, its metrics against loops, and what it leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ectool.artifacts.artifact import Artifact
from ectool.config import EvaluateConfig
from ectool.config.evaluate import DEFAULT_SUITES, SUITES
from ectool.metrics.filters.groups import filter_covariance, filter_similarity
from ectool.metrics.filters.instability import filter_instability
from ectool.models.classifier import to_pixels
from ectool.models.layers.template_masks import add_template_masks, mask_maps
from ectool.models.registry import create
from ectool.stages.common.found_models import find_model
from ectool.stages.common.loop.computing import fetched
from ectool.stages.evaluate.one_model import open_variants
from ectool.stages.evaluate.suites.base import Resampling
from ectool.stages.evaluate.suites.classification.suite import PREDICTED
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.filters import suite as filters
from ectool.stages.evaluate.suites.filters.work import FilterWork
from ectool.stages.evaluate.suites.parts import Subject
from ectool.types import SILENT

SUBSET = 12
RESAMPLING = Resampling(50, 0)


@pytest.fixture(scope="module")
def evaluated(model, few_options, tmp_path_factory):
    output = tmp_path_factory.mktemp("filters") / "eval"
    given = {"model": str(model), "output": output, "subset": SUBSET, "shard_size": 8}
    config = EvaluateConfig(**{**given, **few_options})
    variants = open_variants(config, SILENT)
    with Subject(config, find_model(config), variants, SILENT) as subject:
        parts = (PREDICTED, *filters.SUITE.parts(subject))
        made = {p.file: Artifact(p.make(subject, subject.path(p.file)).path, p.kind) for p in parts}
    dataset = variants["original"]
    return Evaluated(("original",), made, config.keyed(), dataset.classes, dataset=dataset)


def test_the_suite_runs_only_where_it_is_named():
    assert set(SUITES) - set(DEFAULT_SUITES) == {"filters"}
    assert EvaluateConfig(model="m", output="o").suite == DEFAULT_SUITES


def test_both_metrics_are_those_of_the_subset(evaluated):
    artifact, dataset = evaluated.parts[filters.FILTERS], evaluated.dataset
    assert len(artifact) == SUBSET
    found = filters.SUITE.estimates(evaluated, RESAMPLING)
    maps, labels = artifact.read("maps"), artifact.read("label")
    rows = np.array([dataset.sample_ids.index(name) for name in artifact.sample_ids])
    masks = dataset.annotations(rows).masks
    height, width = dataset.size
    distances = np.full((SUBSET, maps.shape[1], 5), np.nan)
    for f in range(maps.shape[1]):
        means = {c: maps[labels == c, f].sum((1, 2)).mean() for c in np.unique(labels)}
        own = max(means, key=means.get)
        for n in np.flatnonzero(labels == own):
            if not maps[n, f].any():
                continue
            row, column = np.unravel_index(maps[n, f].argmax(), maps.shape[2:])
            x = (column + 0.5) * width / maps.shape[3] - 0.5
            y = (row + 0.5) * height / maps.shape[2] - 0.5
            ys, xs = np.nonzero(masks[n])
            left, right, top, bottom = xs.min(), xs.max(), ys.min(), ys.max()
            points = [((left + right) / 2, (top + bottom) / 2)]
            points += [(left, top), (right, top), (left, bottom), (right, bottom)]
            for p, point in enumerate(points):
                distances[n, f, p] = np.hypot(x - point[0], y - point[1]) / np.hypot(height, width)
    assert found["filter_instability"] == filter_instability(distances, resamples=50, seed=0)
    similarity = filter_similarity(filter_covariance(maps))
    shares = similarity / similarity.sum(1, keepdims=True)
    assert shares.min() < found["group_purity"].value < 1
    assert not found["group_purity"].bounded


def test_without_images_there_is_purity_only(evaluated):
    without = replace(evaluated, dataset=None)
    assert set(filters.SUITE.estimates(without, RESAMPLING)) == {"group_purity"}


def test_without_its_part_there_is_nothing(evaluated):
    without = replace(evaluated, parts={"predictions.zarr": evaluated.predictions})
    assert filters.SUITE.estimates(without, RESAMPLING) == {}


def test_maps_are_those_after_relu_and_mask(few_digits):
    rows, layer = np.arange(4), "features.10"
    model = create("smallcnn", few_digits.classes, seed=0, input_size=few_digits.size, layer=layer)
    add_template_masks(model.eval().network, layer)
    work = FilterWork(model, few_digits)
    found = fetched(work.compute(work.load(rows)))
    values = (to_pixels(few_digits.images(rows)) - model.mean) / model.std
    with torch.no_grad():
        for module in list(model.network.features)[:11]:
            values = module.forward(values)  # without the hook of the mask
    np.testing.assert_allclose(found["maps"], mask_maps(values).numpy(), rtol=1e-4, atol=1e-6)
