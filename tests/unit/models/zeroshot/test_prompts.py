from __future__ import annotations

import json

import pytest

from ectool.errors import InputError
from ectool.models.zeroshot.prompts import Prompts, read_prompts
from ectool.types import Unnamed


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        (tmp_path / "p.toml").write_text(text)
        return tmp_path / "p.toml"

    return write


def test_each_name_is_put_into_each_template(written):
    path = written('templates = ["a {}.", "{} and {}"]\n[classes]\nb = "ape"\na = ["x", "y"]')
    prompts = read_prompts(path).of_classes(("a", "b"))
    assert prompts.classes == ("a", "b")
    assert list(prompts.texts()) == [
        ["a x.", "x and x", "a y.", "y and y"],
        ["a ape.", "ape and ape"],
    ]


def test_braces_of_other_kinds_stay(written):
    prompts = read_prompts(written('templates = ["{0} {name} {}"]')).of_classes(("{a}", "b"))
    assert next(prompts.texts()) == ["{0} {name} {a}"]


def test_without_a_file_classes_are_called_as_in_the_data():
    prompts = read_prompts(None).of_classes(("golden_retriever", "tabby cat"))
    assert list(prompts.texts()) == [
        ["a photo of a golden retriever."],
        ["a photo of a tabby cat."],
    ]
    assert prompts.classes == ("golden_retriever", "tabby cat")


def test_a_file_may_have_one_of_both(written):
    assert list(read_prompts(written('templates = "{}"')).of_classes(("a", "b")).texts()) == [
        ["a"],
        ["b"],
    ]
    names = read_prompts(written('[classes]\n0 = "x"\n1 = "y"')).of_classes(Unnamed.of(2))
    assert list(names.texts()) == [["a photo of a x."], ["a photo of a y."]]


def test_json_keeps_everything(written):
    for text in ('templates = ["a {}"]', '[classes]\nb = "x"\na = ["y", "z"]'):
        prompts = read_prompts(written(text))
        assert Prompts.from_json(json.loads(json.dumps(prompts.to_json()))) == prompts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected templates = \[...\] and a table \[classes\], got an empty file"),
        ('template = ["a {}"]', "got the key 'template'; did you mean templates?"),
        ("templates = []", r"templates: expected a text or a list of texts, got \[\]"),
        ("templates = 3", "templates: expected a text or a list of texts, got 3"),
        ('templates = ["a {}", 3]', "templates: expected texts, got 3; write each in quotes"),
        ('templates = ["a {}", "b"]', "expected a gap {} for the name in each template, got 'b'"),
        ('templates = ["a {x}"]', "got 'a {x}'; add {} to it"),
        ("classes = 3", r"classes: expected a table \[classes\], got int"),
        ("[classes]\na = []", r"class a: expected a text or a list of texts, got \[\]"),
        ('[classes]\na = " "', "class a: expected texts, got ' '"),
        ("templates = [", r"expected valid TOML, got .*; correct the file"),
    ],
)
def test_files_that_are_refused(written, text, message):
    path = written(text)
    with pytest.raises(InputError, match=f"{path}.*{message}"):
        read_prompts(path)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(InputError, match="expected a TOML file, got No such file or directory"):
        read_prompts(tmp_path / "p.toml")


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        (
            'cat = "x"\ndog = "y"',
            ("cat", "dogs"),
            "dog without a class and no prompt for dogs; did ",
        ),
        (
            'cat = "x"',
            ("cat", "dog"),
            r"each of 2 classes \(cat, dog\), got no prompt for dog; name",
        ),
        (
            'cat = "x"\ndog = "y"\nape = "z"',
            ("cat", "dog"),
            "got ape without a class; name exactly",
        ),
    ],
)
def test_classes_that_do_not_fit(written, text, classes, message):
    prompts = read_prompts(written(f"[classes]\n{text}"))
    with pytest.raises(InputError, match=f"p.toml: classes: expected .*{message}"):
        prompts.of_classes(classes)


def test_data_without_names_need_a_table():
    with pytest.raises(InputError, match="names of 3 classes, which the data do not name, got"):
        Prompts().of_classes(Unnamed.of(3))
