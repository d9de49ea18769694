"""Whose class is it: models and folders of numbers, of other names and orders, stage by stage."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ectool.config import DataInfoConfig, DataOptions, EvaluateConfig, ExplainConfig, TrainConfig
from ectool.errors import InputError
from ectool.stages import data_info, evaluate, explain, train
from ectool.stages.evaluation import read_metrics
from ectool.stages.inputs import open_data

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
    return read_metrics(evaluate.run(config))["accuracy@original"]["value"]


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))  # noqa: PTH120 (a path of import)


@pytest.mark.usefixtures("importable", "data_root")
def test_a_checkpoint_without_names_goes_by_position_in_the_order_that_is_asked_for(
    photos, tmp_path
):
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
    )
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
        found[order] = read_metrics(evaluate.run(config, listener))["nll"]["value"]
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
