"""A cut-down digits experiment, the commands of its chains, and the comparison of their bytes."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTALLED = Path(sys.executable).parent
CUT = """
[defaults]
data = "digits"
limit = 200
shard_size = 128
threads = 1
[experiment]
seeds = [0]
warmup = 0.34
[experiment.arms.plain]
reweight = "uniform"
[experiment.arms.consistency]
reweight = "consistency"
[train]
model = "smallcnn"
epochs = 3
[perturb]
steps = 1
[score]
similarity = "cosine"
stability = "probability"
[evaluate]
suite = ["classification", "debiasing", "robustness", "localization"]
attacks = ["pgd"]
steps = 1
eps = [0.00784313725490196]
eps_l2 = []
corruptions = []
replaced = []
"""


def run(folder, *command, programs=INSTALLED):
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), str(INSTALLED), os.environ["PATH"]]),
        "SEEDS": "0",
        "EPOCHS": "3",
        "WARMUP": "2",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def _contents(root, names):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for name in names
        for path in sorted(root.rglob(f"{name}/**/*"))
        if path.is_file() and ".partial-" not in str(path)
    }


def check_same(folder, other, names=("model", "weights.zarr", "adv.zarr", "cams.zarr")):
    expected = {
        name: data
        for name, data in _contents(folder / "toml", names).items()
        if "/eval/" not in name
    }
    found = {
        name: data
        for name, data in _contents(folder / other, names).items()
        if "/eval/" not in name
    }
    assert expected
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
