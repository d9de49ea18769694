"""The callbacks with the real Trainer of Lightning."""

from __future__ import annotations

import pytest
import torch
from foreign_training import BATCH, COUNT, MEAN, STD, batches, make_samples, same
from foreign_training import network as make_network
from torch.nn import functional as F
from torch.utils.data import DataLoader

import ectool
from ectool.errors import InputError, UsageError
from ectool.integrations.batches import Rows
from ectool.integrations.in_batch import InBatch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
EPOCHS = 2


@pytest.fixture(scope="module")
def lightning():
    import lightning.pytorch

    return lightning.pytorch


def callbacks():
    from ectool.integrations import lightning

    return lightning


@pytest.fixture
def module(lightning):
    """Return somebody's module; its step has the one line that uses weights."""

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = make_network()
            self.seen = []

        def training_step(self, batch, _index):
            images, labels = batch[0], batch[1]
            losses = F.cross_entropy(self.net(images), labels, reduction="none")
            weights = getattr(self, "sample_weights", torch.ones(len(images)))
            self.seen.append((images.clone(), weights.clone()))
            return (weights * losses).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    return Module


@pytest.fixture
def fit(lightning, tmp_path):
    def run(module, data, *made, epochs=EPOCHS, checkpoint=None, **options):
        trainer = lightning.Trainer(
            max_epochs=epochs,
            callbacks=list(made),
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            **options,
        )
        trainer.fit(module, DataLoader(data, BATCH), ckpt_path=checkpoint)
        return trainer

    return run


def test_without_changes_training_is_plain_to_the_bit(module, fit):
    data, plain, ours = make_samples(), module(), module()
    fit(plain, data)
    made = callbacks().InBatchCallback(MEAN, STD, network="net", mix=0.0, objective_start=0.0)
    fit(ours, data, made)
    assert same(ours, plain)


@pytest.mark.parametrize("objective", ["ec", "ec-weights"])
def test_steps_get_the_images_and_weights_of_in_batch(module, fit, objective):
    data, ours = make_samples(), module()
    options = {"objective": objective, "objective_start": 0.0}
    fit(ours, data, callbacks().InBatchCallback(MEAN, STD, network="net", **options), epochs=1)
    network = make_network()
    reference = InBatch(ectool.wrap(network, MEAN, STD), epochs=1, steps=COUNT // BATCH, **options)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    reference.begin(0)
    for (images, labels, _), (shown, weights) in zip(batches(data), ours.seen, strict=True):
        expected = reference(images, labels)
        assert shown.equal(expected.images)
        assert weights.equal(expected.weights)
        losses = F.cross_entropy(network(shown), labels, reduction="none")
        optimizer.zero_grad()
        (weights * losses).mean().backward()
        optimizer.step()
    assert same(ours.net, network)
    assert [image.equal(other) for (image, _), (other, _) in zip(data, make_samples(), strict=True)]


def test_rounds_give_each_sample_its_weight(module, fit):
    data, ours = make_samples(), module()
    made = callbacks().RoundsCallback(data, MEAN, STD, network="net", start=0.5)
    fit(ours, Rows(data), made)
    weights = torch.cat([weights for _, weights in ours.seen])
    assert weights[:COUNT].tolist() == [1.0] * COUNT
    assert weights[COUNT:].equal(made.rounds.weights)
    assert weights[COUNT:].std() > 0


@pytest.mark.parametrize("kind", ["in-batch", "rounds"])
def test_a_training_resumed_from_a_checkpoint_ends_in_the_same_weights(module, fit, tmp_path, kind):
    data = Rows(make_samples())

    def made():
        if kind == "rounds":
            options = {"start": 0.0, "every": 2}
            return callbacks().RoundsCallback(make_samples(), MEAN, STD, network="net", **options)
        options = {"objective": "ec-cam", "samples": COUNT, "moves": False}
        return callbacks().InBatchCallback(MEAN, STD, network="net", objective_start=0.0, **options)

    straight, half, rest = module(), module(), module()
    fit(straight, data, made(), epochs=2)
    stop = StopAfterFirst()
    trainer = fit(half, data, made(), stop(), epochs=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    fit(rest, data, made(), epochs=2, checkpoint=tmp_path / "half.ckpt")
    assert same(straight, rest)
    assert not same(straight, half)


class StopAfterFirst:
    """Make a callback that stops a training after its first epoch."""

    def __call__(self):
        from lightning.pytorch import Callback

        class Stop(Callback):
            def on_train_epoch_end(self, trainer, _module):
                trainer.should_stop = True

        return Stop()


def test_what_is_missing_is_one_line(module, fit):
    data, made = make_samples(), callbacks()
    with pytest.raises(InputError, match="batch: expected the number of each sample"):
        fit(module(), data, made.RoundsCallback(data, MEAN, STD, network="net"))
    with pytest.raises(InputError, match="max_epochs of the Trainer: expected a number"):
        fit(module(), data, made.InBatchCallback(MEAN, STD, network="net"), epochs=-1)
    with pytest.raises(UsageError, match="option ep: expected"):
        made.InBatchCallback(MEAN, STD, ep=1)
