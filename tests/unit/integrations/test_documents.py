"""The programs of docs/integrations.md, run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from foreign_training import BATCH, CLASSES, MEAN, STD, make_samples
from foreign_training import network as make_network
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader

import ectool

PAGE = Path(__file__).parents[3] / "docs/integrations.md"
SECTIONS = dict(
    section.split("\n", 1) for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
)
EPOCHS = 2
quiet = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


def programs(section):
    return re.findall(r"^```python\n(.*?)^```", SECTIONS[section], re.MULTILINE | re.DOTALL)


def given():
    """Return the names that the page presupposes."""
    network, dataset = make_network(), make_samples()
    return {
        "F": F,
        "DataLoader": DataLoader,
        "network": network,
        "dataset": dataset,
        "loader": DataLoader(dataset, BATCH),
        "mean": MEAN,
        "std": STD,
        "epochs": EPOCHS,
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.1),
    }


def test_every_program_is_run():
    assert {name: len(programs(name)) for name in SECTIONS} == {
        "Plain PyTorch": 2,
        "Hugging Face": 2,
        "Lightning": 2,
        "FiftyOne": 1,
    }


@pytest.mark.parametrize("number", range(2))
def test_plain_pytorch(number):
    names = given()
    before = names["network"][0].weight.detach().clone()
    exec("import ectool\n" + programs("Plain PyTorch")[number], names)  # noqa: S102
    assert not names["network"][0].weight.equal(before)
    if number == 1:
        assert names["rounds"].weights.std() > 0


def test_fiftyone(tmp_path, monkeypatch):
    """Each image has its label, weight and heatmap in the layout of labels.json and data/."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (5, 3, 16, 16), np.uint8)
    labels = generator.integers(0, CLASSES, 5)
    names = given() | {"images": images, "labels": labels, "classes": ("ant", "bee", "cat")}
    exec(programs("FiftyOne")[0], names)  # noqa: S102
    found = json.loads((tmp_path / "export/labels.json").read_text())
    assert found["classes"] == ["ant", "bee", "cat"]
    assert sorted(found["labels"]) == [
        path.stem for path in sorted((tmp_path / "export/data").iterdir())
    ]
    model = ectool.wrap(names["network"], mean=MEAN, std=STD)
    weights = ectool.weights(ectool.consistency(model, images, labels))
    for row in range(5):
        entry = found["labels"][str(row)]
        assert entry["label"] == labels[row]
        assert entry["attributes"]["weight"] == pytest.approx(weights[row])
        with Image.open(tmp_path / f"export/data/{row}.png") as image:
            np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1), images[row])
        with Image.open(tmp_path / f"export/heatmaps/{row}.png") as heatmap:
            assert heatmap.mode == "L"
            assert heatmap.size == (16, 16)


@quiet
@pytest.mark.slow
def test_hugging_face(tmp_path, monkeypatch):
    import transformers

    monkeypatch.chdir(tmp_path)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=CLASSES
    )
    names = {
        "model": transformers.ResNetForImageClassification(config),
        "processor": SimpleNamespace(image_mean=MEAN, image_std=STD),
        "train_data": [{"pixel_values": x, "labels": int(y)} for x, y in make_samples()],
    }
    for program in programs("Hugging Face"):
        exec(program.replace('"run",', '"run", report_to=[], use_cpu=True,'), names)  # noqa: S102
    assert names["trainer"].state.epoch == 2
    assert names["callback"].rounds.weights.std() > 0


@quiet
@pytest.mark.slow
def test_lightning(tmp_path, monkeypatch):
    import lightning

    monkeypatch.chdir(tmp_path)
    names = given()
    program, step = programs("Lightning")
    exec(step, names)  # noqa: S102

    class Module(lightning.LightningModule):
        training_step = names["training_step"]

        def __init__(self):
            super().__init__()
            self.net = make_network()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    names["module"] = Module()
    exec(program, names)  # noqa: S102
    assert names["module"].sample_weights.tolist() == [1.0] * BATCH
    assert names["callback"].in_batch.statistics()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "package"), [("huggingface", "transformers"), ("lightning",) * 2]
)
def test_a_missing_package_is_named_with_its_extra(module, package):
    program = f"import sys; sys.modules[{package!r}] = None; import ectool.integrations.{module}"
    found = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    last = found.stderr.splitlines()[-1]
    assert last.endswith(f"{package} is not installed; pip install 'ectool[integrations]'")
