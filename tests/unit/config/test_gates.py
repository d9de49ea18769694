from __future__ import annotations

from pathlib import Path

import pytest

from ectool.config import EvaluateConfig, GateOptions
from ectool.errors import UsageError


def test_gates_change_no_key():
    plain = EvaluateConfig(model="m", output=Path("o"))
    gated = EvaluateConfig(
        model="m",
        output=Path("o"),
        require="accuracy>=baseline-1,nll<=2",
        baseline=Path("b"),
        md=Path("-"),
        junit=Path("j.xml"),
    )
    assert gated.require == ("accuracy>=baseline-1", "nll<=2")
    assert gated.keyed() == plain.keyed()


def test_a_folder_is_no_file(tmp_path):
    for name in ("md", "junit"):
        with pytest.raises(UsageError, match=f"--{name}: expected a file, got .*, a folder"):
            GateOptions(require="nll<=1", **{name: tmp_path})


@pytest.mark.parametrize("junit", ["-", "same.md"])
def test_junit_has_a_file_of_its_own(junit):
    with pytest.raises(UsageError, match="--junit: expected a file of its own"):
        GateOptions(require="nll<=1", md=Path("same.md"), junit=Path(junit))


def test_junit_needs_bounds():
    with pytest.raises(UsageError, match=r"--junit: expected bounds, .* got none; add --require"):
        GateOptions(junit=Path("j.xml"))
