from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.base import VARIANTS, DataRequest
from ectool.datasets.generated import digit_records as module
from ectool.datasets.generated.composition import Draw
from ectool.datasets.generated.digit_images import PAINT_DRAWS, SIDE, enlarge, paint
from ectool.datasets.generated.digit_records import COUNTS
from ectool.datasets.generated.digits import open_digits
from ectool.datasets.generated.textures import TEXTURES, texture_draws
from ectool.errors import IntegrityError

GOLDEN = {
    "train": "b71dd33238810e5a78fadf264e039790798db10f3d42eae86d871932155d4586",
    "validation": "d56626f6067796f282d98fc953f86a56b05a9186d95159ce57582219c8cecdb5",
    "test": "771c2d5e71b0f4f2461dada2777bb55083c281424ed160cc0a1382628da8a8a3",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


def ask(root, split="validation", variant="original", rho=0.5, seed=0, path=""):
    request = DataRequest(path=path, split=split, root=root, variant=variant, rho=rho, seed=seed)
    return open_digits(request)


def everything(data):
    indices = np.arange(len(data.sample_ids))
    annotations = data.annotations(indices)
    return data.images(indices), annotations.masks, np.concatenate(annotations.boxes), data.labels


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_byte_is_the_one_of_the_reference_machine(root, split):
    parts = everything(ask(root, split=split))
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert digest == GOLDEN[split]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_shapes_types_and_identifiers(root, split):
    data = ask(root, split=split)
    images, masks, boxes, labels = everything(data)
    count = COUNTS[split]
    assert (images.shape, images.dtype) == ((count, 3, SIDE, SIDE), np.uint8)
    assert (masks.shape, masks.dtype) == ((count, SIDE, SIDE), np.bool_)
    assert (boxes.shape, boxes.dtype) == ((count, 4), np.int64)
    assert (labels.shape, labels.dtype) == ((count,), np.int64)
    assert data.size == (SIDE, SIDE)
    assert data.name == f"digits/{split}/original"
    assert data.classes == tuple("0123456789")
    assert len(set(data.sample_ids)) == count
    assert data.sample_ids[12] == f"digits/{split}/0012"


def test_splits_share_no_digit_and_are_stratified():
    labels = module._load_source()[1]
    members = {split: module.split_members(labels, split) for split in COUNTS}
    assert sorted(i for rows in members.values() for i in rows) == list(range(1797))
    assert {split: len(rows) for split, rows in members.items()} == COUNTS
    assert set(np.bincount(labels[members["test"]])) == {60}
    assert set(np.bincount(labels[members["validation"]])) == {20}


def test_reading_in_any_order_gives_the_same_bytes(root):
    data = ask(root)
    indices = np.array([7, 3, 3, 199, 0])
    np.testing.assert_array_equal(
        data.images(indices), np.concatenate([data.images(indices[i : i + 1]) for i in range(5)])
    )


def test_a_framing_shows_a_part_of_each_image_at_full_size(root):
    data, indices = ask(root), np.array([7, 3])
    shown = data.images(indices, lambda index, width, height: (index, 2, index + 8, height - 22))
    for row, (index, whole) in enumerate(zip(indices, data.images(indices), strict=True)):
        part = whole[:, 2:10, index : index + 8].transpose(1, 2, 0)
        resized = Image.fromarray(part).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(shown[row], np.asarray(resized).transpose(2, 0, 1))


def test_boxes_are_the_tight_boxes_of_the_masks(root):
    _, masks, boxes, _ = everything(ask(root))
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x0, y0, x1, y1)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.5, 1.0])
def test_rho_is_the_share_of_backgrounds_of_the_own_class(root, monkeypatch, rho):
    families = record_families(monkeypatch)
    data = ask(root / "fresh", split="train", rho=rho)
    share = np.mean(data.labels == np.array(families))
    assert share == pytest.approx(rho, abs=0.04)
    assert set(families) == set(range(10))


def record_families(monkeypatch):
    seen = []
    real = module.paint

    def spy(family, uniforms):
        seen.append(family)
        return real(family, uniforms)

    monkeypatch.setattr(module, "paint", spy)
    return seen


@pytest.mark.parametrize(("variant", "shift"), [("mixed_same", 0), ("mixed_next", 1)])
def test_mixed_backgrounds_follow_the_class(root, monkeypatch, variant, shift):
    families = record_families(monkeypatch)
    data = ask(root / "fresh", variant=variant)
    np.testing.assert_array_equal(families, (data.labels + shift) % 10)


def test_mixed_rand_backgrounds_know_nothing_of_the_class(root, monkeypatch):
    families = record_families(monkeypatch)
    data = ask(root / "fresh", split="test", variant="mixed_rand")
    assert np.mean(data.labels == np.array(families)) == pytest.approx(0.1, abs=0.04)


def test_variants_show_the_same_object_at_the_same_place(root):
    reference = everything(ask(root, variant="only_fg"))
    for variant in VARIANTS:
        images, masks, boxes, labels = everything(ask(root, variant=variant))
        for mine, theirs in zip((masks, boxes, labels), reference[1:], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        if variant not in ("no_fg", "only_bg_t"):
            inside = np.broadcast_to(masks[:, None], images.shape)
            np.testing.assert_array_equal(images[inside], reference[0][inside])


def test_single_sided_variants_hide_the_other_side(root):
    original, masks, _, _ = everything(ask(root))
    outside = np.broadcast_to(~masks[:, None], original.shape)
    only_fg = everything(ask(root, variant="only_fg"))[0]
    no_fg = everything(ask(root, variant="no_fg"))[0]
    assert not only_fg[outside].any()
    assert not no_fg[~outside].any()
    np.testing.assert_array_equal(no_fg[outside], original[outside])


def test_only_bg_t_keeps_everything_outside_the_box(root):
    original, _, boxes, _ = everything(ask(root))
    tiled = everything(ask(root, variant="only_bg_t"))[0]
    outside = np.ones(original.shape, dtype=bool)
    for row, (x0, y0, x1, y1) in zip(outside, boxes, strict=True):
        row[:, y0:y1, x0:x1] = False
    np.testing.assert_array_equal(tiled[outside], original[outside])


def test_enlarging_is_cubic_convolution():
    digit = np.random.default_rng(0).integers(0, 17, (8, 8)).astype(np.uint8)
    side = 19

    def kernel(t):
        t = abs(t)
        if t < 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0

    slow = np.zeros((side, side))
    for y in range(side):
        for x in range(side):
            for j in range(8):
                for i in range(8):
                    at_y, at_x = (y + 0.5) * 8 / side - 0.5, (x + 0.5) * 8 / side - 0.5
                    slow[y, x] += kernel(at_y - j) * kernel(at_x - i) * digit[j, i] / 16
    np.testing.assert_allclose(enlarge(digit, side), slow, atol=1e-5)


def test_another_seed_gives_other_images_of_the_same_digits(root):
    first, second = ask(root), ask(root, seed=1)
    assert not np.array_equal(first.images(np.arange(5)), second.images(np.arange(5)))
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.sample_ids == second.sample_ids


@pytest.mark.parametrize("name", list(TEXTURES))
def test_textures_stay_in_range_and_have_contrast(name):
    for number in range(20):
        draws = texture_draws(Draw(number, name)("texture", 7 + SIDE * SIDE), SIDE)
        field = TEXTURES[name](draws)
        assert field.shape == (SIDE, SIDE)
        assert field.min() >= 0
        assert field.max() <= 1
        assert np.ptp(field) > 0.4


def test_objects_are_brighter_than_every_background(root):
    brightest = max(
        paint(family, Draw(n, "t")("p", PAINT_DRAWS)).max()
        for family in range(10)
        for n in range(5)
    )
    images, masks, _, _ = everything(ask(root, variant="only_fg"))
    mean = images.mean(1)[masks]
    assert brightest <= 170
    assert mean.min() >= 150


def test_foreign_source_digits_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SOURCE_SHA256", "0" * 64)
    with pytest.raises(IntegrityError, match="scikit-learn's digits: expected SHA-256 000"):
        ask(tmp_path).images(np.arange(1))


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_groups_tell_whether_the_background_goes_with_the_class(root, rho):
    data = ask(root, rho=rho)
    groups = data.groups
    assert len(set(groups.names)) == 20
    shown = [groups.names[group] for group in groups.of_samples]
    assert [name[0] for name in shown] == [str(label) for label in data.labels]
    own = np.array([name[3:] == "own background" for name in shown])
    # Where every background is its class's own, exactly those images stay the same.
    whole = ask(root, rho=1.0)
    same = (data.images(np.arange(200)) == whole.images(np.arange(200))).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(own, same)
    np.testing.assert_array_equal(
        ask(root, variant="no_fg", rho=rho).groups.of_samples, groups.of_samples
    )
