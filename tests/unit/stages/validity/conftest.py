"""A miniature study, which all tests of the stage share."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_studies import study_of

from ectool.config import ValidityConfig
from ectool.stages.validity.command import run
from ectool.stages.validity.plan import Study, open_study

FILE = study_of(1, 2)


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
