"""Two hosts, played by two network namespaces, give the bytes of one process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LAUNCH = r"""
exec torchrun --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-id job \
    --rdzv-endpoint "$FIRST:29500" --rdzv-conf "is_host=$((1 - HOST))" --local-addr "$ADDRESS" \
    -m ectool "$@"
"""
"""A namespace has no name, so the first host and both addresses are given."""


@pytest.fixture
def hosts():
    """Return the command that runs another one on both hosts."""
    if any(shutil.which(tool) is None for tool in ("unshare", "nsenter", "ip")):
        pytest.skip("unshare, nsenter or ip is missing")
    own = ["unshare", "--map-root-user", "--net"]
    made = "ip link add host type veth peer name other"
    if subprocess.run([*own, "sh", "-c", made], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no network namespaces")
    return [*own, "sh", str(TESTS / "two_hosts.sh"), "sh", "-c", LAUNCH, "torchrun"]


@pytest.mark.slow
def test_two_hosts_give_the_bytes_of_one_process(hosts, model, tmp_path, tree):
    def run(folder, *before):
        network = ("--model", str(model), "--threads", "1", "--shard-size", "16", "--quiet")
        adv, cams = (str(tmp_path / folder / name) for name in ("adv.zarr", "cams.zarr"))
        data = ("--data", "digits", "--split", "validation", "--limit", "100")
        for stage in (
            ("perturb", *data, "--steps", "1", *network, "--output", adv),
            ("explain", "--samples", adv, *network, "--output", cams),
        ):
            done = subprocess.run(
                [*before, *stage],
                capture_output=True,
                text=True,
                check=False,
                timeout=500,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout == f"{stage[-1]}\n"
        return tree(tmp_path / folder)

    assert run("hosts", *hosts) == run("alone", "ectool")
