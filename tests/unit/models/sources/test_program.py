from __future__ import annotations

import os
import pickle
import shutil
import warnings
import zipfile

import pytest
import torch
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.classifier import ModelSpec
from ectool.models.folding import fold_batch_norm
from ectool.models.modes import frozen
from ectool.models.registry import build, create, defaults
from ectool.models.sources import exported, torchscript

CLASSES = tuple("abcde")
SIZE = (16, 24)


class Net(nn.Module):
    """A network whose program fixes a view that only contiguous activations have."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4 * 4 * 6, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.drop(self.trunk(images).flatten(1)))


class Blind(Net):
    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(images)


class BlindScript(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images.detach())


class Pair(Net):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = super().forward(images)
        return logits, logits


def make(kind: type[nn.Module] = Net) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind().eval()


def save(network: nn.Module, path, *, batch: int | None = None) -> str:
    """Make a program for batches of any size, or of one; return its name."""
    example = torch.rand(batch or 2, 3, *SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".pt2":
            dynamic = None if batch else ({0: torch.export.Dim("n")},)
            program = torch.export.export(network, (example,), dynamic_shapes=dynamic)
            torch.export.save(program, path)
            return f"exported:{path}"
        torch.jit.trace(network, example, check_trace=False).save(path)
        return f"torchscript:{path}"


@pytest.fixture(scope="module")
def network():
    return make()


@pytest.fixture(scope="module", params=["torchscript", "scripted", "frozen", "exported"])
def name(request, network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    if request.param == "torchscript":
        return save(network, folder / "net.pt")
    if request.param == "exported":
        return save(network, folder / "net.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.jit.script(network)
        if request.param == "frozen":
            program = torch.jit.freeze(program)
        program.save(folder / "net.pt")
    return f"torchscript:{folder / 'net.pt'}"


@pytest.fixture
def pixels() -> Tensor:
    pixels = torch.rand(4, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    return pixels.contiguous(memory_format=torch.channels_last)


def loaded(name: str, **options):
    return create(name, CLASSES, seed=0, **{"input_size": SIZE, **options})


def test_programs_predict_like_the_network_in_either_mode(name, network, pixels):
    model = loaded(name, mean=(0.1, 0.2, 0.3), std=(1, 0.5, 0.25))
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1, 0.5, 0.25])
    expected = network((pixels - mean[:, None, None]) / std[:, None, None])
    for chosen in (model, model.eval(), model.train(), model.to("cpu")):
        torch.testing.assert_close(chosen(pixels), expected)


def test_programs_have_input_gradients(name, network, pixels):
    gradients = []
    model = loaded(name, mean=(0, 0, 0), std=(1, 1, 1))
    for predict in (model, network):
        images = pixels.clone().requires_grad_()
        with frozen(model):
            gradients.append(torch.autograd.grad(predict(images)[:, 2].sum(), images)[0])
    assert gradients[0].any()
    torch.testing.assert_close(*gradients)


def test_programs_are_left_as_found_and_never_folded(name, pixels):
    model = loaded(name)
    before = [(module, module.training) for module in model.modules()]
    with frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert fold_batch_norm(model, pixels) == 0
    assert [(module, module.training) for module in model.modules()] == before


def test_programs_have_no_target_layer(name):
    model = loaded(name)
    assert (model.spec.target_layer, model.spec.layout) == (None, None)
    message = (
        rf"heatmaps of {name}: .* a program, which does not show its layers; make the network from"
    )
    for ask in (lambda: model.target_layer, lambda: model.target_module):
        with pytest.raises(InputError, match=message):
            ask()
    with pytest.raises(InputError, match=message):
        loaded(name, layer="trunk")


def test_build_rebuilds_from_the_json_form(name, pixels):
    model = loaded(name)
    twin = build(ModelSpec.from_json(model.spec.to_json()))
    assert twin.spec == model.spec
    assert torch.equal(twin(pixels), model(pixels))


def test_defaults(tmp_path, network):
    name = save(network, tmp_path / "net.pt2")
    assert (defaults(name).input_size, defaults(name).classes) == (SIZE, 5)
    assert create(name, CLASSES, seed=0).input_size == SIZE
    assert defaults(f"torchscript:{tmp_path}").input_size == (224, 224)


def test_sizes_that_may_vary_have_no_default(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
    sides = {axis: torch.export.Dim(f"d{axis}", min=4, max=512) for axis in (0, 2, 3)}
    program = torch.export.export(network, (torch.rand(4, 3, 16, 24),), dynamic_shapes=(sides,))
    torch.export.save(program, tmp_path / "any.pt2")
    assert defaults(f"exported:{tmp_path / 'any.pt2'}").input_size == (224, 224)


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
class TestRefusals:
    def test_another_number_of_classes(self, network, tmp_path, suffix):
        name = save(network, tmp_path / f"net{suffix}")
        message = f"model {name}: expected a head for 3 classes, got one for 5 classes"
        with pytest.raises(InputError, match=message):
            create(name, tuple("abc"), seed=0, input_size=SIZE)

    def test_another_size_of_images(self, network, tmp_path, suffix):
        name = save(network, tmp_path / f"net{suffix}")
        message = f"model {name}: expected a program for any number of 32x32 images, got .*; exp"
        with pytest.raises(InputError, match=message) as caught:
            loaded(name, input_size=(32, 32))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("batch", [1, 3])
    def test_a_batch_of_one_size(self, network, tmp_path, suffix, batch):
        class Fixed(Net):
            def forward(self, images: Tensor) -> Tensor:
                return super().forward(images.reshape(batch, 3, *SIZE))

        name = save(make(Fixed), tmp_path / f"net{suffix}", batch=batch)
        message = "for any number of 16x24 images, got .*; export it with a dynamic batch"
        with pytest.raises(InputError, match=message):
            loaded(name)

    @pytest.mark.parametrize("part", ["dropout", "batch_norm"])
    def test_training_mode(self, network, tmp_path, suffix, part):
        network = make()
        (network.drop if part == "dropout" else network.trunk).train()
        name = save(network, tmp_path / f"net{suffix}")
        with pytest.raises(InputError, match="expected a program in evaluation mode, got logits"):
            loaded(name)

    def test_no_gradient(self, tmp_path, suffix):
        name = save(make(Blind if suffix == ".pt2" else BlindScript), tmp_path / f"net{suffix}")
        with pytest.raises(InputError, match="a gradient with respect to the images, got none"):
            loaded(name)

    def test_several_outputs(self, tmp_path, suffix):
        name = save(make(Pair), tmp_path / f"net{suffix}")
        with pytest.raises(InputError, match=r"expected logits of shape .*, got (tuple|list)"):
            loaded(name)

    @pytest.mark.parametrize("content", [b"", b"no program", b"PK\x03\x04 torn"])
    def test_damaged_files(self, tmp_path, suffix, content, capfd):
        path = tmp_path / f"net{suffix}"
        path.write_bytes(content)
        source = "exported" if suffix == ".pt2" else "torchscript"
        message = rf"{source}:.*: expected a file from torch\.(jit|export)\.save, got"
        with pytest.raises(InputError, match=message) as caught:
            loaded(f"{source}:{path}")
        assert "\n" not in str(caught.value)
        assert capfd.readouterr() == ("", "")

    def test_damage_inside(self, network, tmp_path, suffix, capfd):
        path = tmp_path / f"net{suffix}"
        name = save(network, path)
        whole = path.read_bytes()
        path.write_bytes(whole[:1000] + b"more" + whole[1000:])
        capfd.readouterr()
        with pytest.raises(InputError, match="expected a file from torch"):
            loaded(name)
        assert capfd.readouterr() == ("", "")

    def test_checkpoints(self, network, tmp_path, suffix, capfd):
        path = tmp_path / f"net{suffix}"
        torch.save(network.state_dict(), path)
        source = "exported" if suffix == ".pt2" else "torchscript"
        with pytest.raises(InputError, match="expected a file from torch"):
            loaded(f"{source}:{path}")
        assert capfd.readouterr() == ("", "")

    def test_missing_files(self, tmp_path, suffix):
        source = "exported" if suffix == ".pt2" else "torchscript"
        with pytest.raises(InputError, match=f"model {source}:.*: expected a file, got no such"):
            loaded(f"{source}:{tmp_path / 'none'}{suffix}")


class Trap:
    """Pickled code that leaves a file behind."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


def rewrite(source, target, change) -> None:
    """Copy a zip file with another content for its members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            new.writestr(member, change(member, old.read(member)))


@pytest.mark.parametrize("part", ["sample_inputs", "weights"])
def test_pickled_code_in_programs_never_runs(network, tmp_path, part):
    save(network, tmp_path / "net.pt2")
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "trap.pt")

    def change(member: str, content: bytes) -> bytes:
        if part == "weights" and member.endswith("weights_config.json"):
            return content.replace(b'"use_pickle": false', b'"use_pickle": true')
        # The second names are those of torch before 2.8.
        members = ["weight_", "serialized_state_dict"]
        if part == "sample_inputs":
            members = ["sample_inputs", "serialized_example_inputs"]
        is_target = any(name in member for name in members)
        return (tmp_path / "trap.pt").read_bytes() if is_target else content

    rewrite(tmp_path / "net.pt2", tmp_path / "trap.pt2", change)
    with pytest.raises(InputError, match=r"expected a file from torch\.export\.save"):
        loaded(f"exported:{tmp_path / 'trap.pt2'}")
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(pickle.UnpicklingError, match="Weights only"):
        torch.load(tmp_path / "trap.pt")


def test_machine_code_in_programs_is_refused(network, tmp_path):
    save(network, tmp_path / "net.pt2")
    shutil.copy(tmp_path / "net.pt2", tmp_path / "code.pt2")
    with zipfile.ZipFile(tmp_path / "code.pt2", "a") as archive:
        archive.writestr("net/data/aotinductor/model/code.so", b"code")
    with pytest.raises(InputError, match="got ValueError: machine code inside"):
        loaded(f"exported:{tmp_path / 'code.pt2'}")


@pytest.mark.parametrize("before", [None, "0", "1"])
def test_the_environment_is_left_as_found(network, tmp_path, monkeypatch, before):
    variable = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    monkeypatch.delenv(variable, raising=False)
    if before is not None:
        monkeypatch.setenv(variable, before)
    loaded(save(network, tmp_path / "net.pt2"))
    assert os.environ.get(variable) == before


@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_compressed_programs_are_refused(tmp_path, kind):
    path = tmp_path / "a.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(2**25))
    load = torchscript.network if kind == "torchscript" else exported.network
    with pytest.raises(InputError, match="contents of 33,554,432 bytes in a file of"):
        load(str(path), 2, (8, 8))
