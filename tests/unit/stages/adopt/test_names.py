from __future__ import annotations

import json

import pytest

from ectool.config import AdoptConfig
from ectool.errors import InputError
from ectool.stages.adopt.names import class_names


def names(path=None, **options):
    return class_names(AdoptConfig(model="resnet18", output="m", classes_from=path, **options))


def test_a_list_keeps_its_order():
    assert names(names="dog, cat") == ("dog", "cat")
    assert names() == ()


@pytest.mark.parametrize("split", ["", "train"])
def test_folders_are_those_of_the_data_set(tmp_path, split):
    for name in ("10", "2", "cat"):
        folder = tmp_path / split / name
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"")
    assert names(tmp_path) == ("10", "2", "cat")


def test_folders_with_numbers_have_an_order(tmp_path):
    for name in ("10", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"")
    assert names(tmp_path) == ("10", "2")
    assert names(tmp_path, class_order="natural") == ("2", "10")


@pytest.mark.parametrize(
    "content",
    [
        "cat\ndog\n\n",
        "\N{ZERO WIDTH NO-BREAK SPACE}cat\r\ndog",
        ["cat", "dog"],
        {"1": "dog", "0": "cat"},
        {"dog": 1, "cat": 0},
        {"0": ["n02123045", "cat"], "1": ["n02084071", "dog"]},
        [["n02123045", "cat"], ["n02084071", "dog"]],
        {"architectures": ["ViT"], "id2label": {"0": "cat", "1": "dog"}, "label2id": {}},
        {"architecture": "vit_tiny", "label_names": ["cat", "dog"]},
    ],
)
def test_files_of_every_kind(tmp_path, content):
    path = tmp_path / "names.txt"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    assert names(path) == ("cat", "dog")


def test_equal_names_are_told_apart_by_their_ids(tmp_path):
    """ImageNet has two cranes, the bird and the machine."""
    path = tmp_path / "imagenet_class_index.json"
    path.write_text(json.dumps({"0": ["n02012849", "crane"], "1": ["n03126707", "crane"]}))
    assert names(path) == ("crane (n02012849)", "crane (n03126707)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('["cat", "cat"]', "a different name for every class, got 'cat' twice"),
        ('{"0": "cat", "2": "dog"}', "every number from 0 to 1 once, got 0, 2; number the"),
        ('{"a": "cat", "b": "dog"}', "got the keys a, b"),
        ('{"0": 1.5}', "a name for every class, got 1.5"),
        ("[]", "expected a list of names"),
        ("[1, 2]", "a name for every class, got 1"),
        ("{", "valid JSON"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, message):
    (tmp_path / "names.json").write_text(content)
    with pytest.raises(InputError, match=message):
        names(tmp_path / "names.json")


def test_missing_files_and_other_bytes_are_refused(tmp_path):
    with pytest.raises(InputError, match="a folder of class folders, or a file of names, got No"):
        names(tmp_path / "none")
    (tmp_path / "weights.pth").write_bytes(b"\x80\x02\xff")
    with pytest.raises(InputError, match="text in UTF-8, got other bytes"):
        names(tmp_path / "weights.pth")
