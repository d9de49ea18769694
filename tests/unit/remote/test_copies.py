"""Objects in pieces."""

from __future__ import annotations

import shutil

import pytest

from ectool.errors import IntegrityError
from ectool.remote import copies, objects
from ectool.remote.copies import Pieces, complete
from ectool.remote.index import Span

BASE = "memory://bucket/w.zarr"
DATA = bytes(range(100))


@pytest.fixture
def pieces(store, tmp_path, monkeypatch):
    """Return an object of 100 bytes in pieces of 16."""
    monkeypatch.setattr(copies, "SIZE", 16)
    objects.write(f"{BASE}/g/0.files", DATA)
    return Pieces(BASE, tmp_path / "objects", {"g/0.files": 100})


@pytest.fixture
def asked(monkeypatch):
    """Return the first bytes of all requests."""
    found = []
    read = objects.read_part
    monkeypatch.setattr(objects, "read_part", lambda *p: found.append(p[1]) or read(*p))
    return found


@pytest.mark.parametrize("place", [(0, 100), (0, 16), (15, 2), (16, 16), (40, 37), (99, 1), (5, 0)])
def test_any_bytes(pieces, place):
    start, size = place
    assert pieces.read(Span("g/0.files", *place)) == DATA[start : start + size]


def test_each_piece_is_read_once(pieces, asked, tmp_path):
    pieces.start(Span("g/0.files", 30, 10))
    assert pieces.read(Span("g/0.files", 20, 20)) == DATA[20:40]
    assert sorted(asked) == [16, 32]
    assert pieces.read(Span("g/0.files", 20, 20)) == DATA[20:40]
    later = Pieces(BASE, tmp_path / "objects", {"g/0.files": 100})
    assert later.read(Span("g/0.files", 20, 30)) == DATA[20:50]
    assert sorted(asked) == [16, 32, 48]


def test_forgotten_pieces_are_read_again(pieces):
    place = Span("g/0.files", 0, 20)
    pieces.read(place)
    objects.write(f"{BASE}/g/0.files", DATA[::-1])
    assert pieces.read(place) == DATA[:20]
    pieces.forget()
    assert pieces.read(place) == DATA[::-1][:20]


def test_removed_files_are_read_again(pieces, tmp_path):
    place = Span("g/0.files", 0, 20)
    assert pieces.read(place) == DATA[:20]
    shutil.rmtree(tmp_path / "objects")
    assert pieces.read(place) == DATA[:20]


def test_damaged_objects(pieces):
    objects.write(f"{BASE}/g/0.files", DATA[:20])
    assert pieces.read(Span("g/0.files", 0, 16)) == DATA[:16]
    with pytest.raises(IntegrityError, match="got fewer than 32 bytes"):
        pieces.read(Span("g/0.files", 16, 10))
    with pytest.raises(IntegrityError, match="got fewer than 100 bytes"):
        pieces.read(Span("g/0.files", 97, 1))
    objects.delete([f"{BASE}/g/0.files"])
    with pytest.raises(IntegrityError, match="got no object"):
        pieces.read(Span("g/0.files", 32, 1))
    pieces.forget()


def test_complete():
    assert complete("u", b"ab", 1) == b"ab"
    with pytest.raises(IntegrityError, match="u: expected the object that was written"):
        complete("u", None, 1)
