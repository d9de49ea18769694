"""Images and labels of callers: what is taken, and what one line refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ectool
from ectool.api.images import as_bytes, as_pixels, check_ids, check_images, check_labels

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.numpy(),
        lambda x: x.numpy()[::-1].copy()[::-1],
        lambda x: x.float() / 255,
        lambda x: (x.float() / 255).numpy().astype(">f8"),
        lambda x: (x.float() / 255).requires_grad_(),
        lambda x: (x.double() / 255).contiguous(memory_format=torch.channels_last),
    ],
)
def test_images_of_any_type_are_the_same(convert, photos) -> None:
    checked = check_images(convert(photos))
    assert np.array_equal(as_bytes(checked), photos.numpy())
    assert torch.equal(as_pixels(checked, CPU), as_pixels(photos, CPU))


def test_floats_are_rounded_to_the_nearest_level() -> None:
    values = torch.tensor([0.0, 0.49, 0.51, 254.4, 255.0]) / 255
    images = values[:, None, None, None].expand(5, 3, 1, 1)
    assert as_bytes(check_images(images))[:, 0, 0, 0].tolist() == [0, 0, 1, 254, 255]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.float(), r"floats from 0 to 25\d; divide them by 255"),
        (lambda x: x / 127.5 - 1, r"floats from -1 to 1; undo the normalisation"),
        (lambda x: x / 255 * float("nan"), "NaN or infinity; remove"),
        (lambda x: x.int(), "int32 numbers; convert them to uint8"),
        (lambda x: x.numpy().astype(bool), "bool numbers; convert"),
        (lambda x: x.permute(0, 2, 3, 1), r"shape \(12, 16, 16, 3\); move the channels"),
        (lambda x: x[0], r"shape \(3, 16, 16\); add an axis"),
        (lambda x: x[:, :1], r"shape \(12, 1, 16, 16\); repeat the grey channel"),
        (lambda x: x[:0], r"shape \(0, 3, 16, 16\); give at least one"),
        (list, "a list; stack them"),
    ],
)
def test_other_images_are_refused(change, message, wrapped, photos) -> None:
    with pytest.raises(ectool.EctoolError, match=f"^images: expected uint8 images .*{message}"):
        ectool.explain(wrapped, change(photos))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 11, r"labels: expected 12 integers.*got shape \(11,\)"),
        ([0.5] * 12, "labels: .*float64 numbers"),
        (["cat"] * 12, "labels: .*numbers; give the numbers of classes"),
        ([0] * 11 + [4], "labels of images: expected a class from 0 to 3.*got 4 for '11'"),
        ([-1] + [0] * 11, "images: expected a label for every image, got none for '0'"),
        ([[2, 0, 0, 0]] * 12, "labels of images: expected 1, 0 or -1.*got 2"),
        ([[1, 0, 0]] * 12, "labels of images: expected one entry for each of 4 classes"),
    ],
)
def test_other_labels_are_refused(labels, message, wrapped, photos) -> None:
    with pytest.raises(ectool.EctoolError, match=message):
        ectool.perturb(wrapped, photos, labels)


def test_labels_of_other_types_are_the_same() -> None:
    assert check_labels(torch.tensor([1, 2]), 2).tolist() == [1, 2]
    assert check_labels(np.array([1, 2], np.uint8), 2).dtype == np.int64
    multi = check_labels(torch.tensor([[1.0, 0.0]]), 1)
    assert (multi.dtype, multi.tolist()) == (np.int8, [[1, 0]])


def test_ids_are_text_and_unique() -> None:
    assert check_ids(None, 3) == ["0", "1", "2"]
    assert check_ids(torch.tensor([5, 7]), 2) == ["5", "7"]
    with pytest.raises(ectool.EctoolError, match=r"ids: expected 2 diff.*got 'a' twice"):
        check_ids(["a", "a"], 2)
    with pytest.raises(ectool.EctoolError, match="got 1 ids"):
        check_ids(["a"], 2)


def test_object_masks_fit_the_images(wrapped, photos, classes) -> None:
    objects = torch.zeros(12, 16, 16, dtype=torch.bool)
    objects[:, 4:12, 4:12] = True
    found = ectool.perturb(wrapped, photos, classes, mask="object", objects=objects)
    assert torch.equal(found.background, ~objects)
    with pytest.raises(ectool.EctoolError, match=r"objects: expected bool masks of shape \(12, 16"):
        ectool.perturb(wrapped, photos, classes, mask="object", objects=objects.float())
    with pytest.raises(ectool.EctoolError, match="mask object: expected a data set with object"):
        ectool.perturb(wrapped, photos, classes, mask="object")
