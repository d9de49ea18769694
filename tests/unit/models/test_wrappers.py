"""Models inside the wrappers of training scripts can be explained."""

from __future__ import annotations

import pytest
import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ectool.errors import InputError
from ectool.explainers import EXPLAINERS
from ectool.explainers.composition import make_explainer
from ectool.models.classifier import Classifier
from ectool.models.registry import create
from ectool.models.wrappers import unwrap


@pytest.fixture(scope="module")
def model() -> Classifier:
    return create("smallcnn", ["a", "b", "c"], seed=0, input_size=(16, 16))


@pytest.fixture
def process_group(tmp_path):
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def inside_and_out(model, wrap):
    return [wrap(model), Classifier(wrap(model.network), model.spec)]


def check(model, wrapped):
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = make_explainer("gradcam", EXPLAINERS["gradcam"], model, {})(images)
    for outer in wrapped:
        outer.train()
        found = make_explainer("gradcam", EXPLAINERS["gradcam"], outer, {})(images)
        assert torch.equal(found.heatmaps, expected.heatmaps)
        assert unwrap(outer).network is model.network
        assert outer.training
        assert model.network.training
        assert not any(module._forward_hooks for module in model.modules())


def compiled(module):
    return torch.compile(module, backend="eager")


def test_compiled_modules(model):
    check(model, inside_and_out(model, compiled))


def test_data_parallel_modules(model):
    check(model, inside_and_out(model, lambda module: DataParallel(compiled(module))))


def test_distributed_modules(model, process_group):
    check(model, inside_and_out(model, DistributedDataParallel))


def test_other_modules_are_refused():
    with pytest.raises(InputError, match="expected a Classifier, possibly wrapped, got Linear"):
        unwrap(DataParallel(nn.Linear(2, 2)))
