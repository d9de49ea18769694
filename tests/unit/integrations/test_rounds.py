from __future__ import annotations

import numpy as np
import pytest
import torch
from foreign_training import COUNT, MEAN, STD, batches, make_samples, same, trained
from foreign_training import network as make_network
from torch.nn import functional as F

import ectool
from ectool.errors import InputError, UsageError
from ectool.integrations.batches import Rows
from ectool.integrations.rounds import Rounds

PIXELS = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def rounds_of(model, samples, epochs=3, **options):
    return Rounds(ectool.wrap(model, mean=MEAN, std=STD), samples, epochs=epochs, **options)


def expected(model, samples, **options):
    """Return the weights of the samples from their pixels, by the functions of ectool."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    images = torch.stack([(image * std + mean).clamp(0, 1) for image, _ in samples])
    labels = torch.stack([label for _, label in samples])
    wrapped = ectool.wrap(model, mean=MEAN, std=STD)
    perturbed = ectool.perturb(wrapped, images, labels, **options) if options else None
    return ectool.weights(ectool.consistency(wrapped, images, labels, perturbed=perturbed))


@pytest.mark.parametrize("attack", [{}, {"eps": 8 / 255, "steps": 1}])
def test_weights_are_those_of_the_present_network(attack):
    model, samples = make_network(), make_samples()
    ours = rounds_of(model, samples, start=0.0, attack=attack or None)
    assert ours(torch.arange(3)).tolist() == [1, 1, 1]
    assert ours.begin(0)
    np.testing.assert_allclose(ours.weights, expected(model, samples, **attack), rtol=1e-4)
    rows = torch.tensor([5, 0, 5])
    assert ours(rows).tolist() == ours.weights[rows].tolist()


def test_the_loss_of_a_loop_is_the_weighted_one():
    samples = make_samples()
    seen = []
    model = make_network()
    ours = rounds_of(model, samples, epochs=2, start=0.5)

    def weigh(images, labels, rows):
        seen.append(ours(rows))
        return images, seen[-1]

    trained(samples, 2, weigh, ours.begin, model)
    again = make_network()
    optimizer = torch.optim.SGD(again.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(2):
        weights = torch.ones(COUNT)
        if epoch == 1:
            again.train()
            weights = torch.from_numpy(expected(again, samples))
        for images, labels, rows in batches(samples):
            losses = F.cross_entropy(again(images), labels, reduction="none")
            optimizer.zero_grad()
            ((weights[rows] * losses).sum() / len(rows)).backward()
            optimizer.step()
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert torch.cat(seen[:2]).tolist() == [1.0] * COUNT
    assert torch.cat(seen[2:]).std() > 0


def test_weights_of_one_are_plain_training():
    samples = make_samples()
    model = make_network()
    ours = rounds_of(model, samples, gamma=0.0, start=0.0)
    trained(samples, 2, lambda x, y, rows: (x, ours(rows)), ours.begin, model)
    plain = trained(samples, 2, lambda x, y, r: (x, torch.ones(len(x))), lambda epoch: None)
    assert same(model, plain)


def test_rounds_begin_after_the_start_and_every_few_epochs():
    ours = rounds_of(make_network(), make_samples()[:4], epochs=10, start=0.2, every=3)
    found = [ours.begin(epoch) for epoch in range(10)]
    assert [epoch for epoch, new in enumerate(found) if new] == [2, 5, 8]


def test_a_resumed_training_has_the_weights_of_its_round():
    model, samples = make_network(), make_samples()
    first, second = (rounds_of(model, samples, start=0.0, every=2) for _ in range(2))
    first.begin(0)
    second.load_state_dict(first.state_dict())
    assert not second.begin(1)
    assert second.weights.equal(first.weights)
    third = rounds_of(model, samples[:5], start=0.0)
    with pytest.raises(InputError, match="weights: expected 5, one per sample, got 16"):
        third.load_state_dict(first.state_dict())


def test_numbers_of_other_data_are_one_line():
    ours = rounds_of(make_network(), make_samples())
    with pytest.raises(
        InputError, match="rows: expected numbers of samples from 0 to 15, got 3 to"
    ):
        ours(torch.tensor([3, 16]))


def test_samples_may_be_dicts():
    model, samples = make_network(), make_samples()
    named = [{"pixel_values": image, "labels": int(label)} for image, label in samples]
    ours, theirs = (rounds_of(model, one, start=0.0) for one in (named, samples))
    np.testing.assert_array_equal(ours.score(), theirs.score())


def test_rows_number_samples_of_both_kinds():
    samples = make_samples()
    named = Rows([{"label": 1}, {"label": 2}])
    assert named[1] == {"label": 2, "row": 1}
    assert Rows(samples)[3][2] == 3
    assert len(Rows(samples)) == COUNT


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"start": 2.0}, r"start: expected a share in \[0, 1\], got 2.0"),
        ({"every": 0}, "every: expected at least 1, got 0"),
        ({"gama": 1.0}, "option gama: expected .*use gamma"),
        ({"cap": 0.5}, "cap.*got 0.5"),
    ],
)
def test_wrong_options_are_one_line(options, match):
    with pytest.raises(UsageError, match=match):
        rounds_of(make_network(), make_samples(), **options)


@pytest.mark.parametrize(
    ("sample", "match"),
    [
        ({"pixels": 1}, "sample of the data set: expected images and labels.*the keys pixels"),
        (3, "sample of the data set: expected images and labels.*got a int"),
        ((torch.full((3, 16, 16), 9.0), 0), r"images: expected pixels in \[0, 1\] after mean"),
    ],
)
def test_wrong_samples_are_one_line(sample, match):
    ours = rounds_of(make_network(), [sample] * 4, start=0.0)
    with pytest.raises(InputError, match=match):
        ours.begin(0)
