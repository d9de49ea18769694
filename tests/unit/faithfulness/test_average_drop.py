from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ectool.faithfulness.average_drop import ConfidenceChanges, confidence_changes


def test_drop_and_increase_redone_image_by_image(explained, model, images, heatmaps, targets):
    heatmaps = heatmaps[:, :4, :6]
    changes = confidence_changes(explained, 7 * heatmaps)
    for row, target in enumerate(targets.tolist()):
        normalised = ((images[row] - model.mean) / model.std)[None]
        mask = F.interpolate(heatmaps[row][None, None], (16, 24), mode="bilinear")
        clean, masked = (
            model.network(image).softmax(1)[0, target].item()
            for image in (normalised, normalised * mask / mask.max())
        )
        assert changes.drop[row].item() == pytest.approx(max(0, clean - masked) / clean, abs=1e-5)
        assert changes.increase[row].item() == float(clean < masked)
    assert 0 < changes.increase.sum() < len(images)


def test_a_map_of_ones_changes_nothing_and_zeros_mask_all(explained, model, images, targets):
    ones = confidence_changes(explained, torch.ones(5, 1, 1))
    torch.testing.assert_close(ones.masked, ones.clean)
    zeros = confidence_changes(explained, torch.zeros(5, 2, 2))
    grey = model(model.mean.expand_as(images)).softmax(1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(zeros.masked, grey)


def test_the_drop_is_a_share_of_the_clean_probability():
    changes = ConfidenceChanges(torch.tensor([0.8, 0.2]), torch.tensor([0.2, 0.4]))
    torch.testing.assert_close(changes.drop, torch.tensor([0.75, 0]))
    assert changes.increase.tolist() == [0, 1]
