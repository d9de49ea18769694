"""Artifacts are joined with the images they were made of, or refused."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from ectool.config import (
    AgreeConfig,
    ExplainConfig,
    MaterializeConfig,
    PerturbConfig,
    ScoreConfig,
    TrainConfig,
)
from ectool.errors import InputError
from ectool.stages import explain, perturb, score, train
from ectool.stages.data import materialize
from ectool.stages.tools import agree

SIDE = 32
BOTH = re.compile(r"expected images of .*, fingerprint (\w{12}), got those of .* (\w{12})[ ;,.]")


@pytest.fixture(scope="module")
def made(model, few, tmp_path_factory):
    """Return a folder of images, and the artifacts of a round on it."""
    root = tmp_path_factory.mktemp("made")
    shutil.copytree(few, root / "few")
    data = {"data": f"imagefolder:{root / 'few'}", "split": "all", "size": SIDE}
    perturb.run(
        PerturbConfig(model=str(model), **data, steps=1, output=root / "adv.zarr", device="cpu")
    )
    explain.run(
        ExplainConfig(
            model=str(model), samples=root / "adv.zarr", output=root / "cams.zarr", device="cpu"
        )
    )
    score.run(ScoreConfig(heatmaps=root / "cams.zarr"))
    return root


@pytest.fixture
def changed(few, tmp_path):
    """Return a folder of the same images but one, in which a single value differs by 1."""
    root = tmp_path / "changed"
    shutil.copytree(few, root)
    path = root / "3" / "1.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    return root


def reading(folder, **more):
    return {"data": f"imagefolder:{folder}", "split": "all", "size": SIDE, **more}


@pytest.fixture
def calls(model, made, tmp_path):
    """Return by name the functions that join an artifact of `made` with the images of a folder."""
    new = tmp_path / "new.zarr"
    given = {"model": str(model), "device": "cpu"}
    learning = {"epochs": 1, "output": tmp_path / "model", "device": "cpu"}

    def agreeing(data):
        b = explain.run(ExplainConfig(**given, **data, output=new)).path
        agree.run(AgreeConfig(a=b, b=made / "cams.zarr", bootstrap=100))

    def scoring(data):
        samples = perturb.run(PerturbConfig(**given, **data, steps=1, output=new)).path
        cams = explain.run(
            ExplainConfig(**given, samples=samples, output=tmp_path / "cams.zarr")
        ).path
        score.run(ScoreConfig(heatmaps=cams, previous=made / "weights.zarr", momentum=0.5))

    return {
        "explain": lambda data: (
            explain.run(ExplainConfig(**given, **data, samples=made / "adv.zarr", output=new)).path
        ),
        "perturb": lambda data: (
            perturb.run(
                PerturbConfig(**given, **data, init=made / "adv.zarr", steps=1, output=new)
            ).path
        ),
        "train-samples": lambda data: (
            train.run(TrainConfig(**learning, **data, samples=made / "adv.zarr")).path
        ),
        "train-weights": lambda data: (
            train.run(TrainConfig(**learning, **data, weights=made / "weights.zarr")).path
        ),
        "materialize": lambda data: (
            materialize.run(
                MaterializeConfig(
                    **{("uri" if name == "data" else name): value for name, value in data.items()},
                    remove=str(made / "cams.zarr"),
                    share=0.5,
                    output=new,
                )
            ).path
        ),
        "score": scoring,
        "agree": agreeing,
    }


NAMES = (
    *("explain", "perturb", "train-samples", "train-weights", "materialize", "score", "agree"),
)
WITH_FEWER = ("perturb", "train-samples", "train-weights", "materialize", "score")
"""What takes as many samples of an artifact as it needs."""


@pytest.mark.parametrize("name", NAMES)
def test_images_that_have_changed_are_refused_by_both_fingerprints(name, calls, changed, tmp_path):
    with pytest.raises(InputError) as caught:
        calls[name](reading(changed))
    (found,) = BOTH.findall(f"{caught.value} ")
    assert found[0] != found[1]
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_images_may_lie_elsewhere(name, calls, few):
    calls[name](reading(few))


@pytest.mark.parametrize("name", WITH_FEWER)
def test_fewer_of_the_same_images_may_be_used(name, calls, few):
    calls[name](reading(few, limit=20))


@pytest.mark.parametrize("name", WITH_FEWER)
def test_fewer_of_other_images_may_not(name, calls, changed):
    with pytest.raises(InputError, match=r"fingerprint \w{12}"):
        calls[name](reading(changed, limit=20))


@pytest.mark.parametrize("name", ["explain", "perturb", "train-samples"])
def test_another_view_is_another_image(name, calls, few):
    with pytest.raises(InputError, match=r"fingerprint \w{12}|uint8 images of shape"):
        calls[name](reading(few) | {"size": 16})


def test_weights_belong_to_samples_however_they_are_shown(calls, few):
    calls["train-weights"](reading(few) | {"size": 16})


def test_other_images_of_the_same_names_are_refused_on_purpose_too(model, samples, tmp_path):
    config = ExplainConfig(
        model=str(model), samples=samples, rho=0.25, output=tmp_path / "cams.zarr", device="cpu"
    )
    with pytest.raises(InputError, match=r"--samples .*expected images of digits \(validation\)"):
        explain.run(config)


def test_a_resumed_model_names_both_fingerprints(few, changed, tmp_path):
    given = {"epochs": 2, "device": "cpu"}
    first = train.run(
        TrainConfig(**given, **reading(few), until_epoch=1, output=tmp_path / "first")
    ).path
    with pytest.raises(InputError, match=r"fingerprint \w{12}, got others, fingerprint \w{12}"):
        train.run(
            TrainConfig(**given, **reading(changed), resume=first, output=tmp_path / "second")
        )
