"""Dry runs: parts, states and times; nothing is written."""

from __future__ import annotations

import json
import time

import pytest

from ectool.cli.main import main

FILE = """
[defaults]
data = "imagefolder:{images}"
size = 16
device = "cpu"
threads = 1
[experiment]
seeds = [0, 1]
warmup = 0.5
[experiment.arms.plain]
[experiment.arms.consistency]
reweight = "consistency"
[train]
epochs = 4
batch_size = 16
[perturb]
steps = 1
[evaluate]
split = "train"
suite = ["classification"]
"""


@pytest.fixture
def call(capsys, few_options, tmp_path, tree):
    """Return a function that calls a command on the digits, and returns the document."""

    def run(*arguments, dry=True, **options):
        given = {**few_options, **options}
        flags = [f"--{name}={value}" for name, value in given.items() if value is not None]
        before = tree(tmp_path)
        with pytest.raises(SystemExit) as stop:
            main([*map(str, arguments), *flags, *(["--dry-run", "--json"] if dry else ["--quiet"])])
        found = capsys.readouterr()
        assert stop.value.code == 0, found.err
        assert not dry or tree(tmp_path) == before
        return json.loads(found.out) if dry else found.out

    return run


@pytest.mark.slow
def test_perturb_explain_and_evaluate_tell_their_parts(call, model, tmp_path):
    given = {"model": model, "shard-size": 10}
    adv = tmp_path / "adv.zarr"
    plan = call("perturb", **given, output=adv, steps=1)
    assert (plan["output"], plan["up_to_date"]) == (str(adv), False)
    assert list(plan["parts"]) == ["samples", "start and results"]
    assert plan["parts"]["samples"]["images"] == 30
    assert plan["seconds"] >= 1
    call("perturb", **given, output=adv, steps=1, dry=False)
    done = call("perturb", **given, output=adv, steps=1)
    assert (done["up_to_date"], done["seconds"]) == (True, 0)
    other = call("perturb", "--force", **given, output=adv, steps=2)
    assert other["parts"]["samples"]["state"] == "replaces another one, which is moved aside"
    pairs = call("explain", **given, samples=adv, output=tmp_path / "cams.zarr", split=None)
    assert pairs["parts"]["heatmaps"]["batches"] == 1
    suites = call("evaluate", **given, suite="classification,stability", output=tmp_path / "e")
    assert list(suites["parts"])[:3] == ["predictions", "perturbed samples", "heatmaps"]
    assert suites["parts"]["predictions"]["output"] == str(tmp_path / "e/predictions.zarr")


def test_train_counts_the_epochs_that_are_left(call, tmp_path):
    given = {"epochs": 3, "batch-size": 8, "split": None, "output": tmp_path / "m"}
    plan = call("train", **given)
    assert plan["parts"]["3 epochs"]["images"] == 3 * 23
    call("train", **given, dry=False)
    assert call("train", **given)["up_to_date"]


def test_an_experiment_tells_each_arm(call, images, tmp_path):
    path = tmp_path / "e.toml"
    path.write_text(FILE.format(images=images))
    nothing = dict.fromkeys(("data", "split", "size"))
    plan = call("run", path, output=tmp_path / "out", **nothing)
    assert list(plan["parts"]) == [
        *("warmup", "plain: training", "plain: evaluation", "plain: start and results"),
        *("consistency: 2 rounds", "consistency: evaluation", "consistency: start and results"),
    ]
    count = plan["parts"]["warmup"]["images"]
    assert count == plan["parts"]["plain: training"]["images"] > 0


def test_an_error_of_the_command_is_one_of_its_dry_run(capsys, few_options, tmp_path):
    flags = [f"--{name}={value}" for name, value in few_options.items()]
    with pytest.raises(SystemExit) as stop:
        main(["explain", "--model", str(tmp_path / "no"), "--output=x.zarr", *flags, "--dry-run"])
    assert stop.value.code == 3
    assert "expected model artifact, got no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_the_estimate_is_within_a_factor_of_three(call, model, tmp_path):
    given = {"model": model, "data": "digits", "split": "test", "limit": 600, "size": None}
    given |= {"suite": "classification,robustness,sanity", "attacks": "pgd,fgsm"}
    plan = call("evaluate", **given, output=tmp_path / "e")
    start = time.perf_counter()
    call("evaluate", **given, output=tmp_path / "e", dry=False)
    seconds = time.perf_counter() - start
    assert seconds / 3 < plan["seconds"] < 3 * seconds
