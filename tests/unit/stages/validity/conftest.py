"""A miniature study, which all tests of the stage share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ectool.config import ValidityConfig
from ectool.stages.validity.command import run
from ectool.stages.validity.plan import Study, open_study

FILE = """
[study]
rho = [0.5]
seeds = [0]
epochs = [1, 2]
draws = 1
first_draw = 0
test_split = "validation"
limit = 20
levels = [0.7]
eps = ["8/255"]
steps = 1
donors = 2
maps = ["gradcam"]
replacements = ["fill", "replace"]
attacks = ["pgd", "pgd-inverse"]
backgrounds = 3
resamples = 100
chosen = "replace/gradcam/0.7|pearson|softened"
default = "pgd/gradcam/8|cosine|probability"

[train]
epochs = 2
limit = 64
"""


@pytest.fixture(scope="package")
def file(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "mini.toml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="package")
def config(file: Path) -> ValidityConfig:
    return ValidityConfig(file=file, output=file.parent / "out", device="cpu", threads=1)


@pytest.fixture(scope="package")
def study(config: ValidityConfig) -> Study:
    """Return the finished study."""
    run(config)
    return open_study(config)
