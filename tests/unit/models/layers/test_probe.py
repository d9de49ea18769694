from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.layers.probe import check_head, network_logits, run_probe
from ectool.models.registry import create


class Changed(nn.Module):
    """Return a function of the logits."""

    def __init__(self, function):
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.function = function

    def forward(self, images):
        return self.function(self.linear(images.mean((2, 3))))


def test_outputs_are_recorded_in_order_and_differentiated():
    network = create("smallcnn", tuple("abcde"), seed=0).network
    probe = run_probe(network, (32, 32))
    names = [name for name, _ in probe.outputs]
    assert names[0] == "features.0"
    assert names[-2:] == ["features", "head"]
    assert set(names) == {name for name, _ in network.named_modules() if name}
    maps, logits = (output for _, output in probe.outputs[-2:])
    assert maps.shape == (1, 96, 8, 8)
    of_the_mean = probe.gradient(logits) @ network.head.weight
    expected = (of_the_mean / 64)[:, :, None, None].expand_as(maps)
    torch.testing.assert_close(probe.gradient(maps), expected)


def test_outputs_without_a_graph_have_no_gradient():
    probe = run_probe(nn.Sequential(Changed(torch.detach)), (4, 4))
    assert [name for name, _ in probe.outputs] == ["0.linear", "0"]
    assert [probe.gradient(output) for _, output in probe.outputs] == [None, None]


def test_weights_that_are_all_zero_are_replaced_while_it_runs():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    nn.init.zeros_(network[1].weight)
    probe = run_probe(network, (2, 2))
    assert probe.gradient(probe.outputs[0][1]).any()
    assert not network[1].weight.any()


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda logits: (logits, logits), "tuple"),
        (lambda logits: {"logits": logits}, "dict"),
        (lambda logits: logits[:, :, None, None], "1x5x1x1"),
    ],
)
def test_outputs_that_are_no_logits_are_refused(function, got):
    message = rf"network output: expected logits of shape \(n, classes\), got {got}; wrap"
    for check in (run_probe, lambda *arguments: check_head(*arguments, 5, "x")):
        with pytest.raises(InputError, match=message):
            check(Changed(function), (4, 4))


def test_errors_of_a_network_become_one_line():
    def fail(_logits):
        raise KeyError("mask\nand more")

    with pytest.raises(InputError, match=r"input size: .* got 4x6 \('mask") as caught:
        network_logits(Changed(fail), torch.ones(1, 3, 4, 6))
    assert "\n" not in str(caught.value)


def test_heads_are_counted():
    check_head(Changed(lambda logits: logits), (4, 4), 5, "mine")
    message = "model mine: expected a head for 7 classes, got one for 5 classes; make it"
    with pytest.raises(InputError, match=message):
        check_head(Changed(lambda logits: logits), (4, 4), 7, "mine")
