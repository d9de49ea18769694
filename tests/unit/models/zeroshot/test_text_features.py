from __future__ import annotations

import torch
from torch.nn import functional as F

from ectool.models.zeroshot.text_features import text_features


def test_they_are_means_of_directions():
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(200, 5, generator=generator)
    counts = (1, 70, 3, 60)
    tokens = [torch.randint(200, (count, 1), generator=generator) for count in counts]
    found = text_features(tokens, lambda batch: table[batch[:, 0]])
    for own, row in zip(tokens, found, strict=True):
        directions = [table[int(token)] / table[int(token)].norm() for token in own]
        mean = sum(directions) / len(directions)
        torch.testing.assert_close(row, mean / mean.norm())


def test_the_length_of_a_sentence_has_no_effect():
    tokens = [torch.tensor([[0], [1]])]
    table = torch.tensor([[3.0, 4.0], [-1.0, 1.0]])
    expected = text_features(tokens, lambda batch: table[batch[:, 0]])
    longer = table * torch.tensor([[7.0], [0.1]])
    torch.testing.assert_close(text_features(tokens, lambda batch: longer[batch[:, 0]]), expected)
    assert torch.equal(F.normalize(expected, dim=1), expected)
