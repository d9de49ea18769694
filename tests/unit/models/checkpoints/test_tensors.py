"""Checkpoints of other programs: read correctly, or refused with their kind."""

from __future__ import annotations

import collections
import contextlib
import datetime
import gzip
import io
import json
import pickle
import tarfile
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint import load_weights
from ectool.models.checkpoints.pickle_protocol import to_protocol_2
from ectool.models.checkpoints.tensors import read_tensors
from ectool.models.registry import create
from ectool.stages.common.found_models import checkpoint_digest

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.5, -2.0])}


def assert_read(path, expected=STATE):
    found = read_tensors(path)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def refused(path, got):
    with pytest.raises(InputError, match=got) as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


BESIDE = {
    "array": np.arange(3.0),
    "texts": np.array(["a", "bc"]),
    "scalars": [np.float64(1), np.int64(2), np.bool_(True), np.str_("x")],
    "random": np.random.RandomState(0).get_state(),
    "default": collections.defaultdict(list),
    "time": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
    "took": datetime.timedelta(1),
    "options": types.SimpleNamespace(a=1),
    "size": (torch.Size([1]), torch.float32, torch.device("cpu")),
    "path": Path("x"),
    "bytes": [b"\x00\xff", bytearray(b"\x00\xff")],
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_contents_other_than_weights(name, protocol, tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"model": STATE, name: BESIDE[name]}, path, pickle_protocol=protocol)
    assert_read(path, {f"model.{name}": value for name, value in STATE.items()})


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_networks_of_every_protocol(protocol, tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    path = tmp_path / "a.pth"
    torch.save(network.state_dict(), path, pickle_protocol=protocol)
    assert_read(path, network.state_dict())


@pytest.mark.parametrize("protocol", [4, 5])
def test_protocol_2_has_the_same_content(protocol):
    text = "a" * 300 + "é"
    value = {text: [text, b"\x00\xff", (1, 2.5, None, True)], "k": collections.OrderedDict(a=text)}
    assert pickle.loads(to_protocol_2(pickle.dumps(value, protocol=protocol))) == value  # noqa: S301 (ours)


def test_code_in_a_newer_protocol_does_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    torch.save({"w": torch.ones(1), "trap": Trap()}, tmp_path / "a.pth", pickle_protocol=4)
    refused(tmp_path / "a.pth", "other pickled objects than tensors")
    assert not (tmp_path / "sprung").exists()


class TestTensors:
    @pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
    def test_of_eight_bits_are_their_values(self, kind, tmp_path):
        values = torch.tensor([0.5, -1.0, 1.75, 0.0])
        torch.save({"w": values.to(kind)}, tmp_path / "a.pth")
        assert_read(tmp_path / "a.pth", {"w": values})

    @pytest.mark.parametrize(
        "change",
        [
            lambda t: t.to_sparse(),
            lambda t: t.to_sparse_csr(),
            nn.Parameter,
            lambda t: t.T.contiguous().T,
        ],
    )
    def test_of_other_layouts_are_dense(self, change, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sparse tensors are in beta
            torch.save({"w": change(STATE["conv.weight"])}, tmp_path / "a.pth")
        assert_read(tmp_path / "a.pth", {"w": STATE["conv.weight"]})

    def test_expanded_ones(self, tmp_path):
        torch.save({"w": torch.tensor([[1.0, 2.0]]).expand(3, 2)}, tmp_path / "a.pth")
        assert_read(tmp_path / "a.pth", {"w": torch.tensor([[1.0, 2.0]] * 3)})

    def test_without_numbers_are_refused(self, tmp_path):
        torch.save({"w": torch.ones(2, device="meta")}, tmp_path / "a.pth")
        refused(tmp_path / "a.pth", "w: expected a plain tensor, got a tensor without numbers")

    def test_that_are_quantised_are_refused(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated
            quantised = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
            torch.save({"w": quantised}, tmp_path / "a.pth")
        refused(tmp_path / "a.pth", "got a quantised tensor")

    @pytest.mark.parametrize("kind", [torch.int8, torch.complex64, torch.bool])
    def test_whose_numbers_mean_others_are_refused(self, kind, tmp_path):
        model = create("smallcnn", ["a", "b"], seed=0, input_size=(32, 32))
        state = model.network.state_dict()
        name = next(n for n, value in state.items() if value.is_floating_point())
        torch.save({**state, name: torch.ones_like(state[name]).to(kind)}, tmp_path / "a.pth")
        with pytest.raises(InputError, match=f"{name}: expected floating-point numbers, got"):
            load_weights(model, tmp_path / "a.pth")


def archive(suffix, content=b"x"):
    buffer = io.BytesIO()
    if suffix == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("model.pth", content)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as file:
            for name in ("model.pth",) if suffix == "tar" else ("storages", "tensors", "pickle"):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102\n"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "an empty file"),
        (POINTER, "a git-lfs pointer, not the file; run `git lfs pull`"),
        (b"\n <!DOCTYPE html><html>404</html>", "a web page"),
        (gzip.compress(b"x"), "a gzip archive; unpack it"),
        (archive("zip"), "a zip archive of other files; unpack it"),
        (archive("tar"), "a tar archive; unpack it"),
        (archive("old"), "the tar format of torch before 0.1.10"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_recognised(content, got, suffix, tmp_path):
    (tmp_path / f"a{suffix}").write_bytes(content)
    refused(tmp_path / f"a{suffix}", got)


def test_incomplete_downloads(tmp_path):
    torch.save({"w": torch.ones(1000)}, tmp_path / "a.pth")
    save_file({"w": torch.ones(1000)}, tmp_path / "a.safetensors")
    for suffix in ("pth", "safetensors"):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(path.read_bytes()[:2000])
        refused(path, "expected a state dict as safetensors or torch file, got ")


def test_contents_count_not_suffixes(tmp_path):
    save_file(STATE, tmp_path / "a.pth")
    torch.save(STATE, tmp_path / "a.safetensors")
    assert_read(tmp_path / "a.pth")
    assert_read(tmp_path / "a.safetensors")


class TestFolders:
    def write(self, folder, **changes):
        """Write what Hugging Face's libraries do: shards and an index."""
        folder.mkdir()
        names = {}
        for number, (name, value) in enumerate(STATE.items(), 1):
            names[name] = f"model-{number:05d}-of-00002.safetensors"
            save_file({name: value}, folder / names[name])
        index = {"metadata": {}, "weight_map": names | changes}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        return folder

    def test_of_shards_are_joined(self, tmp_path):
        folder = self.write(tmp_path / "hub")
        assert_read(folder)
        before = checkpoint_digest(folder)
        save_file({"bias": torch.zeros(2)}, folder / "model-00002-of-00002.safetensors")
        assert checkpoint_digest(folder) != before

    def test_of_one_file(self, tmp_path):
        save_file(STATE, tmp_path / "model.safetensors")
        assert_read(tmp_path)

    def test_with_a_missing_shard_name_it(self, tmp_path):
        folder = self.write(tmp_path / "hub", more="model-00003.safetensors")
        refused(folder, "model-00003.safetensors: .* but the index lists it")

    def test_do_not_refer_to_other_folders(self, tmp_path):
        save_file({"more": torch.ones(1)}, tmp_path / "out.safetensors")
        folder = self.write(tmp_path / "hub", more="../out.safetensors")
        refused(folder, "hub/out.safetensors: .* but the index lists it")

    def test_of_another_kind_are_refused_with_a_fix(self, tmp_path):
        refused(tmp_path, "got a folder; give a file")
        torch.save(STATE, tmp_path / "best.pth")
        refused(tmp_path, "got a folder; give the file in it: best.pth")
        (tmp_path / ".metadata").write_bytes(b"x")
        refused(tmp_path, "got a distributed checkpoint; convert it")


def test_any_damage_of_an_archive_is_one_error(tmp_path):
    """Zip, pickle and torch raise many kinds of errors for damaged bytes."""
    path = tmp_path / "w.pt"
    torch.save(STATE, path, pickle_protocol=5)
    whole = path.read_bytes()
    for place in range(0, len(whole), 13):
        path.write_bytes(whole[:place] + b"\xff\x00\x7f" + whole[place:])
        with contextlib.suppress(InputError):
            read_tensors(path)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(InputError):
            read_tensors(path)
    path.write_bytes(whole)
    assert_read(path)
