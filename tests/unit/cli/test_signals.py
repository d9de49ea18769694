"""A signal stops the command, but torch is imported to the end first."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from ectool.cli import signals

folder = sys.argv[1]
sys.path.insert(0, folder)
signals.install()
try:
    import {name}
    import time; time.sleep(5)
except KeyboardInterrupt:
    print("{name}" in sys.modules and hasattr(sys.modules["{name}"], "done"))
"""
MODULE = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nsum(range(10**6))\ndone = True\n"


def stopped(name, folder):
    """Import a module that is interrupted while it is imported; tell whether it was finished."""
    (folder / f"{name}.py").write_text(MODULE)
    code = CODE.format(name=name)
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def test_an_import_of_torch_is_finished_first(tmp_path):
    assert stopped("torch", tmp_path) == "True\n"


def test_others_stop_at_once(tmp_path):
    assert stopped("another", tmp_path) == "False\n"
