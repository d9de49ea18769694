from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ectool.datasets.base import DataRequest
from ectool.datasets.generated.digits import open_digits
from ectool.datasets.generated.letters import open_letters
from ectool.errors import InputError, MachineError

OPENERS = {"digits": open_digits, "letters": open_letters}


def ask(root, name="digits", split="validation", variant="original", rho=0.5, seed=0, path=""):
    request = DataRequest(path=path, split=split, root=root, variant=variant, rho=rho, seed=seed)
    return OPENERS[name](request)


def everything(data):
    indices = np.arange(len(data.sample_ids))
    annotations = data.annotations(indices)
    return data.images(indices), annotations.masks, np.concatenate(annotations.boxes), data.labels


@pytest.mark.parametrize("name", OPENERS)
def test_fingerprints_tell_every_parameter_apart(name, tmp_path):
    requests = [
        {},
        {"split": "test"},
        {"variant": "no_fg"},
        {"rho": 0.7},
        {"seed": 1},
    ]
    prints = {ask(tmp_path, name, **changes).fingerprint for changes in requests}
    assert len(prints) == len(requests)
    assert ask(tmp_path, name).fingerprint == ask(tmp_path / "elsewhere", name).fingerprint


def test_no_two_data_sets_have_the_same_fingerprint(tmp_path):
    assert len({ask(tmp_path, name).fingerprint for name in OPENERS}) == len(OPENERS)


@pytest.mark.parametrize("name", OPENERS)
def test_opening_imports_no_heavy_package(name, tmp_path):
    code = f"""
import sys, pathlib
from ectool.datasets.base import DataRequest
from ectool.datasets.generated.{name} import open_{name}
from ectool.datasets.generated.composition import Draw, tile_box
root = pathlib.Path({str(tmp_path)!r})
data = open_{name}(DataRequest(path="", split="train", root=root))
data.fingerprint, data.sample_ids, data.classes
assert not {{"sklearn", "torch", "scipy", "skimage", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"split": "dev"}, "split 'dev' of NAME: expected one of train, validation, test, got"),
        ({"variant": "mixed"}, "variant of NAME: expected one of original"),
        ({"rho": 1.5}, r"rho of NAME: expected a share in \[0, 1\], got 1.5"),
        ({"rho": float("nan")}, "rho of NAME"),
        ({"path": "folder"}, "data set NAME: expected no path, got 'folder'"),
    ],
)
@pytest.mark.parametrize("name", OPENERS)
def test_errors_of_invalid_requests_name_the_valid_values(name, tmp_path, changes, match):
    with pytest.raises(InputError, match=match.replace("NAME", name)):
        ask(tmp_path, name, **changes)


def cache_file(root):
    (path,) = (root / "digits").iterdir()
    return path


def damage(content: bytes, how: str) -> bytes:
    if how == "truncated":
        return content[:-100]
    if how == "empty":
        return b""
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped"])
def test_a_damaged_cache_file_is_made_again(tmp_path, how):
    everything(ask(tmp_path))
    path = cache_file(tmp_path)
    intact = path.read_bytes()
    path.write_bytes(damage(intact, how))
    everything(ask(tmp_path))
    assert cache_file(tmp_path).read_bytes() == intact


def test_an_intact_cache_file_is_not_made_again(tmp_path):
    everything(ask(tmp_path))
    before = cache_file(tmp_path).stat()
    everything(ask(tmp_path))
    assert cache_file(tmp_path).stat().st_ino == before.st_ino


def test_many_makers_at_once_do_no_harm(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: ask(tmp_path).images(np.arange(200)), range(4)))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    cache_file(tmp_path)


def test_a_root_that_cannot_be_written_is_named(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(MachineError, match="expected a folder that can be written"):
        ask(occupied).images(np.arange(1))
