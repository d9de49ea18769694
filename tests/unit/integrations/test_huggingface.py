"""The callbacks with the real Trainer, on a tiny network with random weights."""

from __future__ import annotations

import pytest
import torch
from foreign_training import CLASSES, COUNT, MEAN, SIDE, STD, make_samples, same
from torch.nn import functional as F

import ectool
from ectool.errors import InputError, UsageError
from ectool.integrations.batches import Rows
from ectool.integrations.in_batch import InBatch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),
]
BATCH = 8


@pytest.fixture(scope="module")
def transformers():
    import transformers

    transformers.utils.logging.set_verbosity_error()
    return transformers


@pytest.fixture
def tiny(transformers):
    """Return a tiny ResNet and a tiny ViT by name, each with its own random weights."""

    def make(kind="resnet"):
        common = {"num_labels": CLASSES}
        if kind == "resnet":
            config = transformers.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", **common
            )
            made = transformers.ResNetForImageClassification
        else:
            config = transformers.ViTConfig(
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=16,
                image_size=SIDE,
                patch_size=4,
                hidden_dropout_prob=0.0,
                **common,
            )
            made = transformers.ViTForImageClassification
        torch.manual_seed(0)
        return made(config)

    return make


def data_of(samples):
    return [{"pixel_values": image, "labels": int(label)} for image, label in samples]


@pytest.fixture
def train(transformers, tmp_path):
    def run(model, data, *callbacks, epochs=2, resume=None, **options):
        settings = {
            "remove_unused_columns": False,
            "save_strategy": "no",
            "per_device_train_batch_size": BATCH,
            **options,
        }
        arguments = transformers.TrainingArguments(
            str(tmp_path / "run"),
            num_train_epochs=epochs,
            learning_rate=1e-2,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            seed=3,
            **settings,
        )
        trainer = transformers.Trainer(
            model, arguments, train_dataset=data, callbacks=list(callbacks)
        )
        trainer.train(resume_from_checkpoint=resume)
        return model

    return run


def callbacks():
    from ectool.integrations import huggingface

    return huggingface


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_without_changes_training_is_plain_to_the_bit(tiny, train, kind):
    data, made = data_of(make_samples()), callbacks()
    plain = train(tiny(kind), data)
    ours = train(tiny(kind), data, made.InBatchCallback(MEAN, STD, mix=0.0, objective_start=0.0))
    assert same(ours, plain)
    assert not ours._forward_hooks
    assert not ours._forward_pre_hooks
    equal = made.InBatchCallback(
        MEAN, STD, objective="ec-weights", gamma=0.0, objective_start=0.0
    )  # weights of 1, and so the replaced loss is the model's own
    for one, other in zip(
        train(tiny(kind), data, equal).parameters(), plain.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["resnet", "vit"])
@pytest.mark.parametrize("objective", ["ec", "ec-weights"])
def test_the_model_learns_from_what_in_batch_makes_of_each_batch(tiny, train, kind, objective):
    data, seen = data_of(make_samples()), []
    model = tiny(kind)
    made = callbacks().InBatchCallback(MEAN, STD, objective=objective, objective_start=0.0, seed=5)
    clean = {image.numpy().tobytes() for image, _ in make_samples()}

    def watch(_module, _arguments, inputs, output):
        if model.training:
            logits, loss = output["logits"].detach(), output["loss"].detach()
            seen.append((inputs["pixel_values"].clone(), inputs["labels"], logits, loss))

    model.register_forward_hook(watch, with_kwargs=True)
    # Registered before the callback's hook: it sees the model's own loss.
    train(model, data, made, epochs=1)
    changed = [sum(image.numpy().tobytes() not in clean for image in images) for images, *_ in seen]
    assert len(seen) == COUNT // BATCH
    assert changed == ([BATCH] * len(seen) if objective == "ec" else [0] * len(seen))


def test_the_weighted_loss_is_the_one_computed_by_hand(tiny, train):
    """The order of hooks: ours is registered when the training begins, so this one runs later."""
    data, found, expected = data_of(make_samples()), [], []
    model = tiny("vit")  # without running statistics, which the forward pass would change
    reference = {}
    made = callbacks().InBatchCallback(MEAN, STD, objective="ec-weights", objective_start=0.0)
    begin = made.on_train_begin

    def on_train_begin(arguments, state, control, **kwargs):
        begin(arguments, state, control, **kwargs)
        reference["ours"] = InBatch(
            ectool.wrap(kwargs["model"], MEAN, STD),
            epochs=1,
            steps=COUNT // BATCH,
            objective="ec-weights",
            objective_start=0.0,
        )
        reference["ours"].begin(0)

        def watch(module, _arguments, inputs, output):
            if not module.training:
                return
            images, labels = inputs["pixel_values"], inputs["labels"]
            found.append(float(output["loss"].detach()))
            weights = reference["ours"](images, labels).weights
            losses = F.cross_entropy(output["logits"].detach(), labels, reduction="none")
            expected.append(float((weights * losses).mean()))

        kwargs["model"].register_forward_hook(watch, with_kwargs=True)

    made.on_train_begin = on_train_begin
    train(model, data, made, epochs=1)
    assert len(found) == COUNT // BATCH
    assert found == pytest.approx(expected, rel=1e-4)


def test_weights_of_rounds_reach_the_loss(tiny, train):
    samples = make_samples()
    data, losses = data_of(samples), []
    made = callbacks().RoundsCallback(data, MEAN, STD, start=0.5)
    model = tiny()
    begin = made.on_train_begin

    def on_train_begin(arguments, state, control, **kwargs):
        begin(arguments, state, control, **kwargs)

        def watch(module, _arguments, inputs, output):
            if module.training:
                hard = F.cross_entropy(output["logits"], inputs["labels"], reduction="none")
                rows = [match(samples, image) for image in inputs["pixel_values"]]
                weights = made.rounds.weights[torch.tensor(rows)]
                losses.append(
                    (float(output["loss"].detach()), float((weights * hard.detach()).mean()))
                )

        kwargs["model"].register_forward_hook(watch, with_kwargs=True)

    made.on_train_begin = on_train_begin
    train(model, Rows(data), made)
    assert [one for one, _ in losses] == pytest.approx([other for _, other in losses], rel=1e-4)
    assert made.rounds.weights.std() > 0
    assert made.rounds.weights.mean() == pytest.approx(1, rel=1e-4)


def match(samples, image):
    return next(row for row, (other, _) in enumerate(samples) if other.equal(image))


def test_rounds_with_weights_of_one_are_plain_training(tiny, train):
    data = data_of(make_samples())
    plain = train(tiny(), data)
    ours = train(tiny(), Rows(data), callbacks().RoundsCallback(data, MEAN, STD, gamma=0.0))
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_accumulated_steps_give_the_gradient_of_the_whole_batch(tiny, train):
    """Two halves of a batch with the mean of their losses; batch norms see halves in both."""
    data = data_of(make_samples())
    runs = [
        train(
            tiny("vit"),
            Rows(data),
            callbacks().RoundsCallback(data, MEAN, STD, start=0.0),
            **accumulated,
        )
        for accumulated in (
            {"per_device_train_batch_size": 8},
            {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
        )
    ]
    for one, other in zip(*(run.parameters() for run in runs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_resumed_training_ends_in_the_same_weights(tiny, train, tmp_path):
    data = data_of(make_samples())
    made = callbacks()
    whole = train(tiny(), data, made.InBatchCallback(MEAN, STD), save_strategy="epoch")
    first = sorted((tmp_path / "run").glob("checkpoint-*"), key=lambda p: int(p.name[11:]))[0]
    again = train(
        tiny(), data, made.InBatchCallback(MEAN, STD), save_strategy="no", resume=str(first)
    )
    assert same(whole, again)


def test_without_rows_or_labels_one_line_says_what_is_missing(tiny, train):
    data, made = data_of(make_samples()), callbacks()
    with pytest.raises(InputError, match=r"batch: expected the number of each sample.*Rows\("):
        train(tiny(), data, made.RoundsCallback(data, MEAN, STD))
    with pytest.raises(InputError, match=r"inputs of the model: .*leave out label_smoothing_fac"):
        train(
            tiny(),
            data,
            made.InBatchCallback(MEAN, STD, objective_start=0.0),
            label_smoothing_factor=0.1,
        )
    with pytest.raises(UsageError, match="option ep: expected"):
        made.InBatchCallback(MEAN, STD, ep=1)


def test_evaluation_sees_the_images_as_they_are(tiny):
    made = callbacks().InBatchCallback(MEAN, STD)
    model = tiny().eval()
    images = torch.stack([image for image, _ in make_samples()])
    before = model(pixel_values=images).logits
    made._hooks.watch(model)
    assert model(pixel_values=images).logits.equal(before)
