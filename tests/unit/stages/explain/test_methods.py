"""Every method through the stage, and the options of heatmaps."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch

from ectool.artifacts.store import read_manifest
from ectool.config import METHODS, ExplainConfig, PerturbConfig
from ectool.errors import InputError, OutputExistsError, UsageError
from ectool.explainers import EXPLAINERS
from ectool.explainers.composition import Augmented
from ectool.models.classifier import to_pixels
from ectool.models.interpolation import upsample
from ectool.stages import explain, perturb
from ectool.types import SILENT

N, LAYER, PIXELS = 30, (8, 8), (32, 32)
TRANSFORMERS = ("attention-rollout", "transformer-relevance")
TOLD = {
    "rise": {"passes": 8},
    "smoothgrad": {"passes": 2},
    "integrated-gradients": {"passes": 2},
    "occlusion": {"window": 16, "stride": 8},
}
"""Options that reduce the passes of expensive methods."""

PLUGIN = '''
import torch

from ectool.explainers import Explanation


class Brightness:
    """Explains every class by where the image is bright."""

    def __init__(self, model, *, window=1):
        self.model, self.window = model, window

    def __call__(self, images, targets=None):
        with torch.no_grad():
            logits = self.model(images)
        return Explanation(images.mean(1) * self.window, logits)
'''


@pytest.fixture
def make(model, few_options, tmp_path):
    def run(name="a.zarr", reporter=SILENT, **given):
        options = {"model": str(model), "device": "cpu", **few_options, **given}
        return explain.run(ExplainConfig(output=tmp_path / name, **options), reporter).path

    return run


@pytest.fixture
def inputs(few_digits):
    """The images, as the stage sees them, and their labels."""
    return to_pixels(few_digits.images(np.arange(N))), torch.from_numpy(few_digits.labels.copy())


@pytest.mark.parametrize("method", sorted(set(METHODS) - set(TRANSFORMERS)))
def test_the_stage_stores_what_the_method_draws(method, make, read, network, inputs):
    told = TOLD.get(method, {})
    arrays = read(make(method=method, **told))
    expected = EXPLAINERS[method].make(network, **told)(*inputs)
    at_layer = EXPLAINERS[method].grid == "layer"
    assert arrays["clean"].dtype == (np.float16 if at_layer else np.float32)
    assert arrays["clean"].shape == (N, *(LAYER if at_layer else PIXELS))
    found, maps = torch.from_numpy(arrays["clean"]).float(), expected.heatmaps
    torch.testing.assert_close(found, maps, rtol=2e-3, atol=2e-3 * maps.max().item())
    np.testing.assert_allclose(arrays["logits_clean"], expected.logits.numpy(), rtol=1e-5)


@pytest.mark.parametrize("method", TRANSFORMERS)
def test_methods_for_transformers_refuse_other_networks(method, make):
    with pytest.raises(InputError, match="expected a transformer"):
        make(method=method)


@pytest.mark.parametrize(("method", "size"), [("gradcam", "pixels"), ("fullgrad", "layer")])
def test_maps_are_stored_at_the_requested_size(method, size, make, read):
    own = torch.from_numpy(read(make(method=method))["clean"]).float()
    found = torch.from_numpy(read(make("b.zarr", method=method, store_size=size))["clean"]).float()
    if size == "pixels":
        expected = upsample(own, PIXELS)
    else:
        expected = own.view(N, LAYER[0], 4, LAYER[1], 4).mean((2, 4))
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3 * own.max().item())


def test_half_precision_draws_nearly_the_same(make, read):
    full, half = (
        torch.from_numpy(read(make(f"{precision}.zarr", precision=precision))["clean"]).float()
        for precision in ("fp32", "bf16")
    )
    alive = full.flatten(1).any(1)
    alike = torch.cosine_similarity(full[alive].flatten(1), half[alive].flatten(1))
    assert not torch.equal(full, half)
    assert alike.mean() > 0.995


def test_smoothing(make, read, network, inputs):
    found = torch.from_numpy(read(make(smooth="aug"))["clean"]).float()
    expected = Augmented(network, EXPLAINERS["gradcam"].make(network))(*inputs).heatmaps
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3 * expected.max().item())
    found = torch.from_numpy(read(make("b.zarr", smooth="eigen"))["clean"]).float()
    expected = EXPLAINERS["gradcam"].make(network, eigen=True)(*inputs).heatmaps
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3 * expected.max().item())


def test_several_layers_are_fused_at_the_finest(make, read):
    coarse, fine = "features.8", "features.2"
    found = read(make(layer=(coarse, fine), fuse="max"))["clean"].astype(np.float32)
    each = [read(make(f"{layer}.zarr", layer=layer))["clean"] for layer in (coarse, fine)]
    for row in range(N):
        low, high = (torch.from_numpy(maps[row : row + 1]).float() for maps in each)
        scaled = [maps / maps.max() if maps.any() else maps for maps in (low, high)]
        expected = upsample(scaled[0], (16, 16)).maximum(scaled[1])
        np.testing.assert_allclose(found[row], expected[0], atol=2e-3)


@pytest.mark.parametrize(
    "given",
    [
        {"passes": 3},
        {"window": 3},
        {"method": "rise", "noise": 0.1},
        {"method": "occlusion", "smooth": "eigen"},
    ],
)
def test_options_that_a_method_does_not_have_are_rejected(given, make):
    with pytest.raises(UsageError, match=r"expected an option that --method \w+ has"):
        make(**given)


def test_perturb_takes_the_same_methods_for_its_mask(model, few_options, read, tmp_path):
    options = {"model": str(model), "device": "cpu", "steps": 0, **few_options}
    masks = [
        read(perturb.run(PerturbConfig(output=tmp_path / f"{m}.zarr", method=m, **options)).path)
        for m in ("gradcam", "fullgrad")
    ]
    assert (masks[0]["background"] != masks[1]["background"]).any()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package that offers a method of its own."""
    (tmp_path / "bright.py").write_text(PLUGIN)
    record = tmp_path / "bright-1.5.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1.5\n")
    target = "bright:Brightness\ngone = bright:Nothing"
    (record / "entry_points.txt").write_text(f"[ectool.explainers]\nbrightness = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield record
    sys.modules.pop("bright", None)


class TestPlugin:
    def test_its_method_explains(self, plugin, make, read, inputs):
        path = make(method="brightness", window=2)
        expected = inputs[0].mean(1) * 2
        np.testing.assert_allclose(read(path)["clean"], expected.numpy(), rtol=1e-6)
        assert read_manifest(path).recipe.config["method_maker"] == "bright 1.5"

    def test_another_version_is_another_key(self, plugin, make):
        make(method="brightness")
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1.6\n")
        assert entry_points(group="ectool.explainers")["brightness"].dist.version == "1.6"
        with pytest.raises(OutputExistsError):
            make(method="brightness")

    def test_a_failed_import_is_an_error(self, plugin, make):
        with pytest.raises(InputError, match=r"--method gone: .*bright:Nothing.*no attribute"):
            make(method="gone")
