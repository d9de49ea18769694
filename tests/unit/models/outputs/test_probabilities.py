"""Networks that return probabilities: detected, and wrapped to return logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ectool.models.classifier import Classifier
from ectool.models.outputs.probabilities import (
    AsLogits,
    gives_probabilities,
    output_of,
    with_logits,
)
from ectool.models.registry import create

SIZE = (16, 16)


@pytest.fixture
def images():
    return torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def classifier(end):
    model = create("smallcnn", tuple("abcd"), seed=0, input_size=SIZE)
    layer = f"0.{model.spec.target_layer}"
    fields = {**model.spec.to_json(), "target_layer": layer}
    spec = type(model.spec).from_json(fields)
    return model, Classifier(nn.Sequential(model.network, end), spec).eval()


@pytest.mark.parametrize(
    ("end", "multilabel", "is_changed"),
    [
        (nn.Softmax(1), False, True),
        (nn.Sigmoid(), True, True),
        (nn.Sigmoid(), False, False),
        (nn.LogSoftmax(1), False, False),
        (nn.Identity(), False, False),
        (nn.Identity(), True, False),
        (nn.ReLU(), False, False),
    ],
)
def test_probabilities_are_detected_and_have_the_networks_own_loss(
    end, multilabel, is_changed, images
):
    plain, model = classifier(end)
    found = with_logits(model, SIZE, multilabel=multilabel)
    assert (found is not model) == is_changed == gives_probabilities(found)
    if not is_changed:
        return
    expected, logits = plain.eval()(images), found(images)
    to_shares = torch.sigmoid if multilabel else (lambda z: z.softmax(1))
    torch.testing.assert_close(to_shares(logits), to_shares(expected))
    assert found.target_module is model.target_module
    labels = torch.tensor([0, 1, 2, 3, 0])
    losses = (F.cross_entropy(z, labels) for z in (logits, expected))
    if not multilabel:
        torch.testing.assert_close(*losses)


def test_certainty_has_finite_logits():
    certain = torch.tensor([[1.0, 0, 0]])
    for output in ("probabilities", "presences"):
        logits = AsLogits(nn.Identity(), output)(certain)
        assert logits.isfinite().all()
        assert logits.argmax(1).item() == 0


def test_outputs_that_only_resemble_probabilities():
    assert output_of(torch.tensor([[0.5, 0.5], [0.4, 0.7]]), multilabel=False) == "logits"
    assert output_of(torch.tensor([[1.5, -0.5], [0.4, 0.6]]), multilabel=False) == "logits"
    assert output_of(torch.zeros(2, 3), multilabel=True) == "logits"


def test_a_size_that_a_network_does_not_accept_is_checked_elsewhere():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4), nn.Softmax(1))
    spec = create("smallcnn", tuple("abcd"), seed=0, input_size=SIZE).spec
    model = Classifier(flat, spec)
    assert with_logits(model, (8, 8), multilabel=False) is model
