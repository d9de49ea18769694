from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ectool.explainers.cam.replay import open_replay
from ectool.models.modes import forward_hooks

CHANNELS, CLASSES = 6, 5


def convolution(inputs: int = CHANNELS) -> nn.Conv2d:
    return nn.Conv2d(inputs, CHANNELS, 3, padding=1)


class Head(nn.Module):
    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, CLASSES)

    def forward(self, grid: Tensor) -> Tensor:
        return self.linear(grid.tanh().mean((2, 3)))


class Dense(nn.Module):
    """What went into the target layer is concatenated to what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.trunk, self.head = convolution(3), convolution(), Head(2 * CHANNELS)

    def forward(self, images: Tensor) -> Tensor:
        before = self.stem(images)
        return self.head(torch.cat([before, self.trunk(before)], 1))


class SizeTakenEarly(nn.Module):
    """Shapes after the target layer depend on the input, and so does a part of the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = convolution(3)
        self.head = nn.Linear(CHANNELS, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        count, brightness = len(images), images.mean((1, 2, 3))
        return self.head(self.trunk(images).view(count, CHANNELS, -1).mean(2)) + brightness[:, None]


class OverwrittenStem(nn.Module):
    """Code between the modules overwrites what a module before the target layer put out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.trunk, self.head = convolution(3), convolution(), Head()

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        F.leaky_relu_(stem.mul_(2), 0.5)
        return self.head(self.trunk(stem).add_(stem))


class SharedActivation(nn.Module):
    """One module acts before the target layer, inside another module, and behind it."""

    class Block(nn.Module):
        def __init__(self, activation: nn.Module) -> None:
            super().__init__()
            self.convolution, self.activation = convolution(3), activation

        def forward(self, images: Tensor) -> Tensor:
            return self.activation(self.convolution(images))

    def __init__(self) -> None:
        super().__init__()
        self.activation = nn.LeakyReLU(0.3, inplace=True)
        self.block = self.Block(self.activation)
        self.middle, self.trunk, self.head = convolution(), convolution(), Head()

    def forward(self, images: Tensor) -> Tensor:
        before = self.activation(self.middle(self.block(images)))
        return self.head(self.activation(self.trunk(before)) + before)


class SharedByAll(nn.Module):
    """A module before the target layer returns one thing for the whole batch, another two."""

    class Bias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.randn(1, CHANNELS, 1, 1))

        def forward(self) -> Tensor:
            return self.bias

    class Split(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images * 2, images.flatten(1).mean(1)

    def __init__(self) -> None:
        super().__init__()
        self.bias, self.split = self.Bias(), self.Split()
        self.trunk, self.head = convolution(3), Head()

    def forward(self, images: Tensor) -> Tensor:
        bias = self.bias()
        images, mean = self.split(images)
        grid = self.trunk(images) * mean[:, None, None, None]
        windows = grid.view(-1, CHANNELS, 4, grid.shape[3]) + bias
        return self.head(windows.view_as(grid))


NETWORKS = [Dense, SizeTakenEarly, OverwrittenStem, SharedActivation, SharedByAll]


@pytest.fixture(params=NETWORKS)
def model(request, classifier_of):
    torch.manual_seed(0)
    return classifier_of(request.param())


@pytest.fixture
def classifier_of(wrap):
    def build(network: nn.Module):
        model = wrap(nn.Identity(), nn.Identity())
        model.network = network
        return model

    return build


def test_the_head_gives_the_logits_of_the_whole_model(model, images):
    with open_replay(model, images[:1]) as replay:
        torch.testing.assert_close(replay.logits, model(images[:1]))
        for rows in (1, 3):  # a row each, and again: what was recorded is still the same
            outputs = torch.randn(rows, *replay.output.shape[1:])
            with forward_hooks([model.target_module], lambda *_, new=outputs: new.clone()):
                expected = model(images[:1].expand(rows, -1, -1, -1).clone())
            torch.testing.assert_close(replay.run_head(outputs.clone()), expected)
        same = replay.output.expand(2, -1, -1, -1).clone()
        torch.testing.assert_close(replay.run_head(same), replay.logits.expand(2, -1))


@pytest.mark.parametrize(
    ("network", "computed"),
    [(Dense, ["head.linear"]), (SharedActivation, ["activation", "head.linear"])],
)
def test_what_comes_before_the_layer_is_not_computed_again(
    classifier_of, images, network, computed
):
    model = classifier_of(network())
    calls: list[str] = []
    names = {module: name for name, module in model.network.named_modules()}

    def note(function, module, *arguments):
        calls.append(names[module])
        return function(module, *arguments)

    with open_replay(model, images[:1]) as replay, pytest.MonkeyPatch.context() as patch:
        for kind in (nn.Conv2d, nn.LeakyReLU, nn.Linear):
            forward = kind.forward
            patch.setattr(kind, "forward", lambda m, *a, f=forward: note(f, m, *a))
        replay.run_head(replay.output.clone())
    assert calls == computed


def test_hooks_and_forwards_of_others_stay_in_force(classifier_of, images):
    model = classifier_of(Dense())
    stem = model.network.stem
    forward = stem.forward
    vars(stem)["forward"] = overridden = lambda images: forward(images) + 1
    model.network.trunk.register_forward_hook(lambda _m, _a, output: output * 2)
    stem.register_forward_hook(lambda _m, _a, output: output * 3)
    expected = model(images[:1]).detach()
    with open_replay(model, images[:1]) as replay:
        torch.testing.assert_close(replay.logits, expected)
        torch.testing.assert_close(replay.run_head(replay.output.clone()), expected)
    assert vars(stem)["forward"] is overridden


@pytest.mark.parametrize("where", ["trunk", "head"])
def test_the_model_is_left_as_found_after_an_exception(classifier_of, images, where):
    model = classifier_of(Dense()).train()

    def fail(*_: object) -> None:
        raise RuntimeError("stop")

    with open_replay(model, images[:1]) as replay:
        model.network.get_submodule(where).register_forward_hook(fail)
        with pytest.raises(RuntimeError, match="stop"):
            replay.run_head(replay.output.clone())
        assert not any("forward" in vars(module) for module in model.modules())
    with pytest.raises(RuntimeError, match="stop"), open_replay(model, images[:1]):
        pass
    assert model.training
    assert not any("forward" in vars(module) for module in model.modules())
    assert [len(m._forward_hooks) for m in model.modules()] == [
        int(m is model.network.get_submodule(where)) for m in model.modules()
    ]
