"""A command line for the scripts, Makefiles and workflows that tests run."""

import sys

import pytest
from cut_experiment import ROOT


@pytest.fixture(scope="package")
def forked(zygote_socket, tmp_path_factory):
    """A folder with an `ectool` that the zygote runs: every command is a process of its own."""
    folder = tmp_path_factory.mktemp("bin")
    command = f'exec "{sys.executable}" -IS "{ROOT}/tests/forked.py" "{zygote_socket}" "$@"'
    (folder / "ectool").write_text(f"#!/bin/sh\n{command}\n")
    (folder / "ectool").chmod(0o755)
    return folder
