from __future__ import annotations

from pathlib import Path

import pytest

from ectool.errors import InputError, UsageError
from ectool.stages.evaluate.model_list import listed_models, path_names


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_pattern_is_its_sorted_matches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/b/model", "runs/a/model", "runs/c/other"):
        (tmp_path / name).mkdir(parents=True)
    found = listed_models(["runs/*/model"])
    assert [(m.name, m.options) for m in found] == [
        ("a", {"model": "runs/a/model"}),
        ("b", {"model": "runs/b/model"}),
    ]
    absolute = listed_models([f"{tmp_path}/runs/*/model"])
    assert [m.options["model"] for m in absolute] == [
        str(tmp_path / name / "model") for name in ("runs/a", "runs/b")
    ]
    assert [m.name for m in listed_models(["runs/**/model", "elsewhere/x"])] == [
        *("runs-a-model", "runs-b-model", "elsewhere-x"),
    ]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/0/model", "runs/1/model"], ["0", "1"]),
        (["runs/0/model"], ["model"]),
        (["a/0/model", "b/0/model"], ["a", "b"]),
        (["a/0/model", "b/1/model"], ["a-0", "b-1"]),
        (["runs/a", "runs/a/b"], ["a", "a-b"]),
        (["w/x.pth", "w/y.safetensors"], ["x", "y"]),
        (["w/1/model.pth", "w/2/model.pth"], ["1", "2"]),
        (["resnet50.v1", "resnet50.v2"], ["resnet50.v1", "resnet50.v2"]),
        (["../x:y/m", "../.z/m"], ["x-y", "z"]),
        (["/"], ["model"]),
        ([], []),
    ],
)
def test_names_are_the_parts_that_differ(paths, names):
    assert path_names(paths) == names


def test_files_of_zero_shot_classifiers_are_relative_to_the_list(tmp_path):
    text = """
    [[models]]
    model = "openclip:nets/tiny.json"
    checkpoint = "tiny.pt"
    prompts = "p.toml"

    [[models]]
    model = "openclip:ViT-B-32"
    checkpoint = "b.pt"
    """
    first, second = listed_models([write(tmp_path / "models.toml", text)])
    assert first.options == {
        "model": f"openclip:{tmp_path}/nets/tiny.json",
        **{"checkpoint": tmp_path / "tiny.pt", "prompts": tmp_path / "p.toml"},
    }
    assert second.options == {"model": "openclip:ViT-B-32", "checkpoint": tmp_path / "b.pt"}


def test_a_table_of_models_in_toml(tmp_path):
    (tmp_path / "mine").mkdir()
    text = """
    [[models]]
    name = "public weights"
    model = "resnet50"
    checkpoint = "weights/resnet50.pth"
    classes = 1000
    mean = [0.5, 0.5, 0.5]
    std = "0.5,0.5,0.5"
    layer = ["layer3", "layer4"]

    [[models]]
    model = "mine"

    [[models]]
    model = "torchscript:programs/net.pt"
    classes = 10
    """
    first, second, third = listed_models([write(tmp_path / "models.toml", text)])
    assert (first.name, second.name, third.name) == ("public weights", "mine", "programs-net")
    assert first.options == {
        **{"model": "resnet50", "checkpoint": tmp_path / "weights/resnet50.pth"},
        **{"classes": 1000, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        "layer": ("layer3", "layer4"),
    }
    assert first.path == str(tmp_path / "weights/resnet50.pth")
    assert second.options == {"model": str(tmp_path / "mine")}
    assert third.options == {"model": f"torchscript:{tmp_path}/programs/net.pt", "classes": 10}
    assert third.path == f"{tmp_path}/programs/net.pt"


def test_a_row_for_each_model_in_csv(tmp_path):
    text = (
        "Name, model, checkpoint, classes, entry, mean, std, layer\n"
        'small,smallcnn,a.pth,10,ema,"0.1,0.2,0.3","1,1,1","2,5"\n'
        ",smallcnn,/b.pth,10,,,,\n"
    )
    first, second = listed_models([write(tmp_path / "models.csv", text)])
    assert (first.name, second.name) == ("small", "b")
    assert first.options == {
        **{"model": "smallcnn", "checkpoint": tmp_path / "a.pth", "classes": 10, "entry": "ema"},
        **{"mean": (0.1, 0.2, 0.3), "std": (1, 1, 1), "layer": ("2", "5")},
    }
    assert second.options == {"model": "smallcnn", "checkpoint": Path("/b.pth"), "classes": 10}


def test_a_model_that_is_not_there_is_still_one(tmp_path):
    (found,) = listed_models([f"{tmp_path}/none"])
    assert found.options == {"model": f"{tmp_path}/none"}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("name\na\n", InputError, r"models\.csv, line 1: expected columns with one model"),
        ("model\n", InputError, r"models\.csv: expected a row for every model, got none"),
        (
            "model,classes\na,2\nb,x\n",
            UsageError,
            r"models\.csv, line 3: classes: expected .*integer.* got 'x'; correct the list",
        ),
        (
            "model,colour\na,red\n",
            UsageError,
            r"models\.csv, line 2: colour: expected one of model, .*name, got 'colour'|"
            r"models\.csv, line 2: colour: expected one of .*, got 'colour'",
        ),
        ("name,model\na,\n", UsageError, r"line 2: model: expected a value, got none"),
        ("model\na,b\n", InputError, r"line 2: expected 1 cells, as in the header, got 2"),
        (
            "name,model\nx,a\nX,b\n",
            UsageError,
            r"line 3: name: expected a name of its own for every model, got 'x', as of .*line 2",
        ),
        ("name,model\n../x,a\n", UsageError, r"line 2: name: expected letters, .* got '\.\./x'"),
        ("name,model\nresults.json,a\n", UsageError, r"line 2: name: .*got 'results\.json'"),
    ],
)
def test_rows_that_are_refused(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        listed_models([write(tmp_path / "models.csv", text)])


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", InputError, r"models\.toml: expected tables \[\[models\]\] .*, got none"),
        ("[[model]]\n", InputError, r"got 'model'; begin every model with a line \[\[models\]\]"),
        ("[[models]\n", InputError, r"models\.toml: expected valid TOML"),
        ("models = [1]\n", InputError, r"expected tables \[\[models\]\]"),
        (
            "[[models]]\nmodel = 'a'\n[[models]]\nmodel = 'b'\nmean = [1, 2]\n",
            UsageError,
            r"models\.toml, model 2: mean: expected three numbers, .* correct the list",
        ),
        ("[[models]]\nname = 'a'\n", UsageError, r"model 1: model: expected a value, got none"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        listed_models([write(tmp_path / "models.toml", text)])


def test_lists_and_patterns_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: expected a TOML file, got No such"):
        listed_models([f"{tmp_path}/none.toml"])
    with pytest.raises(InputError, match=r"none\.csv: expected a readable CSV file"):
        listed_models([f"{tmp_path}/none.csv"])
    with pytest.raises(
        InputError, match=r"--models .*/x\*: expected at least one model, got no match"
    ):
        listed_models([f"{tmp_path}/x*"])


def test_the_same_model_twice(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(
        UsageError, match="a name of its own for every model, got 'a', as of --models"
    ):
        listed_models([f"{tmp_path}/a", f"{tmp_path}/*"])
