from __future__ import annotations

import hashlib
import json

import pytest

from ectool.artifacts.integrity.sealed_documents import (
    document_problems,
    files_of,
    sealed_json,
    unsealed,
)
from ectool.errors import IntegrityError
from tests.unit.artifacts.integrity.flips import flipped, positions

DOCUMENT = {"schema": "x", "numbers": [1.5, 2], "name": "Größe"}


@pytest.fixture
def made(tmp_path):
    (tmp_path / "page.html").write_text("page")
    files = {"page.html": hashlib.sha256(b"page").hexdigest()}
    path = tmp_path / "x.json"
    path.write_bytes(sealed_json({**DOCUMENT, "files": files}))
    return path


def test_a_document_is_json_with_its_digest(made):
    document = json.loads(made.read_bytes())
    assert {k: document[k] for k in DOCUMENT} == DOCUMENT
    body = unsealed(made.read_bytes(), made)
    assert hashlib.sha256(body).hexdigest() == document["digest"]
    assert json.loads(body) == {k: v for k, v in document.items() if k != "digest"}
    assert document_problems(made) == []


def test_every_flipped_bit_is_found(made):
    size = made.stat().st_size
    for position in [*positions(made, 80), *range(size - 80, size)]:
        for bit in (0, position % 8):
            with flipped(made, position, bit):
                assert document_problems(made), (position, bit)


def test_a_document_without_a_digest_is_of_another_version(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(DOCUMENT))
    assert document_problems(path) is None
    assert unsealed(path.read_bytes(), path) == path.read_bytes()
    assert files_of(path) == set()


def test_an_edited_document_is_refused(made):
    document = json.loads(made.read_bytes())
    for text in (json.dumps(document), json.dumps({**document, "numbers": []}, indent=1) + "\n"):
        with pytest.raises(IntegrityError, match=r"x.json: expected .*, got .*; restore it"):
            unsealed(text.encode(), made)


def test_listed_files_are_compared(made):
    page = made.with_name("page.html")
    assert files_of(made) == {page}
    page.write_text("other")
    assert [str(one) for one in document_problems(made)] == ["page.html: not as it was written"]
    page.unlink()
    assert [str(one) for one in document_problems(made)] == ["page.html: missing"]
