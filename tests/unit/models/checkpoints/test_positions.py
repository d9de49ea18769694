from __future__ import annotations

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed
from torchvision.models import VisionTransformer

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint import load_weights, save_weights
from ectool.models.checkpoints.positions import fit_positions, resample_positions
from ectool.models.classifier import Classifier, ModelSpec


@pytest.mark.parametrize(("old", "new"), [(4, 6), (7, 3), (14, 24), (1, 2)])
@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_embeddings_are_those_of_timm(old, new, prefix, dtype):
    positions = torch.randn(1, prefix + old * old, 8).to(dtype)
    expected = resample_abs_pos_embed(
        positions, [new, new], [old, old], num_prefix_tokens=prefix, interpolation="bicubic"
    )
    found = resample_positions(positions, new, prefix)
    assert found.dtype == dtype
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("prefix", "old", "new"), [(0, 8, 16), (1, 14, 24), (2, 14, 7), (5, 16, 9)]
)
def test_tokens_before_the_grid_are_found(prefix, old, new):
    state = {"pos_embed": torch.randn(1, prefix + old * old, 4)}
    own = {"pos_embed": torch.zeros(1, prefix + new * new, 4)}
    fitted, grids = fit_positions(state, own)
    assert grids == {"pos_embed": (old, new)}
    assert torch.equal(fitted["pos_embed"][:, :prefix], state["pos_embed"][:, :prefix])
    assert fitted["pos_embed"].shape == own["pos_embed"].shape


@pytest.mark.parametrize(
    ("name", "shape"),
    [("pos_embed", (1, 12, 4)), ("pos_embed", (1, 17, 5)), ("blocks.weight", (1, 17, 4))],
    ids=["no square", "another width", "another name"],
)
def test_other_weights_stay_as_they_are(name, shape):
    state = {name: torch.randn(shape)}
    fitted, grids = fit_positions(state, {name: torch.zeros(1, 65, 4)})
    assert fitted[name] is state[name]
    assert grids == {}


def of_torchvision(side: int) -> torch.nn.Module:
    return VisionTransformer(side, 8, 1, 1, 16, 16, num_classes=3)


def of_timm(side: int) -> torch.nn.Module:
    return timm.models.VisionTransformer(
        img_size=side, patch_size=8, embed_dim=16, depth=1, num_heads=1, num_classes=3, reg_tokens=4
    )


@pytest.fixture(params=[of_torchvision, of_timm], ids=["torchvision", "timm"])
def pair(request):
    """A transformer for images of 32 pixels, and one for 64."""
    return [
        Classifier(
            request.param(side),
            ModelSpec("vit", tuple("abc"), (side, side), *[(0.5,) * 3] * 2, None, None),
        )
        for side in (32, 64)
    ]


def test_transformers_load_weights_of_another_size(pair, tmp_path):
    small, large = pair
    save_weights(small, tmp_path / "small.safetensors")
    loaded = load_weights(large, tmp_path / "small.safetensors")
    own, other = large.network.state_dict(), small.network.state_dict()
    (name,) = loaded.grids
    assert list(loaded.remarks()) == [f"{name} interpolated from 4x4 to 8x8 positions"]
    prefix = other[name].shape[1] - 16
    expected = resample_abs_pos_embed(other[name], [8, 8], num_prefix_tokens=prefix)
    assert torch.equal(own.pop(name), expected)
    assert all(torch.equal(value, other[n]) for n, value in own.items())
    assert large(torch.rand(1, 3, 64, 64)).shape == (1, 3)


def test_other_shapes_are_still_refused(pair, tmp_path):
    small, large = pair
    save_weights(small, tmp_path / "small.safetensors")
    wide = Classifier(VisionTransformer(64, 16, 1, 1, 16, 16, num_classes=3), large.spec)
    with pytest.raises(InputError, match="exactly the weights of this architecture"):
        load_weights(wide, tmp_path / "small.safetensors")
