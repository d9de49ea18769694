"""A small classifier with confident predictions, images, heatmaps and classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, neighbors_weights
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from ectool.faithfulness.predictions import Explained
from ectool.models.classifier import Classifier
from ectool.models.registry import create

SIZE = (16, 24)


@pytest.fixture(scope="session")
def model() -> Classifier:
    model = create("smallcnn", tuple("abcde"), seed=0, input_size=SIZE).eval()
    model.requires_grad_(False)
    model.network.get_submodule("head").weight.mul_(20)
    return model


@pytest.fixture(scope="session")
def images() -> Tensor:
    return torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def heatmaps() -> Tensor:
    """Return maps of the size of the images, as upsampled ones have equal pixels at the border."""
    return torch.rand(5, *SIZE, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="session")
def targets() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 0])


@pytest.fixture
def explained(model: Classifier, images: Tensor, targets: Tensor) -> Explained:
    return Explained(model, images, targets)


@pytest.fixture(scope="session")
def sample_ids() -> list[str]:
    return [f"sample {number}" for number in range(5)]


@pytest.fixture(scope="session")
def solve_exactly() -> Callable[[Tensor, Tensor], Tensor]:
    """Fill one image by the authors' equations, from their code, and a sparse direct solver."""

    def solve(image: Tensor, kept: Tensor) -> Tensor:
        system, right = NoisyLinearImputer.setup_sparse_system(
            kept.float().numpy(), image.numpy(), neighbors_weights
        )
        filled = image.clone()
        solution = spsolve(csc_matrix(system), right).reshape(right.shape)
        filled[:, ~kept] = torch.from_numpy(solution.T).to(image.dtype)
        return filled

    return solve
