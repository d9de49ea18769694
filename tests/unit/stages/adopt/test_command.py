"""A checkpoint is adopted once; then its folder is a model for every command."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from ectool.config import AdoptConfig, EvaluateConfig, ExplainConfig
from ectool.errors import InputError, OutputExistsError, UsageError
from ectool.models.registry import create
from ectool.stages import adopt, evaluate, explain
from ectool.stages.common.model_folder import load_folder
from ectool.stages.evaluate.results import read_metrics
from ectool.types import Outcome

DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def network():
    return create("smallcnn", DIGITS, seed=3).network


@pytest.fixture
def checkpoint(network, tmp_path):
    """A checkpoint of DistributedDataParallel."""
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "my.pth")
    return tmp_path / "my.pth"


@pytest.fixture
def given(checkpoint, tmp_path):
    return {"model": "smallcnn", "checkpoint": checkpoint, "output": tmp_path / "mine"}


def run(reporter=None, **options):
    return adopt.run(AdoptConfig(**options), *([reporter] if reporter else []))


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_the_artifact_is_the_network(given, network, listener):
    path = run(listener, **given, names=DIGITS).path
    model = load_folder(path)
    assert (model.class_names, model.spec.has_names) == (DIGITS, True)
    assert (model.input_size, model.spec.target_layer) == ((32, 32), "features")
    pixels = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        expected = network.eval()((pixels - 0.5) / 0.25)
        assert torch.equal(model.eval()(pixels), expected)
    assert listener.notes[-1] == (
        f"{path}: smallcnn, 10 classes (0, 1, 2, 3, …), images of 32x32, target layer features "
        "(nchw), mean 0.5,0.5,0.5, std 0.25,0.25,0.25"
    )


def test_the_folder_is_enough_for_the_other_commands(
    given, few_options, quick_evaluation, read, tmp_path
):
    path = run(**given, names=DIGITS).path
    whole = {"model": "smallcnn", "checkpoint": given["checkpoint"], "classes": 10}
    cams = [
        read(explain.run(ExplainConfig(**few_options, **one, output=tmp_path / name)).path)
        for one, name in ((whole, "a.zarr"), ({"model": str(path)}, "b.zarr"))
    ]
    assert cams[0]["clean"].any()
    np.testing.assert_array_equal(cams[0]["clean"], cams[1]["clean"])
    config = EvaluateConfig(
        **few_options,
        **{**quick_evaluation, "suite": ("classification",)},
        model=str(path),
        output=tmp_path / "e",
    )
    found = read_metrics(evaluate.run(config).path)["accuracy@original"]["value"]
    correct = cams[0]["logits_clean"].argmax(axis=1) == cams[0]["label"]
    assert found == pytest.approx(correct.mean())


def test_again_is_up_to_date_until_something_changes(given, listener):
    path = run(**given, names=DIGITS).path
    assert run(listener, **given, names=DIGITS) == Outcome(path, is_new=False)
    assert listener.notes == []
    assert run(**given, names=DIGITS, seed=5).is_new is False  # without a new head
    for change in ({"names": DIGITS[::-1]}, {"layer": "features.0"}, {"mean": "0,0,0"}):
        with pytest.raises(OutputExistsError, match="--force"):
            run(**given, **({"names": DIGITS} | change))
    assert run(**given, names=DIGITS[::-1], force=True).is_new
    assert load_folder(path).class_names == DIGITS[::-1]


@pytest.mark.slow
def test_up_to_date_is_known_without_torch(given):
    run(**given, names=DIGITS)
    code = (
        "import sys; from ectool.config import AdoptConfig; from ectool.stages import adopt\n"
        f"config = AdoptConfig(model='smallcnn', checkpoint={str(given['checkpoint'])!r}, "
        f"names={DIGITS!r}, output={str(given['output'])!r})\n"
        "assert not adopt.run(config).is_new and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dry_run_writes_nothing(given, tmp_path):
    before = sorted(tmp_path.iterdir())
    found = run(**given, dry_run=True)
    assert (len(found["class_names"]), found["target_layer"]) == (10, "features")
    assert sorted(tmp_path.iterdir()) == before
    json.dumps(found)


def test_equal_inputs_give_equal_bytes(given, tmp_path):
    first = contents(run(**given, names=DIGITS).path)
    second = contents(run(**{**given, "output": tmp_path / "twin"}, names=DIGITS).path)
    assert first == second


def test_files_beside_the_checkpoint_tell_normalisation_and_size(given, tmp_path, listener):
    content = {"image_mean": [0.1] * 3, "image_std": [0.2] * 3, "size": 48}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    spec = load_folder(run(listener, **given).path).spec
    assert (spec.mean, spec.std, spec.input_size) == ((0.1,) * 3, (0.2,) * 3, (48, 48))
    assert f"normalisation of {tmp_path / 'preprocessor_config.json'}" in listener.notes[0]
    given["output"] = tmp_path / "other"
    spec = load_folder(run(**given, mean="0,0,0", std="1,1,1", image_size=32).path).spec
    assert (spec.mean, spec.input_size) == ((0.0,) * 3, (32, 32))


def test_unknown_normalisation_is_a_warning(given, tmp_path, monkeypatch, listener):
    (tmp_path / "adopted_zoo.py").write_text(
        "from ectool.models.sources.smallcnn import SmallCNN\n"
        "def net(num_classes):\n    return SmallCNN(num_classes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    given["model"] = "import:adopted_zoo:net"
    run(listener, **given, image_size=32)
    assert any("assumed to be ImageNet's" in text for text in listener.warnings)
    sys.modules.pop("adopted_zoo")


@pytest.fixture
def moco(network, tmp_path):
    state = {n: v for n, v in network.state_dict().items() if not n.startswith("head.")}
    content = {f"module.encoder_q.{n}": v for n, v in state.items()}
    content |= {f"module.encoder_q.head.{n}.weight": torch.ones(4, 96) for n in (0, 2)}
    torch.save({"state_dict": content, "arch": "smallcnn"}, tmp_path / "moco.pth.tar")
    return state


def test_self_supervised_backbones_get_a_new_head(moco, given, tmp_path, listener):
    given |= {"checkpoint": tmp_path / "moco.pth.tar", "names": "cat,dog"}
    with pytest.raises(InputError, match=r"state_dict\.module\.encoder_q: .*--reset-head of adopt"):
        run(**given)
    model = load_folder(run(listener, **given, reset_head=True).path)
    own = model.network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in moco.items())
    fresh = create("smallcnn", ("cat", "dog"), seed=0).network.head.weight
    assert torch.equal(model.network.head.weight, fresh)
    assert any("the head is new: head" in note for note in listener.notes)
    assert any("drawn from seed 0" in text for text in listener.warnings)
    assert run(**given, reset_head=True).is_new is False
    with pytest.raises(OutputExistsError, match="--force"):
        run(**given, reset_head=True, seed=1)


def test_huge_logits_are_a_warning(given, network, listener):
    state = network.state_dict()
    torch.save(state | {"head.weight": state["head.weight"] * 1e6}, given["checkpoint"])
    run(listener, **given)
    assert any("beyond 10000" in text for text in listener.warnings)


class TestRefusals:
    def test_another_number_of_names(self, given):
        with pytest.raises(InputError, match=r"class names: expected 10, as the head of .*, got 2"):
            run(**given, names="cat,dog")
        with pytest.raises(UsageError, match="--classes 3: expected the number of names, 2"):
            run(**given, names="cat,dog", classes=3)

    def test_names_from_two_places(self, given, tmp_path):
        with pytest.raises(UsageError, match="names from one place"):
            run(**given, names="cat,dog", classes_from=tmp_path)

    def test_a_new_head_of_unknown_size(self, given):
        with pytest.raises(UsageError, match="got no --names, --classes-from or --classes"):
            run(**given, reset_head=True)

    def test_no_checkpoint_and_programs(self, given):
        with pytest.raises(UsageError, match="--checkpoint: expected the weights"):
            run(**{**given, "checkpoint": None})
        with pytest.raises(UsageError, match="a program, which contains its weights"):
            run(**{**given, "model": "torchscript:net.pt"})

    def test_paths_as_architecture(self, given, tmp_path):
        for path, kind in ((given["checkpoint"], "a file"), (tmp_path, "a folder")):
            with pytest.raises(UsageError, match=f"name of an architecture, got {kind}; give a"):
                run(**{**given, "model": str(path)})
        with pytest.raises(InputError, match="got 'resnet81'; try resnet"):
            run(**{**given, "model": "resnet81"})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda name, v: v * 0 if "head" in name else v,
                "others for other images, got the same",
            ),
            (lambda name, v: v * 3e38 if "weight" in name else v, "finite"),
        ],
        ids=["constant", "infinite"],
    )
    def test_logits_that_say_nothing(self, given, network, change, message):
        state = {name: change(name, value) for name, value in network.state_dict().items()}
        torch.save(state, given["checkpoint"])
        with pytest.raises(InputError, match=message):
            run(**given)
        assert not given["output"].exists()
