"""Every block of code of docs/api.md runs, and so does the one of the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import ectool

ROOT = Path(__file__).parents[3]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    return FENCE.findall((ROOT / page).read_text(encoding="utf-8"))


def run(code: list[str], names: dict[str, Any]) -> dict[str, Any]:
    """Run blocks one after the other, in one namespace."""
    for number, block in enumerate(code, 1):
        exec(compile(block, f"block {number}", "exec"), names)  # noqa: S102 (it is the test)
    return names


@pytest.fixture
def folder(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the artifact that the page opens."""
    (tmp_path / "run/1").mkdir(parents=True)
    (tmp_path / "run/1/adv.zarr").symlink_to(samples)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs_from_top_to_bottom(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    code = blocks("docs/api.md")
    names = run(code, {})
    assert len(code) == 9
    assert names["weights"].mean() == pytest.approx(1, abs=1e-5)
    assert names["network"].training
    assert names["dataset"].sizes["sample"] == len(names["opened"]["label"])
    assert (folder / "results.json").read_text() == names["text"]
    printed = capsys.readouterr().out
    assert "floats from -1 to 1 | undo the normalisation" in printed
    assert "accuracy@original" in printed


def test_a_loop_with_weights_has_ten_lines_and_one_import() -> None:
    (loop,) = (block for block in blocks("docs/api.md") if "backward" in block)
    body = loop[loop.index("for epoch") :].strip().splitlines()
    assert len(body) <= 10
    assert set(re.findall(r"ectool[\w.]*", loop)) == {"ectool.consistency", "ectool.weights"}


def test_the_readme_runs(folder: Path) -> None:
    torch.manual_seed(0)
    (code,) = blocks("README.md")
    assert len(code.strip().splitlines()) <= 8
    names = run([blocks("docs/api.md")[0], code], {})
    assert names["weights"].shape == (64,)
    assert isinstance(names["result"], ectool.Evaluation)
