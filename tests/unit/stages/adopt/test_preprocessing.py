from __future__ import annotations

import json

import pytest

from ectool.errors import InputError
from ectool.stages.adopt.preprocessing import find_preprocessing

HALF = [0.5, 0.5, 0.5]


def written(folder, name, content):
    (folder / name).write_text(json.dumps(content))
    return find_preprocessing(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("content", "size"),
    [
        ({"size": 384}, 384),
        ({"size": {"height": 224, "width": 224}}, 224),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, 224),
        ({}, None),
    ],
)
def test_files_of_transformers(tmp_path, content, size):
    content |= {"image_mean": HALF, "image_std": [0.25] * 3}
    found = written(tmp_path, "preprocessor_config.json", content)
    assert (found.mean, found.std, found.size) == ((0.5,) * 3, (0.25,) * 3, size)
    assert find_preprocessing(tmp_path) == found


def test_networks_that_normalise_nothing(tmp_path):
    content = {"do_normalize": False, "image_mean": HALF, "image_std": HALF, "size": 32}
    found = written(tmp_path, "preprocessor_config.json", content)
    assert (found.mean, found.std) == ((0.0,) * 3, (1.0,) * 3)


def test_files_of_timm(tmp_path):
    config = {"mean": HALF, "std": HALF, "input_size": [3, 240, 240]}
    found = written(tmp_path, "config.json", {"architecture": "x", "pretrained_cfg": config})
    assert (found.mean, found.std, found.size) == ((0.5,) * 3, (0.5,) * 3, 240)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_files_of_other_programs_are_ignored(tmp_path, name):
    assert written(tmp_path, name, {"lr": 0.1}) is None


@pytest.mark.parametrize("content", ["{", '{"image_mean": [0.5]}', "[1]"])
def test_unreadable_files_are_refused(tmp_path, content):
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(InputError, match=r"preprocessor_config\.json: .* or move it away"):
        find_preprocessing(tmp_path / "w.pth")
