"""Whose class is it: models and folders of numbers, of other names and orders, stage by stage."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ectool.config import DataInfoConfig, DataOptions, EvaluateConfig, ExplainConfig, TrainConfig
from ectool.errors import InputError
from ectool.models.registry import create
from ectool.models.sources.zoo import imagenet_class_names
from ectool.stages import evaluate, explain, train
from ectool.stages.common.found_models import ModelReference
from ectool.stages.common.inputs import open_data
from ectool.stages.common.loaded import may_be_imagenet
from ectool.stages.data import info as data_info
from ectool.stages.evaluate.results import read_metrics

SIDE = 16
CLASSES = 12
FEW = {"size": SIDE, "device": "cpu"}


class Brightness(nn.Module):
    """Class number `n` of a list of names is the grey level 20 n; made for 16 x 16 images."""

    def __init__(self, levels):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.head = nn.Linear(2, len(levels))
        with torch.no_grad():  # logits -(x - level)^2 without the square of x, which is common
            self.conv.weight.zero_()
            self.conv.weight[0] = 1 / 3
            self.conv.bias.copy_(torch.tensor([0.0, 1.0]))
            centres = torch.tensor(levels) / 255
            self.head.weight.copy_(torch.stack([2 * centres, -(centres**2)], dim=1))
            self.head.bias.zero_()

    def forward(self, images):
        return self.head(self.conv(images).relu().mean((2, 3)))


def levels_of(names):
    return [20.0 * int(name) for name in names]


def text_order():
    return Brightness(levels_of(sorted(str(n) for n in range(CLASSES))))


def natural_order():
    return Brightness(levels_of(range(CLASSES)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folders 0 to 11 of grey images; their names are their levels."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(CLASSES):
        for split in ("train", "validation"):
            folder = root / split / str(number)
            folder.mkdir(parents=True)
            for copy in range(2):
                level = 20 * number + copy
                Image.new("RGB", (SIDE, SIDE), (level, level, level)).save(folder / f"{copy}.png")
    return root


def accuracy(factory, photos, tmp_path, **options):
    """Return the accuracy of a foreign checkpoint without class names."""
    weights = tmp_path / "weights.pth"
    torch.save(factory().state_dict(), weights)
    config = EvaluateConfig(
        model=f"import:{__name__.rpartition('.')[2]}:{factory.__name__}",
        checkpoint=weights,
        classes=CLASSES,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        data=f"imagefolder:{photos}",
        split="validation",
        suite=("classification",),
        output=tmp_path / "eval",
        **FEW,
        **options,
    )
    return read_metrics(evaluate.run(config).path)["accuracy@original"]["value"]


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))  # noqa: PTH120 (a path of import)


@pytest.mark.usefixtures("importable", "data_root")
def test_a_checkpoint_without_names_goes_by_position_in_the_given_order(photos, tmp_path):
    # As plain PyTorch does: ImageFolder sorts as text.
    (tmp_path / "a").mkdir()
    assert accuracy(text_order, photos, tmp_path / "a") == 1
    (tmp_path / "b").mkdir()
    assert accuracy(natural_order, photos, tmp_path / "b", class_order="natural") == 1
    (tmp_path / "c").mkdir()
    assert accuracy(natural_order, photos, tmp_path / "c") < 0.5


@pytest.mark.usefixtures("data_root")
def test_a_trained_model_goes_by_name_and_says_when_the_order_is_another(
    photos, tmp_path, listener
):
    trained = train.run(
        TrainConfig(
            data=f"imagefolder:{photos}",
            class_order="natural",
            epochs=1,
            output=tmp_path / "model",
            **FEW,
        )
    ).path
    found = {}
    for order in ("natural", "text"):
        config = EvaluateConfig(
            model=str(trained),
            data=f"imagefolder:{photos}",
            class_order=order,
            split="validation",
            suite=("classification",),
            output=tmp_path / order,
            **FEW,
        )
        found[order] = read_metrics(evaluate.run(config, listener).path)["nll"]["value"]
    assert found["text"] == pytest.approx(found["natural"])
    assert [note for note in listener.notes if "another order" in note]


@pytest.mark.usefixtures("data_root")
def test_other_names_are_refused_in_explain_unless_by_position(photos, tmp_path, model):
    config = ExplainConfig(
        model=str(model),  # of the digits: zero, one, …
        data=f"imagefolder:{photos}",
        split="validation",
        output=tmp_path / "cams.zarr",
        **FEW,
    )
    with pytest.raises(InputError, match=r"classes of imagefolder.*got 12 classes \(0, 1, 10, 11"):
        explain.run(config)


def test_a_table_of_integers_is_sorted_by_value_and_folders_as_text(photos, tmp_path):
    table = photos / "list.csv"
    rows = [f"validation/{n}/0.png,{n}.0,validation" for n in range(CLASSES)]
    table.write_text("\n".join(["path,label,split", *rows]))
    expected = [f"{n}.0" for n in range(CLASSES)]
    options = DataOptions(data=f"csv:{table}", size=SIDE)
    assert list(open_data(options, "validation").classes) == expected
    as_text = options.model_copy(update={"class_order": "text"})
    assert list(open_data(as_text, "validation").classes) == sorted(expected)
    folders = open_data(DataOptions(data=f"imagefolder:{photos}", size=SIDE), "validation")
    assert list(folders.classes) == sorted(str(n) for n in range(CLASSES))


@pytest.fixture(scope="module")
def model_of_photos(photos, tmp_path_factory, data_root):
    output = tmp_path_factory.mktemp("photo-model") / "m"
    return train.run(TrainConfig(data=f"imagefolder:{photos}", epochs=1, output=output, **FEW)).path


class TestFolders:
    @pytest.mark.parametrize(
        ("names", "split"),
        [
            (("Train", "TEST"), "test"),
            (("training", "testing"), "train"),
            (("train", "Val"), "validation"),
        ],
    )
    def test_splits_are_known_in_any_case(self, names, split, tmp_path):
        for name in names:
            (tmp_path / name / "cat").mkdir(parents=True)
            Image.new("L", (SIDE, SIDE)).save(tmp_path / name / "cat" / "a.png")
        data = open_data(DataOptions(data=f"imagefolder:{tmp_path}", size=SIDE), split)
        assert data.classes == ("cat",)
        assert len(data.sample_ids) == 1

    def test_splits_without_class_folders_are_refused(self, tmp_path):
        for name in ("train", "test"):
            (tmp_path / name).mkdir()
            Image.new("L", (SIDE, SIDE)).save(tmp_path / name / "a.png")
        config = DataInfoConfig(uri=f"imagefolder:{tmp_path}")
        with pytest.raises(InputError, match="train: expected a folder for each class in it"):
            data_info.run(config)

    def test_a_class_may_be_called_train(self, tmp_path):
        for name in ("train", "bus"):
            (tmp_path / name).mkdir()
            for number in range(30):
                Image.new("L", (SIDE, SIDE), number).save(tmp_path / name / f"{number}.png")
        data = open_data(DataOptions(data=f"imagefolder:{tmp_path}", size=SIDE), "all")
        assert data.classes == ("bus", "train")

    @pytest.mark.parametrize("target", [".", "..", "../.."])
    def test_a_link_to_what_holds_it_adds_nothing(self, target, tmp_path):
        folder = tmp_path / "photos" / "cat" / "deep"
        folder.mkdir(parents=True)
        (tmp_path / "photos" / "dog").mkdir()
        for place in (folder, tmp_path / "photos" / "dog"):
            for number in range(20):
                Image.new("L", (SIDE, SIDE), number).save(place / f"{number}.png")
        (folder / "loop").symlink_to(target)
        options = DataOptions(data=f"imagefolder:{tmp_path / 'photos'}", size=SIDE)
        data = open_data(options, "all")
        assert np.bincount(data.labels).tolist() == [20, 20]

    def test_a_class_that_is_a_link_to_its_folder_is_refused(self, tmp_path):
        (tmp_path / "cat").mkdir()
        Image.new("L", (SIDE, SIDE)).save(tmp_path / "cat" / "a.png")
        (tmp_path / "self").symlink_to(tmp_path)
        options = DataOptions(data=f"imagefolder:{tmp_path}", size=SIDE)
        with pytest.raises(InputError, match="self: expected a folder of images, got a link to"):
            open_data(options, "all")

    @pytest.mark.parametrize("link", ["dog/more", "owl", "dog/deep/more"])
    def test_a_link_that_makes_images_those_of_two_classes_is_refused(self, link, tmp_path):
        for name in ("cat", "dog/deep"):
            (tmp_path / name).mkdir(parents=True)
            Image.new("L", (SIDE, SIDE)).save(tmp_path / name / "a.png")
        (tmp_path / link).symlink_to(tmp_path / "cat")
        options = DataOptions(data=f"imagefolder:{tmp_path}", size=SIDE)
        with pytest.raises(InputError, match=f"one class each, got {link}, a link to .* of cat"):
            open_data(options, "all")

    def test_a_class_that_is_a_link_to_a_folder_elsewhere_is_one(self, tmp_path):
        (tmp_path / "pool").mkdir()
        Image.new("L", (SIDE, SIDE)).save(tmp_path / "pool" / "a.png")
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "cat").symlink_to(tmp_path / "pool")
        options = DataOptions(data=f"imagefolder:{tmp_path / 'set'}", size=SIDE)
        assert open_data(options, "all").sample_ids == ("cat/a.png",)

    def test_a_class_called_train_that_holds_folders_is_not_taken_for_a_split(self, tmp_path):
        for name in ("bus", "train/steam", "car"):
            (tmp_path / name).mkdir(parents=True)
            Image.new("L", (SIDE, SIDE)).save(tmp_path / name / "a.png")
        options = DataOptions(data=f"imagefolder:{tmp_path}", size=SIDE)
        with pytest.raises(InputError, match="got train with folders, and bus, car"):
            open_data(options, "train")

    def test_one_split_without_class_folders_is_refused(self, tmp_path):
        for name in ("Train/cat", "test"):
            (tmp_path / name).mkdir(parents=True)
            Image.new("L", (SIDE, SIDE)).save(tmp_path / name / "a.png")
        options = DataOptions(data=f"imagefolder:{tmp_path}", size=SIDE)
        with pytest.raises(InputError, match="test: expected a folder for each class in it"):
            open_data(options, "train")

    @pytest.mark.parametrize("other", ["cat ", "Cat", "CAT"])
    def test_splits_that_spell_a_class_in_two_ways_are_refused(self, other, tmp_path):
        for name in ("train/cat", f"test/{other}"):
            (tmp_path / name).mkdir(parents=True)
            Image.new("L", (SIDE, SIDE)).save(tmp_path / name / "a.png")
        options = DataOptions(data=f"imagefolder:{tmp_path}", size=SIDE)
        with pytest.raises(InputError, match=r"same word in another spelling.*--class-order text"):
            open_data(options, "train")
        given = options.model_copy(update={"class_order": "text"})
        assert len(open_data(given, "train").classes) == 2


class TestResume:
    @pytest.fixture
    def trained(self, photos, tmp_path, data_root):
        config = TrainConfig(
            data=f"imagefolder:{photos}", epochs=2, until_epoch=1, output=tmp_path / "half", **FEW
        )
        return train.run(config).path

    def test_the_order_is_recorded_with_the_model(self, trained):
        spec = json.loads((trained / "model.json").read_text())
        assert spec["class_order"] == "text"
        assert spec["class_names"] == sorted(str(n) for n in range(CLASSES))

    def test_another_order_is_refused(self, trained, photos, tmp_path):
        table = photos / "same.csv"
        rows = [f"train/{n}/{c}.png,{n},train" for n in range(CLASSES) for c in range(2)]
        table.write_text("\n".join(["path,label,split", *rows]))
        config = TrainConfig(resume=trained, data=f"csv:{table}", output=tmp_path / "rest", **FEW)
        message = r"those of .*half, 0, 1, 10, .*, got them in another order, 0, 1, 2, .*--class-"
        with pytest.raises(InputError, match=message):
            train.run(config)

    def test_a_given_order_counts_by_the_classes_it_gives(self, trained, tmp_path):
        given = {"resume": trained, **FEW}
        with pytest.raises(InputError, match=r"half, 0, 1, 10, .*, got them in another order, 0"):
            train.run(TrainConfig(**given, class_order="natural", output=tmp_path / "a"))
        train.run(TrainConfig(**given, class_order="text", output=tmp_path / "b"))
        train.run(TrainConfig(**given, output=tmp_path / "c"))
        one, other = (tmp_path / name / "model.safetensors" for name in "bc")
        assert one.read_bytes() == other.read_bytes()

    def test_other_classes_are_refused_with_both_lists(self, trained, tmp_path):
        for name in "ab":
            (tmp_path / "other" / "train" / name).mkdir(parents=True)
            Image.new("L", (SIDE, SIDE)).save(tmp_path / "other" / "train" / name / "a.png")
        data = f"imagefolder:{tmp_path / 'other'}"
        config = TrainConfig(resume=trained, data=data, output=tmp_path / "rest", **FEW)
        with pytest.raises(InputError, match=r"expected those of .*, 0, 1, 10, .* got a, b;"):
            train.run(config)


@pytest.mark.parametrize("stage", ["explain", "train"])
def test_samples_that_number_the_classes_in_another_way_are_refused(
    stage, photos, model_of_photos, write, tmp_path
):
    data = open_data(DataOptions(data=f"imagefolder:{photos}", size=SIDE), "train")
    images, count = data.images(np.arange(len(data.sample_ids))), len(data.sample_ids)
    by_value = np.array([int(name.split("/")[1]) for name in data.sample_ids])
    logits = np.zeros((count, CLASSES), np.float32)
    arrays = {
        "sample_id": np.array(data.sample_ids, dtype=np.dtypes.StringDType()),
        "label": by_value,
        "image": images,
        "background": np.ones((count, SIDE, SIDE), np.bool_),
        "logits_clean": logits,
        "logits_adversarial": logits,
    }
    samples = write(tmp_path / "foreign.zarr", "samples", arrays)
    given = {"data": f"imagefolder:{photos}", "samples": samples, "output": tmp_path / "o.zarr"}
    run = {
        "explain": lambda: (
            explain.run(ExplainConfig(**given, model=str(model_of_photos), **FEW)).path
        ),
        "train": lambda: train.run(TrainConfig(**given, epochs=1, **FEW)).path,
    }
    with pytest.raises(InputError, match=r"label: expected 2 for '.*' as in .*, got 10 \(20 such"):
        run[stage]()


def test_a_model_of_a_thousand_other_classes_is_not_taken_for_imagenets(
    tmp_path,
):
    names = [f"bird {n}" for n in range(1000)]
    model = create("smallcnn", names, seed=0)
    reference = ModelReference(tmp_path, "model", "x")
    assert not may_be_imagenet(model, reference)
    ids = [f"n{n:08d}" for n in range(1000)]
    assert may_be_imagenet(create("smallcnn", ids, seed=0), reference)
    assert may_be_imagenet(create("smallcnn", imagenet_class_names(), seed=0), reference)
    assert not may_be_imagenet(create("smallcnn", ids[::-1], seed=0), reference)
