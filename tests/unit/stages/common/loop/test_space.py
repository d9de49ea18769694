"""Free space is compared with what is certain; compression decides the rest."""

from __future__ import annotations

import re

import pytest
import torch

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs.opening import Job
from ectool.artifacts.manifest import Recipe
from ectool.config import ConvertConfig
from ectool.config.parts import Part
from ectool.errors import MachineError
from ectool.stages.common.loop import space
from ectool.stages.common.loop.space import Need, check_space, copy_need, images_need, model_need


@pytest.fixture
def options(tmp_path):
    return ConvertConfig(source=tmp_path, target=tmp_path / "new" / "out.h5")


class Listener:
    """A reporter that keeps warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


def test_only_what_is_certainly_too_much_is_refused(options):
    free, listener = space.free_space(options.source), Listener()
    check_space(options.target, options, Need(0, free // 2), listener)
    assert not listener.warnings
    check_space(options.target, options, Need(0, 3 * free), listener)
    (warning,) = listener.warnings
    assert re.match(r".*out.h5: .* are free in .*, and up to .* are written; if", warning)
    with pytest.raises(MachineError, match=r"out.h5: expected at least .*B of free space in"):
        check_space(options.target, options, Need(3 * free, 3 * free), listener)
    anyway = options.model_copy(update={"check_space": False})
    check_space(options.target, anyway, Need(3 * free, 3 * free), listener)
    assert len(listener.warnings) == 1


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (2e9, "2 GB")],
)
def test_units(size, text):
    assert space.in_units(size) == text


class Images:
    """A data set of 10 images of 4 x 6 pixels."""

    size, classes = (4, 6), ("a", "b")


@pytest.mark.parametrize("name", ["out.zarr", "out.h5"])
def test_images(tmp_path, name):
    job = Job(recipe=Recipe(kind="samples", stage="perturb", config={}), length=10, shard_size=4)
    partial = job.partial(tmp_path / name)
    need = images_need(Images(), partial, None, "images")
    assert need.certain == 10 * 4 * 6 * 3
    copies = 2 if name == "out.h5" else 1
    assert need.possible == copies * 10 * (4 * 6 * 3 + 4 * 6 + 2 * 2 * 4 + space.TEXT)
    assert images_need(Images(), partial, None, "differences").certain == 0
    (partial.folder / "shards").mkdir(parents=True)
    (partial.folder / "shards" / "000000.json").touch()
    assert images_need(Images(), partial, None, "images").certain == 6 * 4 * 6 * 3
    assert images_need(Images(), partial, Part(3, 3), "images").certain == 2 * 4 * 6 * 3


def test_what_is_certain_is_written(samples, tmp_path):
    """The bytes on the disk lie between both bounds."""
    with Artifact(samples) as artifact:
        need = copy_need(artifact, tmp_path / "a.zarr")
        assert copy_need(artifact, tmp_path / "a.h5") == Need(0, need.possible)
        assert need.certain == artifact.read("image").nbytes
    written = sum(path.stat().st_size for path in samples.rglob("c/**/*") if path.is_file())
    assert need.certain <= written <= need.possible


@pytest.mark.parametrize(("name", "states"), [("SGD", 1), ("AdamW", 2)])
def test_checkpoints(name, states, tmp_path):
    from ectool.training.checkpoint import save_optimizer

    model = torch.nn.Linear(100, 10)
    momentum = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1, **momentum)
    need = model_need(optimizer, 1)
    assert need.certain == (1 + states) * 1010 * 4
    model(torch.zeros(1, 100)).sum().backward()
    optimizer.step()
    save_optimizer(optimizer, tmp_path / "state")
    saved = (tmp_path / "state").stat().st_size
    assert states * 1010 * 4 <= saved < states * 1010 * 4 + 2000
    model.weight.requires_grad_(False)
    assert model_need(optimizer, 2).certain == 2 * (1010 + states * 10) * 4
