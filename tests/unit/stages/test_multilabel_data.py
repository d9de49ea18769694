"""The chain on data of several labels a sample, against the definitions written out per label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from miniatures.voc import write_voc2007
from scipy.special import expit

from ectool.artifacts.store import read_manifest
from ectool.config import (
    DataOptions,
    EvaluateConfig,
    ExplainConfig,
    ModelOptions,
    PerturbConfig,
    ScoreConfig,
    TrainConfig,
)
from ectool.explainers import GradCAM
from ectool.metrics.multilabel import mean_average_precision
from ectool.models.classifier import to_pixels
from ectool.stages import evaluate, explain, perturb, score, train
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import open_data
from ectool.stages.common.loaded import loaded_model
from ectool.stages.evaluate.results import read_metrics

SIDE = 48


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc")
    write_voc2007(root, per_class=2)
    return {"data": f"voc2007:{root}", "size": SIDE, "view": "squash", "device": "cpu"}


@pytest.fixture(scope="module")
def dataset(options):
    return open_data(
        DataOptions(**{name: options[name] for name in ("data", "size", "view")}), "train"
    )


@pytest.fixture(scope="module")
def model(options, tmp_path_factory):
    output = tmp_path_factory.mktemp("model") / "m"
    return train.run(TrainConfig(**options, epochs=2, batch_size=16, output=output)).path


@pytest.fixture(scope="module")
def chain(options, model, tmp_path_factory, read):
    """Samples, heatmaps and weights of the training split."""
    folder = tmp_path_factory.mktemp("chain")
    samples = perturb.run(
        PerturbConfig(
            **options,
            model=str(model),
            steps=2,
            shard_size=16,
            batch_size=5,
            output=folder / "adv.zarr",
        )
    ).path
    heatmaps = explain.run(
        ExplainConfig(
            model=str(model), samples=samples, device="cpu", batch_size=7, output=folder / "c.zarr"
        )
    ).path
    weights = score.run(ScoreConfig(heatmaps=heatmaps)).path
    return {"samples": read(samples), "heatmaps": read(heatmaps), "weights": read(weights)}


@pytest.fixture(scope="module")
def network(model, dataset):
    options = ModelOptions(model=str(model))
    with loaded_model(find_model(options), options, torch.device("cpu"), dataset) as network:
        yield network


def present(dataset, row):
    return np.flatnonzero(dataset.labels[row] == 1)


def maps_of(network, image, classes):
    """Explain one image, one class at a time."""
    pixels = to_pixels(image[None])
    return [GradCAM(network)(pixels, torch.tensor([int(k)])).heatmaps[0] for k in classes]


def test_targets_are_the_classes_that_are_there(chain, dataset):
    target = chain["heatmaps"]["target"]
    most = (dataset.labels == 1).sum(axis=1).max()
    assert target.shape == (len(dataset.labels), most)
    assert most < len(dataset.classes)
    for row, found in enumerate(target):
        classes = present(dataset, row)
        assert found.tolist() == [*classes, *[-1] * (most - len(classes))]
    np.testing.assert_array_equal(chain["heatmaps"]["label"], dataset.labels)


@pytest.mark.parametrize("kind", ["clean", "adversarial"])
def test_heatmaps_are_those_of_each_class(chain, dataset, network, kind):
    clean = dataset.images(np.arange(len(dataset.labels)))
    images = clean if kind == "clean" else chain["samples"]["image"]
    for row in (0, 3, 8):
        classes = present(dataset, row)
        found = chain["heatmaps"][kind][row]
        for column, expected in enumerate(maps_of(network, images[row], classes)):
            np.testing.assert_allclose(found[column], expected.numpy(), rtol=2e-3, atol=1e-6)
        assert not found[len(classes) :].any()


def test_background_is_background_for_every_label(chain, dataset, network):
    images = dataset.images(np.arange(len(dataset.labels)))
    for row in (0, 3, 8):
        expected = np.ones((SIDE, SIDE), bool)
        for heatmap in maps_of(network, images[row], present(dataset, row)):
            wide = F.interpolate(heatmap[None, None], (SIDE, SIDE), mode="bilinear")[0, 0]
            expected &= (wide <= wide.flatten().kthvalue(SIDE * SIDE // 2).values).numpy()
        found = chain["samples"]["background"][row]
        assert (found != expected).mean() < 0.002  # ties fall either way
        moved = chain["samples"]["image"][row] != images[row]
        assert not moved[:, ~found].any()


def test_the_attack_raises_the_loss_of_the_labels_that_count(chain, dataset):
    def losses(logits):
        counted = dataset.labels >= 0
        chances = expit(np.where(dataset.labels == 1, logits, -logits).astype(float))
        return (-np.log(chances) * counted).sum(axis=1) / counted.sum(axis=1)

    samples = chain["samples"]
    assert (dataset.labels == -1).any()
    rises = losses(samples["logits_adversarial"]) - losses(samples["logits_clean"])
    assert rises.mean() > 0
    assert (rises > -1e-4).mean() > 0.9


def test_an_automatic_radius_counts_every_present_label_that_is_predicted(
    options, model, read, tmp_path
):
    given = {**options, "model": str(model), "mask": "full", "steps": 1, "eps": "auto"}
    path = perturb.run(PerturbConfig(**given, output=tmp_path / "adv.zarr")).path
    arrays, found = read(path), read_manifest(path).all_findings()
    predicted = [
        [(row, k) for row, k in np.argwhere(arrays["label"] == 1).tolist() if logits[row, k] > 0]
        for logits in (arrays["logits_clean"], arrays["logits_adversarial"])
    ]
    kept = len(set(predicted[0]) & set(predicted[1]))
    assert found["eps_correct_predictions"] == len(predicted[0]) > 0
    assert found["eps_changed_predictions"] == pytest.approx(1 - kept / len(predicted[0]), abs=1e-6)
    assert found["eps_changed_predictions"] >= 0.5


def test_consistency_is_the_mean_over_labels(chain, dataset):
    maps, weights = chain["heatmaps"], chain["weights"]
    for row in range(len(dataset.labels)):
        expected = []
        for column, label in enumerate(present(dataset, row)):
            a, b = (maps[k][row, column].astype(float).ravel() for k in ("clean", "adversarial"))
            if not a.any() and not b.any():
                continue  # undefined
            alike = a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) if a.any() and b.any() else 0
            expected.append(alike * expit(maps["logits_adversarial"][row, label].astype(float) / 2))
        found = weights["explanation_consistency"][row]
        assert found == pytest.approx(np.mean(expected), rel=1e-4) if expected else np.isnan(found)
    assert np.isnan(weights["similarity"][maps["target"] < 0]).all()
    assert weights["weight"].mean() == pytest.approx(1, rel=1e-5)


def test_predictions_are_explained_one_each(options, model, dataset, chain, read, tmp_path):
    samples = perturb.run(
        PerturbConfig(**options, model=str(model), steps=0, output=tmp_path / "adv.zarr")
    ).path
    path = explain.run(
        ExplainConfig(
            model=str(model), samples=samples, targets="prediction", output=tmp_path / "c.zarr"
        )
    ).path
    maps, n = read(path), len(dataset.labels)
    assert maps["target"].shape == (n, 1)
    assert maps["clean"].shape[:2] == (n, 1)
    np.testing.assert_array_equal(maps["target"][:, 0], maps["logits_clean"].argmax(axis=1))
    found = read(score.run(ScoreConfig(heatmaps=path)).path)["stability"]
    logits = maps["logits_adversarial"][np.arange(n), maps["target"][:, 0]]
    np.testing.assert_allclose(found[:, 0], expit(logits.astype(float) / 2), rtol=1e-5)


def test_weights_and_samples_are_learned_from(options, model, chain, tmp_path, write):
    weights = {**chain["weights"], "weight": np.ones_like(chain["weights"]["weight"])}
    ones = write(tmp_path / "ones.zarr", "weights", weights)
    outputs = []
    for name, given in {"plain": {}, "ones": {"weights": ones}}.items():
        config = TrainConfig(
            **options, epochs=2, batch_size=16, until_epoch=1, output=tmp_path / name, **given
        )
        outputs.append((train.run(config).path / "model.safetensors").read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.slow
def test_evaluation_measures_map_and_each_labels_objects(
    options, model, dataset, read, tmp_path, quick_evaluation
):
    config = EvaluateConfig(
        **options,
        model=str(model),
        **quick_evaluation,
        split="train",
        eps=(1 / 255,),
        output=tmp_path / "e",
    )
    found = read_metrics(evaluate.run(config).path)
    logits = read(tmp_path / "e" / "predictions.zarr")["original/logits"]
    for name, interpolation in (("map", "all-points"), ("map11", "11-point")):
        expected = mean_average_precision(logits, dataset.labels, interpolation=interpolation)
        assert found[f"{name}@original"]["value"] == pytest.approx(expected)
    assert {"robust_map@1/255", "label_accuracy@original", "exact_match@original"} <= set(found)

    maps = read(tmp_path / "e" / "cams.zarr")
    shares = []
    for row in range(len(dataset.labels)):
        inside = []
        for column, label in enumerate(present(dataset, row)):
            (boxes,) = dataset.annotations(np.array([row]), np.array([label])).boxes
            truth = np.zeros((SIDE, SIDE), bool)
            for x0, y0, x1, y1 in boxes:
                truth[y0:y1, x0:x1] = True
            heatmap = torch.from_numpy(maps["clean"][row, column].astype(np.float32))
            wide = F.interpolate(heatmap[None, None], (SIDE, SIDE), mode="bilinear")[0, 0].numpy()
            if wide.any() and truth.any():
                inside.append(wide[truth].sum() / wide.sum())
        shares += [np.mean(inside)] if inside else []
    assert found["energy_inside"]["value"] == pytest.approx(np.mean(shares), rel=1e-3)
