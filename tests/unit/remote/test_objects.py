"""Objects by address."""

from __future__ import annotations

import pytest

from ectool.errors import InputError
from ectool.input_files import JSON
from ectool.remote import objects

URL = "memory://bucket/run"


@pytest.mark.usefixtures("store")
class TestObjects:
    def test_write_and_read(self, tmp_path):
        objects.write(f"{URL}/a", b"abc")
        objects.write(f"{URL}/b/c", b"de")
        assert objects.read(f"{URL}/a") == b"abc"
        assert objects.read(f"{URL}/b") is None
        assert objects.read_all([f"{URL}/a", f"{URL}/x", f"{URL}/b/c"]) == {
            f"{URL}/a": b"abc",
            f"{URL}/b/c": b"de",
        }
        assert objects.read_all([f"{URL}/a"]) == {f"{URL}/a": b"abc"}
        assert objects.read_spans([(f"{URL}/a", 1, 3), (f"{URL}/b/c", 0, 1)]) == [b"bc", b"d"]
        assert objects.read_part(f"{URL}/a", 1, 9) == b"bc"
        assert objects.read_part(f"{URL}/x", 0, 1) is None
        assert objects.sizes(URL) == {"a": 3, "b/c": 2}
        assert objects.sizes("memory://bucket/none") == {}
        assert (objects.exists(f"{URL}/a"), objects.exists(f"{URL}/b")) == (True, False)
        objects.download(f"{URL}/a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"abc"

    def test_documents_are_read_up_to_the_size_of_their_kind(self):
        objects.write(f"{URL}/a", b"{}")
        assert objects.read_document(f"{URL}/a") == b"{}"
        assert objects.read_document(f"{URL}/none") is None
        objects.write(f"{URL}/b", bytes(JSON.max_bytes + 1))
        with pytest.raises(InputError, match=r"/b: expected a JSON file of at most \d+ bytes, got"):
            objects.read_document(f"{URL}/b")

    def test_a_new_object_replaces_none(self):
        objects.write(f"{URL}/a", b"1", new=True)
        with pytest.raises(FileExistsError):
            objects.write(f"{URL}/a", b"2", new=True)

    def test_delete_and_copy(self):
        objects.write(f"{URL}/a", b"1")
        objects.copy(f"{URL}/a", f"{URL}/b")
        objects.delete([f"{URL}/a", f"{URL}/none"])
        assert objects.sizes(URL) == {"b": 1}

    @pytest.mark.parametrize("streamed", [0, 10])
    def test_upload(self, streamed, tmp_path, monkeypatch):
        monkeypatch.setattr(objects, "STREAMED", streamed)
        (tmp_path / "a").write_bytes(b"abc")
        objects.upload(tmp_path / "a", f"{URL}/a")
        assert objects.read(f"{URL}/a") == b"abc"
