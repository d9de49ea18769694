"""Classes of a model matched with those of the data."""

import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.outputs.class_matching import match_classes
from ectool.models.sources.zoo import imagenet_class_names
from ectool.types import Unnamed


class Constant(nn.Module):
    """Logits 0, 1, 2, … of every image."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images):
        return torch.arange(float(self.classes)).expand(len(images), -1)


def matched(own, wanted, **options):
    spec = ModelSpec("mine", tuple(own), (4, 4), (0.5,) * 3, (0.5,) * 3, None, None)
    found = match_classes(Classifier(Constant(len(own)), spec), wanted, "here", **options)
    logits = found.model(torch.zeros(2, 3, 4, 4))[0].tolist()
    return found.way, dict(zip(found.model.class_names, logits, strict=True))


def test_equal_sets_go_by_name_whatever_their_order():
    assert matched("abc", "abc") == ("same", {"a": 0, "b": 1, "c": 2})
    assert matched("cab", "abc") == ("order", {"a": 1, "b": 2, "c": 0})


def test_a_part_of_the_models_classes_goes_by_name_and_the_rest_is_one_more():
    assert matched("cabd", "ad") == ("subset", {"a": 1, "d": 3, "(other)": 2})


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ("bgr", "abg"),  # met in part
        ("bgr", "bgrx"),  # the data have more
        (["Cat", "Dog"], ["cat", "dog"]),  # another spelling
        (["1", "2"], ["1.0", "2.0"]),
        (["crane", "crane", "owl"], ["crane", "owl"]),  # which of both?
        (["0", "1"], ["cat", "dog"]),  # these are names: the model was trained on them
    ],
)
def test_anything_else_is_refused_with_both_lists(own, wanted):
    both = rf"{len(own)} classes \({', '.join(own)}\), got .*\({', '.join(wanted)}\)"
    with pytest.raises(InputError, match=f"here: expected the model's {both}"):
        matched(own, wanted)


def test_by_position_on_request_for_equal_numbers():
    assert matched("bgr", "abg", by_position=True) == ("position", {"a": 0, "b": 1, "g": 2})
    with pytest.raises(InputError, match="3 classes"):
        matched("bgr", "ab", by_position=True)


def test_accents_are_the_same_however_a_file_system_writes_them():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert matched([composed, "bar"], ["bar", decomposed])[0] == "order"


def test_no_names_mean_position():
    numbers = [str(n) for n in range(12)]
    way, found = matched(numbers, sorted(numbers), has_names=False)
    assert way == "position"
    assert list(found) == sorted(numbers)
    assert list(found.values()) == list(range(12))
    with pytest.raises(InputError, match="expected 12 classes, as in the checkpoint, got 2"):
        matched(numbers, ["a", "b"], has_names=False)


def test_a_thousand_classes_are_those_of_imagenet_if_the_data_have_its_names():
    public = imagenet_class_names()
    thousand = [str(n) for n in range(1000)]
    way, found = matched(thousand, ["goldfish", "tench"], has_names=False)
    assert (way, found["goldfish"], found["tench"]) == ("subset", 1, 0)
    ids = [f"n{number:08d}" for number in range(1000)]
    assert matched(thousand, ids, has_names=False)[0] == "position"
    with pytest.raises(InputError, match=r"1000 classes \(tench, goldfish"):
        matched(thousand, ["goldfish", "unicorn"], has_names=False)
    assert public[1] == "goldfish"


def test_data_without_names_go_by_position():
    assert matched("bgr", Unnamed.of(3)) == ("position", {"b": 0, "g": 1, "r": 2})
    text = sorted(str(n) for n in range(12))  # "10" is class number 2
    assert matched(text, Unnamed.of(12))[1] == {name: n for n, name in enumerate(text)}
    with pytest.raises(InputError, match="expected the model's 3 classes"):
        matched("bgr", Unnamed.of(4))


def test_other_classes_are_ignored_for_multilabel_data():
    assert matched("cabd", "ad", others=False) == ("subset", {"a": 1, "d": 3})
    assert matched("cab", "abc", others=False) == ("order", {"a": 1, "b": 2, "c": 0})
