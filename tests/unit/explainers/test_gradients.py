from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.explainers.gradients import draw_columns, gradient, target_gradient

INPUTS = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def graph() -> tuple[Tensor, Tensor]:
    leaf = INPUTS.clone().requires_grad_()
    return leaf, leaf**2


def test_each_image_has_its_own_target():
    leaf, scores = graph()
    found = target_gradient(scores, leaf, torch.tensor([1, -1, 0]))
    assert found.tolist() == [[0, 4], [0, 0], [10, 0]]


def test_nothing_is_differentiated_without_targets():
    found = target_gradient(INPUTS, INPUTS, torch.full((3,), -1))
    assert not found.any()


def test_a_graph_may_be_kept():
    leaf, scores = graph()
    first = gradient(scores, leaf, torch.ones_like(scores), retain_graph=True)
    assert torch.equal(gradient(scores, leaf, torch.ones_like(scores)), first)


def test_columns_are_drawn_one_by_one():
    classes = torch.tensor([[0, 1], [2, -1]])
    found = draw_columns(lambda column: column[:, None, None].double(), classes)
    assert torch.equal(found, torch.tensor([[0.0, 1], [2, 0]])[..., None, None])
    assert draw_columns(lambda column: column[:, None, None], classes[0]).shape == (2, 1, 1)


def test_where_there_is_no_class_the_map_is_zero_whatever_was_drawn():
    found = draw_columns(lambda column: torch.full((2, 1, 3), torch.nan), torch.tensor([-1, -1]))
    assert torch.equal(found, torch.zeros(2, 1, 3))


class NoDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs: Tensor) -> Tensor:
        return inputs.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        raise RuntimeError("this step has no derivative")


@pytest.mark.parametrize(
    ("head", "got"),
    [
        (lambda leaf: leaf.detach(), "does not require grad"),
        (lambda leaf: leaf.argmax(1, keepdim=True).float(), "does not require grad"),
        (lambda leaf: nn.Linear(2, 2)(INPUTS), "logits that do not depend on it"),
        (NoDerivative.apply, "this step has no derivative"),
    ],
)
def test_heads_without_a_derivative(head, got):
    leaf, _ = graph()
    scores = head(leaf)
    with pytest.raises(InputError, match=rf"^model: expected logits with a gradient.*{got}"):
        target_gradient(scores, leaf, torch.zeros(3, dtype=torch.int64))


def test_a_full_device_is_not_the_models_fault():
    class Full(NoDerivative):
        @staticmethod
        def backward(ctx, gradient: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("out of memory")

    leaf, _ = graph()
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        gradient(Full.apply(leaf).sum(), leaf)
