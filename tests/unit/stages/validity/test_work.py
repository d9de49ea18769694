"""What a table holds equals its definition, recomputed image by image."""

import numpy as np
import pytest
import torch

from ectool.attacks.masks import quantile
from ectool.attacks.replacement import draw_others
from ectool.config import ModelOptions
from ectool.explainers import GradCAM, upsample
from ectool.stages.common.found_models import find_model
from ectool.stages.common.loaded import loaded_model
from ectool.stages.validity.draws import COMPARED, ORIGINAL, draws_of, open_draws
from ectool.stages.validity.scene import TRUTH_SEED, read_scene
from ectool.stages.validity.tables import read_table
from ectool.stages.validity.versions import Version
from ectool.stages.validity.work import Measurement


@pytest.fixture(scope="module")
def measured(study):
    checkpoint = list(study.checkpoints())[-1]
    options, seeds = study.data_options(checkpoint), draws_of(study.config, COMPARED)
    given = ModelOptions(model=str(study.training(checkpoint).output))
    dataset = open_draws(options, "validation", ORIGINAL, seeds)[0]
    scene = read_scene(options, "validation", seeds, torch.device("cpu"))
    with loaded_model(find_model(given), given, torch.device("cpu"), dataset) as model:
        table = read_table(study.table(checkpoint, COMPARED))
        yield model, scene, table, Measurement(model, scene, study.config)


def probability(model, images, label):
    with torch.no_grad():
        return float(model(images[None]).softmax(1)[0, label])


def test_truth_is_the_object_on_other_backgrounds(measured):
    model, scene, table, _ = measured
    for i in range(0, len(scene.labels), 7):
        values = []
        for number in range(3):
            other = int(draw_others(scene.sample_ids, TRUTH_SEED, number)[i])
            image = scene.backgrounds[other].clone()
            image[:, scene.objects[i]] = scene.pixels[i][:, scene.objects[i]]
            values.append(probability(model, image, scene.labels[i]))
        assert table.columns["truth"][i] == pytest.approx(1 - np.mean(values), abs=1e-5)
        clean = probability(model, scene.pixels[i], scene.labels[i])
        assert table.columns["loss"][i] == pytest.approx(-np.log(clean), abs=1e-4)


def test_replaced_backgrounds_keep_what_the_heatmap_selects(measured):
    model, scene, table, _ = measured
    maps = upsample(GradCAM(model)(scene.pixels, scene.labels).heatmaps, (32, 32))
    background, own = quantile(maps, 0.7), quantile(maps, 0.85)
    for i in range(0, len(scene.labels), 7):
        values = []
        for number in range(2):
            j = int(draw_others(scene.sample_ids, 0, number)[i])
            behind = scene.pixels[j].clone()
            behind[:, ~own[j]] = scene.pixels[j][:, own[j]].mean(1, keepdim=True)
            image = torch.where(background[i], behind, scene.pixels[i])
            values.append(probability(model, image, scene.labels[i]))
        found = table.columns["replace/gradcam/0.7|stability|probability"][i]
        assert found == pytest.approx(np.mean(values), abs=1e-4)


def test_an_attack_stays_in_its_radius_and_in_its_background(measured):
    _, scene, _, measurement = measured
    (attacked,) = measurement.versions.draws(Version("pgd", "gradcam", "8"))
    background = measurement.versions.background(Version("pgd", "gradcam", "8"))
    change = (attacked - scene.pixels).abs().amax(1)
    assert float(change.max()) <= 8 / 255 + 1e-6
    assert float(change[~background].max()) == 0
    (inverse,) = measurement.versions.draws(Version("pgd-inverse", "gradcam", "8"))
    assert float((inverse - scene.pixels).abs().amax(1)[background].max()) == 0


def test_an_image_equals_itself(measured):
    _, _, table, _ = measured
    for name in ("cosine", "pearson", "ssim", "top-iou", "pixel-cosine"):
        values = table.columns[f"clean|similarity|{name}"]
        assert ((values == 0) | (np.abs(values - 1) < 1e-5)).all()
    np.testing.assert_allclose(table.columns["clean|stability|total-variation"], 1, atol=1e-6)
