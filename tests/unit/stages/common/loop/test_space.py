"""Free space is compared with what is certain; compression decides the rest."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs.opening import Job
from ectool.artifacts.manifest import Recipe
from ectool.config import ConvertConfig
from ectool.errors import MachineError
from ectool.stages.common.loop import space
from ectool.stages.common.loop.space import (
    Need,
    check_space,
    copy_need,
    merge_need,
    model_need,
    rows_need,
    space_checked,
    weights_need,
)


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


@pytest.fixture
def partial(request, tmp_path):
    job = Job(recipe=Recipe(kind="samples", stage="perturb", config={}), length=10, shard_size=4)
    return job.partial(tmp_path / request.param)


COLUMNS = {
    "sample_id": np.array(["a", "b"], np.dtypes.StringDType()),
    "image": np.zeros((2, 4, 6, 3), np.uint8),
    "logits_clean": torch.zeros(2, 5),
}


@pytest.mark.parametrize("partial", ["out.zarr", "out.h5"], indirect=True)
def test_rows(partial):
    raw, all_of_it = 4 * 6 * 3, 4 * 6 * 3 + 5 * 4 + space.TEXT
    is_hdf5 = partial.output.suffix == ".h5"
    need = rows_need(COLUMNS, 10, partial, is_part=False)
    assert need == Need(10 * raw, (2 if is_hdf5 else 1) * 10 * all_of_it)
    assert rows_need(COLUMNS, 3, partial, is_part=True) == Need(3 * raw, 3 * all_of_it)
    differences = {**COLUMNS, "difference": COLUMNS["image"]}
    del differences["image"]
    assert rows_need(differences, 10, partial, is_part=False).certain == 0


@pytest.mark.parametrize("partial", ["out.zarr"], indirect=True)
def test_the_first_batch_of_each_artifact_is_compared(partial, options):
    rows = space.free_space(options.source)
    with pytest.raises(MachineError, match=r"out.zarr: expected at least .*B of free space in"):
        space_checked((partial,), rows, options, Listener())([COLUMNS])
    listener = Listener()
    logits = {"logits_clean": COLUMNS["logits_clean"]}
    space_checked((partial,), rows, options, listener)([logits])
    assert len(listener.warnings) == 1
    space_checked((), rows, options, listener)([COLUMNS])  # of another process
    assert len(listener.warnings) == 1


@pytest.mark.parametrize("partial", ["out.zarr", "out.h5"], indirect=True)
def test_merging_copies_what_is_stored_into_hdf5(partial):
    (partial.store / "image").mkdir(parents=True)
    (partial.store / "image" / "0").write_bytes(bytes(1000))
    assert merge_need(partial) == Need(0, 1000 if partial.output.suffix == ".h5" else 0)


def test_weights(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(100, 10), torch.nn.BatchNorm1d(10))
    save_file(model.state_dict(), tmp_path / "weights")
    need, saved = weights_need(model), (tmp_path / "weights").stat().st_size
    assert need.certain == need.possible
    assert need.certain <= saved < need.certain + 1000


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
