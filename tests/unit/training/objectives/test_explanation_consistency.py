"""One step of the objective against loops over its definition, its controls, and its state."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ectool.attacks.masks import smooth
from ectool.config import TrainConfig
from ectool.config.objectives import OBJECTIVE_OPTIONS, REPLACING
from ectool.models.classifier import Classifier, ModelSpec
from ectool.training.batch import Position, TrainingBatch
from ectool.training.objectives import OBJECTIVES, Setup

NAMES = [name for name in OBJECTIVE_OPTIONS if name.startswith("ec")]
MEAN, STD, SIDE, SAMPLES = (0.5, 0.4, 0.3), (0.25, 0.2, 0.5), 6, 9


class Pointwise(nn.Module):
    """One convolution of single pixels, a mean and a linear head."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU())
        self.head = nn.Linear(5, 3)

    def forward(self, images):
        return self.head(self.features(images).mean((2, 3)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    spec = ModelSpec("pointwise", ("a", "b", "c"), (SIDE, SIDE), MEAN, STD, "features", "nchw")
    return Classifier(Pointwise(), spec).train()


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(3)
    return TrainingBatch(
        pixels=torch.randint(256, (4, 3, SIDE, SIDE), generator=draw) / 255,
        labels=torch.tensor([2, 0, 1, 2]),
        weights=torch.tensor([1.0, 0.5, 2.0, 1.0]),
        rows=torch.tensor([7, 2, 0, 5]),
    )


def make(model, name, labels=None, **settings):
    labels = torch.zeros(SAMPLES, dtype=torch.int64) if labels is None else labels
    options = {**OBJECTIVE_OPTIONS[name], "mix": REPLACING[name], **settings}
    setup = Setup(options, model, labels, None, (3, SIDE, SIDE))
    torch.manual_seed(1)  # of the first perturbations
    return OBJECTIVES[name](setup)


def begin(objective, model):
    objective.begin(model, torch.optim.SGD(model.parameters()), list, place())


def place(progress=0.3, seed=0):
    return Position(0, 0, progress, torch.Generator().manual_seed(seed))


class Slow:
    """The network in numpy: one image, one pixel at a time."""

    def __init__(self, model):
        state = {name: value.double().numpy() for name, value in model.state_dict().items()}
        self.kernel = state["network.features.0.weight"][:, :, 0, 0]
        self.bias = state["network.features.0.bias"]
        self.head, self.offset = state["network.head.weight"], state["network.head.bias"]

    def run(self, image, label):
        """Return heatmap, probabilities, and the gradient of the cross-entropy."""
        normalised = (image - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
        heatmap, mean = np.zeros((SIDE, SIDE)), np.zeros(5)
        active = {}
        for at in np.ndindex(SIDE, SIDE):
            features = self.kernel @ normalised[(slice(None), *at)] + self.bias
            active[at] = features > 0
            mean += features.clip(min=0) / SIDE**2
            heatmap[at] = max(self.head[label] @ features.clip(min=0) / SIDE**2, 0)
        logits = self.head @ mean + self.offset
        p = np.exp(logits) / np.exp(logits).sum()
        gradient, upstream = np.zeros_like(image), (p - np.eye(3)[label]) @ self.head / SIDE**2
        for at, mask in active.items():
            gradient[(slice(None), *at)] = (upstream * mask) @ self.kernel / STD
        return heatmap, p, gradient


def background_of(values, q):
    ranked = np.sort(values.ravel())
    return values <= ranked[max(1, math.ceil(q * values.size - 1e-6)) - 1]


def attacked(slow, image, label, last, options, progress=0.3):
    """Return perturbed image, background, and E of one image by the definition."""
    clean = slow.run(image, label)[0]
    share = min(1.0, progress / options["object_ramp"]) * options["object_eps"]
    perturbed = image + last / 255
    if options["mask_source"] == "heatmap":
        background = background_of(clean, options["mask_level"])
        radius = np.where(background, options["eps"], share)
        perturbed = perturbed.clip(image - radius, image + radius).clip(0, 1)
    heatmap, p, gradient = slow.run(perturbed, label)
    if options["mask_source"] == "gradient":
        saliency = torch.tensor(np.abs(image * gradient).sum(0))[None]
        sigma = options["mask_sigma"] * SIDE
        background = background_of(smooth(saliency, sigma)[0].numpy(), options["mask_level"])
        radius = np.where(background, options["eps"], share)
    perturbed = perturbed + radius * np.sign(gradient)
    perturbed = perturbed.clip(image - radius, image + radius).clip(0, 1)
    cosine = (clean * heatmap).sum() / np.sqrt((clean**2).sum() * (heatmap**2).sum())
    return perturbed, background, (p[label] if np.isnan(cosine) else cosine * p[label])


@pytest.mark.parametrize("name", ["ec", "ec-cam", "ec-weights"])
def test_one_step_is_its_definition(name, model, batch):
    objective = make(model, name)
    options, slow = objective.settings, Slow(model)
    begin(objective, model)
    last = objective.memory.levels.double().numpy()[batch.rows]
    images = batch.pixels.double().numpy()
    found = [
        attacked(slow, image, label, delta, options)
        for image, label, delta in zip(images, batch.labels.tolist(), last, strict=True)
    ]
    place_of = place()
    draw = torch.Generator().manual_seed(0)
    inputs = [x for x, _, _ in found]
    if options["swap"]:
        order = torch.randperm(4, generator=draw).tolist()
        torch.rand(4, generator=draw)
        inputs = []
        for image, (x, background, _), other in zip(images, found, order, strict=True):
            mean = images[other][:, found[other][1]].mean(1)
            filled = np.where(found[other][1], images[other], mean[:, None, None])
            inputs.append((np.where(background, filled, image) + x - image).clip(0, 1))
    chosen = (torch.rand(4, generator=draw) < options["mix"]).tolist()
    lacks = [1 - e for _, _, e in found]
    total = 0.0
    for number in range(4):
        image = inputs[number] if chosen[number] else images[number]
        label = batch.labels[number].item()
        weight = lacks[number] / np.mean(lacks) if objective.weights is not None else 1.0
        total -= batch.weights[number].item() * weight * np.log(slow.run(image, label)[1][label])
    loss, logits = objective(model, batch, place_of)
    assert loss.item() == pytest.approx(total / 4, rel=1e-4)
    assert logits.requires_grad
    kept = objective.memory.levels[batch.rows].numpy()
    expected = np.stack([255 * (x - image) for (x, _, _), image in zip(found, images, strict=True)])
    np.testing.assert_allclose(kept, expected, atol=0.51)
    if objective.weights is not None:
        values = objective.statistics()["explanation_consistency"]
        assert values == pytest.approx(np.mean([e for _, _, e in found]), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_left_in_training_mode_with_its_gradients(name, model, batch):
    marked = next(model.parameters())
    marked.grad = torch.ones_like(marked)
    objective = make(model, name)
    begin(objective, model)
    loss = objective(model, batch, place()).loss
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert (marked.grad == 1).all()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_state_gives_the_same_loss(name, model, batch):
    one, two = make(model, name, scored_epochs=2), make(model, name, scored_epochs=2)
    begin(one, model)
    one(model, batch, place())
    two.load_state_dict(one.state_dict())
    for objective in (one, two):
        begin(objective, model)
    other = replace(batch, rows=batch.rows.flip(0))
    assert one(model, other, place(seed=1)).loss == two(model, other, place(seed=1)).loss
    assert one.statistics() == two.statistics()


@pytest.mark.parametrize("name", ["ec", "ec-cam"])
def test_several_steps_climb_further(name, model, batch):
    losses = []
    for steps in (1, 4):
        objective = make(model, name, attack_steps=steps, mix=1.0, weighting="uniform", swap=0.0)
        objective.memory.levels.zero_()
        begin(objective, model)
        losses.append(objective(model, batch, place()).loss.item())
    assert losses[0] < losses[1]


def test_the_control_splits_each_image_by_the_map_of_another(model, batch):
    backgrounds = {}
    for name in ("ec", "ec-other"):
        objective = make(model, name)
        begin(objective, model)
        backgrounds[name] = objective._attack(batch, place())[1]
    expected = [backgrounds["ec"][number - 1] for number in range(4)]
    assert torch.equal(backgrounds["ec-other"], torch.stack(expected))
    assert not torch.equal(backgrounds["ec-other"], backgrounds["ec"])


def test_weights_are_kept_after_the_scored_epochs(model, batch):
    objective = make(model, "ec-cam", scored_epochs=1)
    begin(objective, model)
    objective(model, batch, place())
    assert objective.weights.weight[batch.rows].std() > 0
    begin(objective, model)
    kept = objective.weights.weight.clone()
    assert kept.mean().item() == pytest.approx(1)
    objective(model, batch, place(seed=1))
    assert (objective.weights.weight == kept).all()
    assert objective.statistics()["effective_sample_size"] == pytest.approx(
        (kept[batch.rows].sum() ** 2 / kept[batch.rows].square().sum()).item()
    )


def test_the_radius_on_the_object_rises(model):
    objective = make(model, "ec", eps=20 / 255, object_eps=10 / 255, object_ramp=0.5)
    background = torch.tensor([[[True, False]]])
    shares = [objective.radius_share(background, at)[0, 0].tolist() for at in (0, 0.25, 0.5, 0.9)]
    np.testing.assert_allclose(shares, [[1, 0], [1, 0.25], [1, 0.5], [1, 0.5]])
    objective = make(model, "ec", eps=20 / 255, object_eps=10 / 255, object_ramp=0)
    assert objective.radius_share(background, 0.0)[0, 0, 1].item() == pytest.approx(0.5)


def gradient_of(loss, model):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, model.parameters())])


def test_controls_keep_samples_but_not_weights(model, batch):
    losses = {}
    for name in ("ec-cam", "ec-samples", "ec-permuted", "ec-rate"):
        objective = make(model, name, mix=1.0, weight_momentum=0.0)
        begin(objective, model)
        loss = objective(model, batch, place()).loss
        losses[name] = gradient_of(loss, model)
    lengths = {name: gradient.norm().item() for name, gradient in losses.items()}
    assert lengths["ec-rate"] == pytest.approx(lengths["ec-cam"], rel=1e-4)
    cosine = torch.cosine_similarity(losses["ec-rate"], losses["ec-samples"], dim=0)
    assert cosine.item() == pytest.approx(1, abs=1e-5)
    assert torch.cosine_similarity(losses["ec-cam"], losses["ec-samples"], dim=0) < 0.9999
    assert not losses["ec-permuted"].allclose(losses["ec-cam"])


def test_random_weights_have_mean_one(model, batch):
    objective = make(model, "ec-random")
    many = replace(batch, weights=torch.ones(20_000))
    weights = objective._weigh(many, None, torch.Generator().manual_seed(0))
    assert weights.mean().item() == pytest.approx(1, abs=0.03)
    assert weights.std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_multilabel_data(name, model, batch):
    labels = torch.tensor([[1, 0, 1], [0, -1, 0], [0, 1, 0], [-1, 1, 1]], dtype=torch.int8)
    every = torch.zeros(SAMPLES, 3, dtype=torch.int8)
    every[batch.rows] = labels
    objective = make(model, name, labels=every)
    begin(objective, model)
    loss = objective(model, replace(batch, labels=labels), place()).loss
    loss.backward()
    assert loss.isfinite()
    if objective.weights is not None:
        assert objective.weights.weight[2] == 1  # no positive label


def test_the_default_of_mix_is_that_of_the_objective():
    assert REPLACING["ec"] == 1
    assert TrainConfig(output="m", objective="ec").settings()["weighting"] == "uniform"
