from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ectool.datasets.base import SPLITS, VARIANTS, DataRequest
from ectool.datasets.generated import photographs
from ectool.datasets.generated.letter_images import SIDE
from ectool.datasets.generated.letter_outlines import LETTERS
from ectool.datasets.generated.letter_records import COUNTS
from ectool.datasets.generated.letters import open_letters
from ectool.datasets.generated.photographs import PHOTOGRAPHS
from ectool.errors import AbsentError

GOLDEN = {
    "train": "ea45c667246e88ff97509fed2cf4d1ebff032979442620d7f32ce6a2839590ec",
    "validation": "bd5117319007a20bf0a73574a1a52b7f33587bacf2807791c01f1de9b754e1c3",
    "test": "a8d7df6024fbaed2f310b430b7fbf3e165d63f445b58c22aef7d88b8722d3849",
}
FEW = 40


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def few(monkeypatch):
    """Make fewer images, with the pixels that they have in the whole split."""
    for split in SPLITS:
        monkeypatch.setitem(COUNTS, split, FEW)


def ask(root, split="validation", variant="original", rho=0.5, seed=0):
    request = DataRequest(path="", split=split, root=root, variant=variant, rho=rho, seed=seed)
    return open_letters(request)


def everything(data):
    indices = np.arange(len(data.sample_ids))
    annotations = data.annotations(indices)
    return data.images(indices), annotations.masks, np.concatenate(annotations.boxes), data.labels


@pytest.mark.parametrize(
    "split", [pytest.param(s, marks=[] if s == "validation" else pytest.mark.slow) for s in SPLITS]
)
def test_every_byte_is_the_one_of_the_reference_machine(root, split):
    parts = everything(ask(root, split))
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert digest == GOLDEN[split]


@pytest.mark.parametrize("split", SPLITS)
def test_shapes_types_and_identifiers(root, split):
    data = ask(root, split)
    images, masks, boxes, labels = everything(data)
    count = COUNTS[split]
    assert (images.shape, images.dtype) == ((count, 3, SIDE, SIDE), np.uint8)
    assert (masks.shape, masks.dtype) == ((count, SIDE, SIDE), np.bool_)
    assert (boxes.shape, labels.shape) == ((count, 4), (count,))
    assert data.size == (SIDE, SIDE) == (64, 64)
    assert data.classes == LETTERS
    assert len(data.classes) == len(PHOTOGRAPHS)
    assert set(np.bincount(labels)) == {count // 10}
    assert len(set(data.sample_ids)) == count
    assert (data.name, data.sample_ids[12]) == (
        f"letters/{split}/original",
        f"letters/{split}/0012",
    )


def test_the_object_covers_a_tenth_of_the_image(root):
    shares = everything(ask(root, "test"))[1].mean(axis=(1, 2))
    assert 0.07 < shares.min() < shares.max() < 0.18
    assert 0.10 < shares.mean() < 0.13


def test_boxes_are_the_tight_boxes_of_the_masks(root):
    _, masks, boxes, _ = everything(ask(root))
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x0, y0, x1, y1)


def test_variants_show_the_same_object_at_the_same_place(few, tmp_path):
    shown = {name: everything(ask(tmp_path, variant=name)) for name in (*VARIANTS, "only_bg_b")}
    canvas, masks, boxes, labels = shown["only_fg"]
    inside = np.broadcast_to(masks[:, None], canvas.shape)
    boxed = np.zeros_like(inside)
    for row, (x0, y0, x1, y1) in zip(boxed, boxes, strict=True):
        row[:, y0:y1, x0:x1] = True
    for name, (images, *others) in shown.items():
        for mine, theirs in zip(others, (masks, boxes, labels), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        if name in ("original", "mixed_same", "mixed_rand", "mixed_next"):
            np.testing.assert_array_equal(images[inside], canvas[inside])
    original = shown["original"][0]
    assert not canvas[~inside].any()
    assert not shown["no_fg"][0][inside].any()
    assert not shown["only_bg_b"][0][boxed].any()
    np.testing.assert_array_equal(shown["no_fg"][0][~inside], original[~inside])
    for name in ("only_bg_t", "only_bg_b"):
        np.testing.assert_array_equal(shown[name][0][~boxed], original[~boxed])


def test_backgrounds_follow_the_class_where_they_are_its_own(few, tmp_path):
    """Images over own backgrounds are those of rho 1; only_bg_t shows them without the letter."""
    data, whole = ask(tmp_path, rho=0.4), ask(tmp_path, rho=1.0)
    names = [data.groups.names[group] for group in data.groups.of_samples]
    own = np.array([name.endswith("own background") for name in names])
    rows = np.arange(FEW)
    same = (data.images(rows) == whole.images(rows)).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(own, same)
    assert [name[0] for name in names] == [LETTERS[label] for label in data.labels]
    assert 5 < own.sum() < 30


@pytest.mark.parametrize("change", [{"seed": 1}, {"split": "test"}])
def test_another_seed_or_split_gives_other_letters(few, tmp_path, change):
    first, second = (everything(ask(tmp_path, **given)) for given in ({}, change))
    assert (first[0] != second[0]).any(axis=(1, 2, 3)).all()
    assert (first[1] != second[1]).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(first[3], second[3])


def test_without_scikit_image_the_data_set_does_not_exist(monkeypatch, tmp_path):
    monkeypatch.setattr(photographs, "find_spec", lambda name: None)
    with pytest.raises(AbsentError, match="data set letters: expected the photographs of"):
        ask(tmp_path)
