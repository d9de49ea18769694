"""`import ectool` is light, and finds every public name."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ectool


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_the_import_takes_milliseconds_and_neither_torch_nor_numpy() -> None:
    out = run(
        "import sys, time; began = time.process_time(); import ectool; "
        "spent = time.process_time() - began; "
        "print(spent, *sorted({'torch', 'numpy', 'pydantic', 'zarr'} & set(sys.modules)))"
    )
    spent, *heavy = out.split()
    assert heavy == []
    assert float(spent) < 0.1


def test_weights_need_no_torch() -> None:
    out = run(
        "import sys, ectool; "
        "print(ectool.weights([0.0, 0.5, 1.0]).tolist(), 'torch' in sys.modules)"
    )
    assert out.strip() == "[2.0, 1.0, 0.0] False"


def test_every_public_name_exists() -> None:
    assert dir(ectool) == sorted(ectool.__all__)
    for name in ectool.__all__:
        found = getattr(ectool, name)
        assert name == "__version__" or found.__doc__


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ectool' has no attribute 'explian'"):
        ectool.explian  # noqa: B018


def test_subpackages_do_not_hide_functions() -> None:
    import ectool.scores.weights

    assert callable(ectool.consistency)
    assert callable(ectool.weights)
