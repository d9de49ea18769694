"""No checkpoint takes much more memory than its bytes explain."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch

from ectool.errors import InputError
from ectool.models.checkpoints.files import MAX_HEADER, MAX_PICKLE
from ectool.models.checkpoints.tensors import read_tensors
from tests.bounded import GIB, measured


def rewritten(path, pickled=None, **options):
    """Write a torch file again, with another pickle, or compressed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in parts.items():
            is_pickle = pickled is not None and name.endswith("data.pkl")
            archive.writestr(name, pickled if is_pickle else data)


@pytest.fixture
def path(tmp_path):
    torch.save({"a.weight": torch.zeros(4)}, tmp_path / "a.pth")
    return tmp_path / "a.pth"


class Call:
    """Pickled as a call of a function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def test_lists_of_any_length_are_not_made(path):
    rewritten(path, pickle.dumps({"a": Call(list, (range(10**12),))}, protocol=2))
    found = measured(lambda: read_tensors(path))
    assert "a.pth: expected a state dict" in found.error
    assert "more memory than the file explains" in found.error
    assert found.peak < 2 * GIB


def test_compressed_contents_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(8 * 2**20)}, path)
    rewritten(path, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"got contents of 33,\d+,\d+ bytes in a file of \d\d,"):
        read_tensors(path)


def test_long_pickles_are_refused(path):
    rewritten(path, b"\x80\x02" + b"]" * MAX_PICKLE)
    with pytest.raises(InputError, match="bytes of objects beside the tensors"):
        read_tensors(path)


@pytest.mark.parametrize("is_endless", [pytest.param(False, marks=pytest.mark.slow), True])
def test_containers_in_containers_end(path, is_endless):
    inner = {"w": torch.zeros(1)} if not is_endless else {}
    if is_endless:
        inner["a"] = inner
    else:
        for _ in range(40):
            inner = {"a": inner, "b": inner}
    torch.save({"x": inner}, path)
    found = measured(lambda: read_tensors(path))
    assert "containers in containers without end" in found.error
    assert found.peak < GIB


@pytest.mark.parametrize("kind", ["expanded", "sparse"])
def test_tensors_that_the_file_has_few_bytes_of_are_refused(path, kind):
    large = torch.zeros(1).expand(2**20, 2**20)
    if kind == "sparse":
        index = torch.zeros(2, 1, dtype=torch.int64)
        large = torch.sparse_coo_tensor(index, [1.0], (2**20, 2**20), check_invariants=True)
    torch.save({"a": large}, path)
    with pytest.raises(
        InputError, match=r"a: expected a plain tensor, got 4,398,\d+,\d+,\d+ bytes"
    ):
        read_tensors(path)
    torch.save({"a": torch.ones(1).expand(3, 5)}, path)
    assert read_tensors(path)["a"].tolist() == torch.ones(3, 5).tolist()


def test_containers_keep_their_order(path):
    state = OrderedDict(
        b=torch.zeros(1), a=OrderedDict(z=torch.zeros(1), y=torch.zeros(1)), c=torch.zeros(1)
    )
    torch.save(state, path)
    assert list(read_tensors(path)) == ["b", "a.z", "a.y", "c"]


class TestSafetensors:
    def write(self, path, header, data=b""):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)

    def entry(self, begin, end, shape, dtype="F32"):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    def test_long_headers_are_refused_before_they_are_parsed(self, tmp_path):
        path = tmp_path / "a.safetensors"
        self.write(path, b"{}" + b" " * MAX_HEADER)
        with pytest.raises(InputError, match=r"got a header of 16,777,218 bytes"):
            read_tensors(path)

    def test_declared_sizes_are_those_of_the_file(self, tmp_path):
        path = tmp_path / "a.safetensors"
        for entries in (
            {"a": self.entry(0, 2**40, [2**38])},
            {"a": self.entry(0, 8, [2**38])},
            {"a": self.entry(0, 8, [2]), "b": self.entry(0, 8, [2])},
            {"a": self.entry(0, 8, [2], "F99")},
            {"a": self.entry(0, 8, [2**63, 2**63])},
        ):
            self.write(path, entries, bytes(8))
            found = measured(lambda: read_tensors(path))
            assert "InputError: weights" in found.error
            assert found.peak < 2**26


def test_a_named_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(InputError, match="got a named pipe"):
        read_tensors(tmp_path / "a.pth")


def test_an_old_file_is_bounded_too(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    assert read_tensors(path)["a"].tolist() == [0, 0, 0, 0]
    head = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {}, {"a": Call(list, (range(10**12),))}):
        pickle.dump(value, head, protocol=2)
    path.write_bytes(head.getvalue())
    found = measured(lambda: read_tensors(path))
    assert "InputError: weights" in found.error
    assert found.peak < 2 * GIB
