from __future__ import annotations

import torch

from ectool.training.in_batch import PerturbationMemory, draw_images, true_classes


def test_the_memory_returns_what_it_kept():
    memory = PerturbationMemory(5, (3, 4, 4), 16 / 255, moves=False)
    clean, rows = torch.rand(2, 3, 4, 4) / 2, torch.tensor([3, 1])
    changed = clean + torch.randint(-16, 17, clean.shape) / 255
    untouched = memory.levels[[0, 2, 4]].clone()
    memory.keep(clean, changed, rows)
    torch.testing.assert_close(memory.start(clean, rows, torch.Generator()), changed)
    assert (memory.levels[[0, 2, 4]] == untouched).all()


def test_the_first_perturbations_fill_the_ball():
    levels = PerturbationMemory(50, (3, 8, 8), 8 / 255, moves=False).levels.float()
    assert levels.abs().max() == 8
    assert abs(levels.mean()) < 0.2
    assert abs(levels.std() - 16 / 12**0.5) < 0.2


def test_large_radii_are_cut_at_a_byte():
    memory = PerturbationMemory(1, (3, 2, 2), 1.0, moves=False)
    memory.keep(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2), torch.tensor([0]))
    assert (memory.levels == 127).all()


def test_the_share_of_drawn_images_is_the_probability():
    draw = torch.Generator().manual_seed(0)
    drawn = draw_images(10_000, 0.3, draw, torch.device("cpu"))
    assert abs(len(drawn) - 3000) < 150
    assert len(draw_images(50, 0.0, draw, torch.device("cpu"))) == 0
    assert draw_images(50, 1.0, draw, torch.device("cpu")).tolist() == list(range(50))


def test_explained_classes_are_the_positive_labels():
    labels = torch.tensor([[1, 0, 1], [0, -1, 0], [0, 1, 0]], dtype=torch.int8)
    assert true_classes(labels).tolist() == [[0, 2], [-1, -1], [1, -1]]
    assert true_classes(torch.tensor([2, 0])).tolist() == [2, 0]
