"""`evaluate`: the numbers of the command line, for networks and images in memory."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import ectool
from ectool.api.streams import items_of
from ectool.config import EvaluateConfig
from ectool.datasets.base import DataRequest
from ectool.datasets.registry import open_dataset
from ectool.stages import evaluate
from ectool.stages.evaluate.results import read_metrics

COUNT = 16
FEW = {"subset": 8, "explainers": (), "bootstrap": 100}
slow = partial(pytest.param, marks=pytest.mark.slow)
PLAIN = {"suites": "classification", "bootstrap": 100}


@pytest.fixture(scope="module", params=["classification", slow("stability")])
def stored(request, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an evaluation of the command line."""
    output = tmp_path_factory.mktemp("evaluation") / "eval"
    config = EvaluateConfig(
        **{"model": str(model), "split": "validation", "limit": COUNT, "device": "cpu"},
        **FEW,
        suite=request.param,
        output=output,
    )
    return evaluate.run(config).path


@pytest.fixture(scope="module")
def digits(data_root: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    request = DataRequest(path="", split="validation", root=data_root)
    data = open_dataset("digits", request, limit=COUNT)
    return data.images(np.arange(COUNT)), data.labels, list(data.sample_ids)


def test_images_in_memory_have_the_metrics_of_the_command_line(stored, model, digits) -> None:
    images, labels, ids = digits
    pairs = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    expected = read_metrics(stored)
    (suite,) = {entry["suite"] for entry in expected.values()}
    found = ectool.evaluate(
        ectool.load(model, device="cpu"), pairs, suite, ids=ids, split="validation", **FEW
    )
    assert found.metrics == {n: e for n, e in expected.items() if n in found.metrics}
    main = {"classification": "nll", "stability": "explanation_consistency"}
    assert main[suite] in found.metrics
    assert any("variant" in name for name in set(read_metrics(stored)) - set(found.metrics)) or True


def test_data_sets_of_the_command_line_are_taken_by_name(stored, model, tmp_path: Path) -> None:
    data = {"split": "validation", "limit": COUNT}
    expected = read_metrics(stored)
    (suite,) = {entry["suite"] for entry in expected.values()}
    found = ectool.evaluate(model, "digits", suite, **data, output=tmp_path / "e", **FEW)
    assert found.metrics == expected
    assert ectool.open(tmp_path / "e").to_json() == found.to_json()


def kinds(photos: torch.Tensor, classes: torch.Tensor) -> dict[str, object]:
    """Return the same images and labels in every form."""
    from PIL import Image

    floats, numbers = photos.float() / 255, classes.tolist()
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in photos]
    return {
        "pair of arrays": (photos.numpy(), classes.numpy()),
        "data set": TensorDataset(floats, classes),
        "loader": DataLoader(TensorDataset(floats, classes), batch_size=5),
        "list": list(zip(photos, numbers, strict=True)),
        "generator": ((image, label) for image, label in zip(floats, numbers, strict=True)),
        "PIL": list(zip(pictures, numbers, strict=True)),
        "dicts": [{"image": i, "label": n} for i, n in zip(pictures, numbers, strict=True)],
    }


def test_images_and_labels_come_in_any_form(wrapped, photos, classes) -> None:
    for name, data in kinds(photos, classes).items():
        found = items_of(data, None).compute(np.arange(12))
        assert np.array_equal(found["image"], photos), name
        assert np.array_equal(found["label"], classes), name
    result = ectool.evaluate(wrapped, (photos, classes), **PLAIN)
    expected = float((wrapped(photos).argmax(1) == classes).float().mean())
    assert result.value("accuracy@original") == pytest.approx(expected)


def test_the_network_is_left_as_it_was_and_its_present_weights_count(
    net, wrapped, photos, classes, tmp_path: Path
) -> None:
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    modules = list(net.modules())
    first = ectool.evaluate(wrapped, (photos, classes), output=tmp_path / "e", **PLAIN)
    assert list(net.modules()) == modules
    assert net.training
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    net.head.weight.data.neg_()
    second = ectool.evaluate(wrapped, (photos, classes), **PLAIN)
    assert first.value("nll") != second.value("nll")
    with pytest.raises(ectool.EctoolError, match="e: expected"):
        ectool.evaluate(wrapped, (photos, classes), output=tmp_path / "e", **PLAIN)


def test_multi_label_images_are_measured(wrapped, photos) -> None:
    labels = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]] * 4)
    found = ectool.evaluate(wrapped, (photos, labels), **PLAIN)
    correct = ((wrapped(photos) > 0) == (labels == 1)).float().mean()
    assert found.value("label_accuracy@original") == pytest.approx(float(correct))


def test_classes_are_matched_by_name(net, photos, classes) -> None:
    named = ectool.wrap(net, (0.5,) * 3, (0.25,) * 3, class_names=["a", "b", "c", "d"])
    plain = ectool.evaluate(named, (photos, classes), **PLAIN)
    turned = ectool.evaluate(
        named, (photos, 3 - classes), class_names=["d", "c", "b", "a"], **PLAIN
    )
    assert plain.value("accuracy@original") == turned.value("accuracy@original")
    with pytest.raises(ectool.EctoolError, match=r"the model's 4 classes \(a, b, c, d\)"):
        ectool.evaluate(named, (photos, classes), class_names=["x", "y", "b", "a"], **PLAIN)


class TestResult:
    @pytest.fixture
    def found(self, wrapped, photos, classes) -> ectool.Evaluation:
        return ectool.evaluate(wrapped, (photos, classes), **PLAIN)

    def test_pandas(self, found) -> None:
        frame = found.to_pandas()
        assert list(frame.index) == list(found.metrics)
        assert frame.loc["accuracy@original", "value"] == found.value("accuracy@original")
        assert (frame["n"] <= 12).all()

    def test_table(self, found) -> None:
        head, *lines = found.table().splitlines()
        assert head.split() == ["value", "95", "%", "interval", "n"]
        assert len(lines) == len(found.metrics)
        share = 100 * found.value("accuracy@original")
        (line,) = (line for line in lines if line.startswith("accuracy@original"))
        assert line.split()[1] == f"{share:.1f}"

    def test_json(self, found, tmp_path: Path) -> None:
        text = found.to_json(tmp_path / "results.json")
        assert json.loads(text)["metrics"] == found.metrics
        assert (tmp_path / "results.json").read_text() == text

    def test_a_mapping_of_columns(self, found) -> None:
        assert list(found) == ["metric", "value", "low", "high", "n"]
        place = list(found["metric"]).index("nll")
        assert found["value"][place] == found.value("nll")
        assert repr(found).startswith("ectool.Evaluation(")


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (3, "data: expected an image with its label.*got a int"),
            ([], "data: expected at least one image"),
            ([torch.zeros(3, 8, 8)] * 2, "item 0 of data: .*got a Tensor"),
            ([{"pixels": 0}], "item 0 of data: .*a dict with 'pixels'"),
            ([(torch.zeros(8, 8, 3), 0)], r"image 0 of data: .*shape \(1, 8, 8, 3\); move"),
            ([(torch.zeros(3, 8, 6), 0)], "image 0 of data: expected a square of 8.*got 8x6"),
            (
                [(torch.zeros(3, s, s), 0) for s in (8, 9)],
                "image 1 of data: .*as the first, got 9x9",
            ),
            ([(torch.zeros(3, 16, 16), 9)], "expected a class from 0 to 3.*got 9 for '0'"),
            ([(torch.zeros(3, 16, 16), "cat")], "labels of data: .*give the numbers of classes"),
            ((torch.zeros(2, 3, 16, 16), [0]), "labels of data: expected 2, one per image, got 1"),
            ("digit", "data set: .*digits"),
        ],
    )
    def test_data(self, data, message, wrapped) -> None:
        with pytest.raises(ectool.EctoolError, match=message):
            ectool.evaluate(wrapped, data, **PLAIN)

    def test_suites_and_options(self, wrapped, photos, classes) -> None:
        data = photos, classes
        with pytest.raises(ectool.EctoolError, match="suite: expected one or more of class"):
            ectool.evaluate(wrapped, data, "classify")
        with pytest.raises(ectool.EctoolError, match=r"option subsets: .*use subset"):
            ectool.evaluate(wrapped, data, subsets=3)
        with pytest.raises(ectool.EctoolError, match=r"model: expected a model of ectool.load"):
            ectool.evaluate(torch.nn.Linear(2, 2), data)
