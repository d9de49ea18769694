from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ectool.faithfulness.imputation import _fill, impute

SIZE = (37, 22)


def textures(count: int) -> torch.Tensor:
    """Make images with slopes, edges and noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 4, generator=generator)
    smooth = F.interpolate(coarse, SIZE, mode="bilinear")
    return 0.7 * smooth + 0.3 * torch.rand(count, 3, *SIZE, generator=generator).round()


def masks(share: float, count: int, cells: tuple[int, int]) -> torch.Tensor:
    """Keep all but a share of the pixels, in blobs as large as the cells."""
    generator = torch.Generator().manual_seed(1)
    fields = F.interpolate(torch.rand(count, 1, *cells, generator=generator), SIZE, mode="bicubic")
    flat = fields.flatten(1)
    removed = flat.argsort(dim=1, descending=True)[:, : int(share * flat.shape[1])]
    return torch.ones_like(flat).scatter_(1, removed, 0).view(count, *SIZE) > 0


@pytest.mark.parametrize("cells", [(3, 3), SIZE], ids=["blobs", "specks"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
def test_the_exact_solution(share, cells, solve_exactly):
    images, kept = textures(3), masks(share, 3, cells)
    filled = impute(images, kept)
    for image, mask, found in zip(images, kept, filled, strict=True):
        torch.testing.assert_close(found, solve_exactly(image, mask), rtol=0, atol=1e-3)
        assert torch.equal(found[:, mask], image[:, mask])


def test_every_removed_pixel_is_the_mean_of_its_neighbours():
    images, kept = textures(1).double(), masks(0.6, 1, (4, 4))
    filled = impute(images, kept)[0]
    height, width = SIZE
    for y, x in (~kept[0]).nonzero().tolist():
        total, weights = 0.0, 0.0
        for dy, dx in [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]:
            if 0 <= y + dy < height and 0 <= x + dx < width:
                weight = 1 / 12 if dy and dx else 1 / 6
                total, weights = total + weight * filled[:, y + dy, x + dx], weights + weight
        torch.testing.assert_close(filled[:, y, x], total / weights, rtol=0, atol=1e-3)


def test_images_do_not_depend_on_each_other():
    images, kept = textures(4), masks(0.7, 4, (3, 3))
    kept[1] = True  # nothing to do there
    together = impute(images, kept)
    assert torch.equal(together[1], images[1])
    torch.testing.assert_close(together[2:3], impute(images[2:3], kept[2:3]), rtol=0, atol=1e-3)


def test_blocks_change_nothing(monkeypatch):
    images, kept = textures(7), masks(0.7, 7, (3, 3))
    together = impute(images, kept)
    monkeypatch.setattr("ectool.faithfulness.imputation._CACHED", 1)  # every image by itself
    torch.testing.assert_close(impute(images, kept), together, rtol=0, atol=1e-3)


def test_channels_may_be_solved_together():
    # as on an accelerator
    images, kept = textures(3), masks(0.7, 3, (3, 3))
    torch.testing.assert_close(_fill(images, kept, 3), _fill(images, kept, 1), rtol=0, atol=1e-3)


def test_one_kept_pixel_fills_the_image():
    kept = torch.zeros(1, *SIZE, dtype=torch.bool)
    kept[0, 30, 3] = True
    image = textures(1)
    expected = image[:, :, 30:31, 3:4].expand_as(image)
    torch.testing.assert_close(impute(image, kept), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (5, 5)])
def test_small_images(size, solve_exactly):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2))
    kept = torch.zeros(1, *size, dtype=torch.bool)
    kept[0, :, 0] = True
    expected = solve_exactly(image[0], kept[0]) if size[1] > 1 else image[0]
    torch.testing.assert_close(impute(image, kept)[0], expected, rtol=0, atol=1e-3)
