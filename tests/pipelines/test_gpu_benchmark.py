"""The benchmark of accelerators, which compares the CPU with itself where there is none."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks.gpu import __main__ as benchmark
from benchmarks.gpu.checks import Check, explainer_checks
from benchmarks.gpu.subjects import CPU, paired_networks
from ectool.attacks import ATTACKS
from ectool.config.evaluation_attacks import EVALUATION_ATTACKS
from ectool.explainers import EXPLAINERS
from ectool.training.objectives import OBJECTIVES


def test_another_network_is_noticed():
    with paired_networks("smallresnet", CPU) as pair:
        assert all(check.holds for check in explainer_checks("gradcam", pair))
        with torch.no_grad():
            pair.there.network.get_parameter("features.0.weight")[:, :, 0].mul_(2)
        assert not all(check.holds for check in explainer_checks("gradcam", pair))


def test_bounds_are_minima_or_maxima():
    check = Check("gradcam", "cosine", 0.99, 0.999)
    assert not check.holds
    assert replace(check, at_least=False).holds


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_without_an_accelerator_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu"])
    assert benchmark.main() == 0
    assert capsys.readouterr().out == "no accelerator here: nothing is checked or measured\n"


@pytest.mark.slow
def test_every_method_is_checked_and_measured(tmp_path):
    record = tmp_path / "cpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--tiny"]
    done = subprocess.run([*command, "--json", record], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(record.read_text())
    names = " ".join(check["name"] for check in found["checks"])
    kinds = {"": EXPLAINERS, "attack ": ATTACKS, "evaluate ": EVALUATION_ATTACKS}
    kinds["train "] = OBJECTIVES
    for kind, table in kinds.items():
        assert [name for name in table if kind + name not in names] == []
    assert all(check["holds"] for check in found["checks"])
    jobs = " ".join(row["job"] for row in found["rows"])
    for word in ("bare forward", "pytorch-grad-cam", "torchattacks", "training step", "explain,"):
        assert word in jobs
