"""`perturb` with every attack: what options reach, and what is refused."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from ectool.attacks import ATTACKS
from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES, TARGET_CLASSES
from ectool.attacks.masks import BACKGROUND_RULES
from ectool.config import ATTACK_OPTIONS, LEVELLESS_MASKS, MAPLESS_MASKS, PerturbConfig
from ectool.errors import UsageError
from ectool.explainers.cam.differentiable import DifferentiableGradCAM
from ectool.explainers.gradient.input_gradient import InputXGradient
from ectool.models.classifier import to_pixels
from ectool.models.objective import sample_losses
from ectool.stages.common.batches import AttackBatch, Samples
from ectool.stages.common.loop.computing import fetched
from ectool.stages.perturb.attacker import Attacker
from ectool.stages.perturb.work import PerturbWork

N = 30
ROWS = np.arange(N)


@pytest.fixture
def work(few_digits, network, tmp_path):
    """Perturb the thirty digits in memory, without writing anything."""

    def run(rows=ROWS, **given):
        config = PerturbConfig(model="unused", output=tmp_path / "adv.zarr", **given)
        work = PerturbWork(config, network, few_digits, None)
        return fetched(work.compute(work.load(rows)))

    return run


@pytest.fixture(scope="module")
def clean(few_digits):
    return few_digits.images(ROWS)


@pytest.fixture(scope="module")
def labels(few_digits):
    return torch.from_numpy(few_digits.labels.copy())


def losses(arrays, labels):
    logits = torch.from_numpy(arrays["logits_adversarial"])
    return F.cross_entropy(logits, labels, reduction="none")


def without_objects(images, backgrounds):
    """Fill the object of every image with the mean colour of its background."""
    result = images.astype(float)
    for image, background in zip(result, backgrounds, strict=True):
        image[:, ~background] = image[:, background].mean(1)[:, None]
    return result


OPTIONS = {
    "noise": {},
    "blur": {"sigma": 2.0},
    "fill": {"fill_color": "0.5,0.5,0.5"},
    "fgsm": {},
    "swap": {},
}


class TestAttacks:
    @pytest.mark.parametrize("norm", BALLS)
    @pytest.mark.parametrize("attack", ATTACKS)
    def test_only_the_background_moves_and_it_stays_in_the_ball(self, attack, norm, work, clean):
        eps = {"linf": 6 / 255, "l2": 0.5}[norm]
        given = OPTIONS.get(attack, {"steps": 2})
        if ATTACKS[attack].bounded:
            given = {**given, "norm": norm, "eps": eps}
        arrays = work(attack=attack, **given)
        moved = arrays["image"].astype(int) - clean.astype(int)
        background = np.broadcast_to(arrays["background"][:, None], moved.shape)
        assert not moved[~background].any()
        assert moved.any()
        if ATTACKS[attack].bounded:
            flat = moved.reshape(N, -1) / 255
            length = np.abs(flat).max(1) if norm == "linf" else np.sqrt(np.square(flat).sum(1))
            assert (length <= eps * (1 + 1e-12)).all()

    @pytest.mark.parametrize("attack", ["fgsm", "pgd", "mim", "apgd"])
    def test_the_loss_rises(self, attack, work, labels):
        control = losses(work(attack="noise", mask="full"), labels).mean()
        steps = {} if attack == "fgsm" else {"steps": 4}
        assert losses(work(attack=attack, mask="full", **steps), labels).mean() > control

    def test_the_explanation_changes_and_the_prediction_is_kept(self, work, network, clean, labels):
        arrays = work(attack="explanation", steps=6, eps=6 / 255)
        noise = work(attack="noise", eps=6 / 255)
        predictions = [arrays[f"logits_{name}"].argmax(1) for name in ("clean", "adversarial")]
        np.testing.assert_array_equal(*predictions)
        explain = DifferentiableGradCAM(network)

        def similarity(images):
            maps = [explain(to_pixels(x), labels).heatmaps.detach() for x in (clean, images)]
            return F.cosine_similarity(maps[0].flatten(1), maps[1].flatten(1)).mean()

        assert 1 - similarity(arrays["image"]) > 20 * (1 - similarity(noise["image"]))

    @pytest.mark.parametrize("seed", [0, 1])
    def test_swap_takes_the_background_of_another_image_whatever_the_batch(self, seed, work, clean):
        arrays = work(attack="swap", seed=seed, mask="full")
        taken = [(clean == image).all((1, 2, 3)).nonzero()[0].tolist() for image in arrays["image"]]
        assert all(len(others) == 1 and others != [row] for row, others in enumerate(taken))
        assert len({others[0] for others in taken}) > N / 3
        rows = np.array([7, 2, 11])
        part = work(rows, attack="swap", seed=seed)
        donors = [taken[row][0] for row in rows]
        behind = without_objects(clean[donors], work(np.array(donors))["background"])
        expected = np.where(part["background"][:, None], behind, clean[rows])
        np.testing.assert_allclose(part["image"], expected, atol=0.51)
        others = work(attack="swap", seed=1 - seed, mask="full")["image"]
        assert (others != arrays["image"]).any((1, 2, 3)).mean() > 0.8

    def test_swap_removes_the_annotated_object_of_the_other_image(self, work, few_digits, clean):
        objects = few_digits.annotations(ROWS).masks
        images = work(attack="swap", mask="full")["image"]
        taken = [(clean == image).all((1, 2, 3)).argmax() for image in images]
        found = work(attack="swap", mask="object", dilate=1)
        backgrounds = [~ndimage.binary_dilation(one, np.ones((3, 3))) for one in objects[taken]]
        expected = np.where(
            found["background"][:, None], without_objects(clean[taken], backgrounds), clean
        )
        np.testing.assert_allclose(found["image"], expected, atol=0.51)

    def test_restarts_keep_the_worst(self, work, labels):
        one, three = (losses(work(steps=1, restarts=r, loss="ce"), labels) for r in (1, 3))
        assert (three >= one - 1e-4).all()
        assert three.sum() > one.sum()

    @pytest.mark.parametrize("attack", ["pgd", "explanation", "apgd"])
    def test_the_batch_does_not_matter(self, attack, work):
        given = {"attack": attack, "steps": 2, "restarts": 2, "soft": 2}
        rows = np.array([7, 2, 11])
        whole, part = work(**given), work(rows, **given)
        assert (whole["image"][rows] != part["image"]).mean() < 0.01
        np.testing.assert_array_equal(whole["background"][rows], part["background"])

    @pytest.mark.parametrize("name", TARGET_CLASSES)
    def test_target_classes_become_likelier(self, name, work, labels):
        arrays = work(target_class=name, steps=4, mask="full")
        before, after = (
            torch.from_numpy(arrays[f"logits_{key}"]) for key in ("clean", "adversarial")
        )
        ids = arrays["sample_id"].tolist()
        targets = TARGET_CLASSES[name](before, labels, ids, 0)
        gain = (after.log_softmax(1) - before.log_softmax(1)).gather(1, targets[:, None])
        assert gain.mean() > 0.1
        assert not (targets == labels).any()

    @pytest.mark.parametrize("loss", LOSSES)
    def test_every_loss_causes_misclassifications(self, loss, work, labels):
        arrays = work(loss=loss, steps=4, mask="full", eps=16 / 255)
        wrong = [
            (arrays[f"logits_{name}"].argmax(1) != labels.numpy()).sum()
            for name in ("clean", "adversarial")
        ]
        assert wrong[1] > wrong[0]


class TestMasks:
    def test_threshold_dilation_and_ramp(self, work):
        level = 0.05
        plain, grown, soft = (
            work(mask="threshold", mask_level=level, attack="noise", **more)
            for more in ({}, {"dilate": 2}, {"dilate": 2, "soft": 3})
        )
        for row in range(N):
            expected = ~ndimage.binary_dilation(~plain["background"][row], np.ones((5, 5)))
            np.testing.assert_array_equal(grown["background"][row], expected)
        np.testing.assert_array_equal(soft["background"], grown["background"])
        assert 0 < grown["background"].mean() < plain["background"].mean() < 1

    @pytest.mark.parametrize("rule", ["quantile", "inverse"])
    def test_smoothed_maps_select_the_background(self, rule, work, network, clean, labels):
        maps = InputXGradient(network)(to_pixels(clean), labels).heatmaps.numpy()
        share, q = 0.05, 0.75
        sigma = share * 32
        smoothed = ndimage.gaussian_filter(
            maps, sigma, mode="mirror", radius=int(np.ceil(3 * sigma)), axes=(1, 2)
        )
        expected = smoothed <= np.quantile(smoothed, q, (1, 2), keepdims=True)
        given = {"method": "input-x-gradient", "mask": rule, "mask_level": q, "attack": "noise"}
        found = work(mask_smooth=share, **given)["background"]
        assert (found != (expected == (rule == "quantile"))).mean() < 0.002
        assert (work(**given)["background"] != found).mean() > 0.05
        assert "mask_smooth" not in PerturbConfig(model="m", output="o").keyed()

    def test_eps_rises_from_the_edge(self, work, clean):
        levels, pixels = 12, 3
        arrays = work(mask="object", soft=pixels, attack="noise", eps=levels / 255)
        moved = np.abs(arrays["image"].astype(int) - clean.astype(int)).max(1)
        for row in range(N):
            distance = ndimage.distance_transform_cdt(arrays["background"][row], "chessboard")
            allowed = levels * np.minimum(distance / (pixels + 1), 1)
            assert (moved[row] <= allowed + 1e-6).all()
            assert moved[row][distance > pixels].max() == levels


REFUSED = [
    ({"attack": "fill", "norm": "l2"}, r"--norm: expected an attack that it applies to \(fgsm,"),
    ({"attack": "blur", "eps": 0.1}, r"--eps: expected an attack .* got --attack blur; leave"),
    ({"attack": "noise", "steps": 3}, r"--steps: expected an attack .* got --attack noise"),
    ({"attack": "fgsm", "alpha": 0.1}, r"--alpha: expected an attack .* \(pgd, mim, explanation\)"),
    ({"attack": "apgd", "alpha": 0.1}, r"--alpha: expected an attack .* got --attack apgd"),
    ({"attack": "explanation", "loss": "dlr"}, r"--loss: .* got --attack explanation"),
    ({"decay": 0.5}, r"--decay: expected an attack that it applies to \(mim\), got --attack pgd"),
    ({"sigma": 2}, r"--sigma: expected an attack that it applies to \(blur\)"),
    ({"attack": "explanation", "eps": "auto"}, r"--eps: expected an attack on the prediction, by"),
    ({"attack": "swap", "eps": "auto"}, r"--eps: expected an attack that it applies to \(fgsm, "),
    ({"fill_color": "0,0,0"}, r"--fill-color: expected an attack that it applies to \(fill\)"),
    ({"attack": "fill", "fill_color": "0,0,255"}, r"--fill-color: expected three numbers in \[0,"),
    (
        {"attack": "explanation", "random_start": False},
        "--no-random-start: expected a random start",
    ),
    ({"norm": "l2"}, "--eps: expected a radius in the l2 norm, got none; give one, such as"),
    ({"eps": 1.5}, "--eps: expected less than or equal to 1, got 1.5"),
    ({"alpha": 2}, "--alpha: expected less than or equal to 1, got 2"),
    (
        {"mask": "threshold"},
        "--mask-level: expected a level on the scale of the heatmaps, got none",
    ),
    ({"mask": "otsu", "mask_level": 0.3}, "--mask-level: expected a mask rule with a level, got"),
    (
        {"mask": "full", "mask_smooth": 0.1},
        "--mask-smooth: expected a mask rule that uses",
    ),
    ({"mask_level": 2}, "--mask-level: expected less than or equal to 1, got 2; give a number"),
]


class TestOptions:
    @pytest.mark.parametrize(("given", "message"), REFUSED)
    def test_contradictions_are_refused(self, given, message):
        with pytest.raises(UsageError, match=message):
            PerturbConfig(model="m", output="a.zarr", **given)

    @pytest.mark.parametrize(
        "given",
        [
            {"norm": "l2", "eps": 3, "alpha": 2},
            {"attack": "fill", "steps": None, "init": None},
            {"attack": "explanation", "random_start": False, "init": "old.zarr"},
            {"mask": "threshold", "mask_level": 7},
        ],
    )
    def test_what_fits_is_taken(self, given):
        PerturbConfig(model="m", output="a.zarr", **given)

    @pytest.mark.parametrize(
        ("name", "registry"),
        [
            ("attack", ATTACKS),
            ("norm", BALLS),
            ("mask", BACKGROUND_RULES),
            ("loss", {"auto", *LOSSES}),
        ],
    )
    def test_choices_are_the_registrys(self, name, registry):
        assert set(get_args(PerturbConfig.model_fields[name].annotation)) == set(registry)

    def test_tables_of_options_are_the_registrys(self):
        assert set(ATTACK_OPTIONS) == set(ATTACKS)
        assert set().union(*ATTACK_OPTIONS.values()) < set(PerturbConfig.model_fields)
        levelless = {name for name, rule in BACKGROUND_RULES.items() if not rule.has_level}
        assert levelless == LEVELLESS_MASKS
        mapless = {name for name, rule in BACKGROUND_RULES.items() if rule.source != "heatmap"}
        assert mapless == MAPLESS_MASKS
        bounded = {name for name, options in ATTACK_OPTIONS.items() if "eps" in options}
        assert bounded == {name for name, kind in ATTACKS.items() if kind.bounded}
        choices = get_args(PerturbConfig.model_fields["target_class"].annotation)[0]
        assert set(get_args(choices)) == set(TARGET_CLASSES)


@pytest.mark.parametrize("attack", ["explanation", "pgd"])
def test_multilabel_images_are_attacked(attack, network, clean, labels, tmp_path):
    pixels = to_pixels(clean)
    several = F.one_hot(labels, 10).to(torch.int8)
    several[torch.arange(N), (labels + 1) % 10] = torch.where(labels % 2 == 0, 1, -1).to(torch.int8)
    with torch.no_grad():
        logits = network(pixels)
    config = PerturbConfig(model="m", output=tmp_path, attack=attack, steps=4)
    background = torch.ones(N, 32, 32, dtype=torch.bool)
    ids = [str(row) for row in range(N)]
    batch = AttackBatch.of(Samples(ids, several.numpy()), pixels, background, logits)
    found = Attacker(config, network, network, 2)(batch)
    if attack == "explanation":
        assert torch.equal(found.logits > 0, logits > 0)
        assert (found.images.numpy() != clean).any(axis=(1, 2, 3)).mean() > 0.3
    else:
        assert (sample_losses(found.logits, several) > sample_losses(logits, several)).all()


def test_multilabel_data_has_no_target_class(tmp_path):
    class TwoClasses:
        class_names = ("a", "b")

    def make(width, **given):
        config = PerturbConfig(model="m", output=tmp_path, **given)
        return Attacker(config, TwoClasses(), TwoClasses(), width)

    with pytest.raises(
        UsageError, match="--target-class: expected one label per sample, got multi-label"
    ):
        make(2, target_class="second")
    with pytest.raises(UsageError, match="--loss dlr: expected at least 3 classes, got 2"):
        make(None, loss="dlr")
