"""A real S3 server, and commands of several machines."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing

BUCKET, PATIENCE = "bucket", 60
ROWS = 600
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Return the address of a server with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stop = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < stop
        time.sleep(0.1)
    url = f"http://127.0.0.1:{port}"
    client(url).create_bucket(Bucket=BUCKET)
    yield url
    server.terminate()
    server.wait()


def client(endpoint, kind="s3"):
    boto3 = pytest.importorskip("boto3")
    return boto3.client(
        kind,
        endpoint_url=endpoint,
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def s3(endpoint):
    """Return a client, and empty the bucket afterwards."""
    found = client(endpoint)
    yield found
    for name in names(found):
        found.delete_object(Bucket=BUCKET, Key=name)


def names(s3, prefix=""):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


class Machine:
    """Runs commands as on a machine of its own, with its own copies."""

    def __init__(self, endpoint, folder):
        self.environ = {
            **os.environ,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "ECTOOL_CACHE": str(folder),
        }

    def start(self, *arguments, **variables):
        environ = {k: v for k, v in {**self.environ, **variables}.items() if v is not None}
        command = [sys.executable, "-m", "ectool", *map(str, arguments)]
        return subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments, **variables):
        """Return exit code, stdout and stderr."""
        process = self.start(*arguments, **variables)
        out, err = process.communicate()
        return process.returncode, out, err

    def succeed(self, *arguments):
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out

    def id(self, address):
        return json.loads(self.succeed("inspect", address, "--verify", "--json"))["id"]


@pytest.fixture
def machine(endpoint, tmp_path):
    return Machine(endpoint, tmp_path / "one")


@pytest.fixture
def another(endpoint, tmp_path):
    return Machine(endpoint, tmp_path / "two")


@pytest.fixture(scope="module")
def heatmaps(tmp_path_factory) -> Path:
    """Return a local heatmaps artifact."""
    path = tmp_path_factory.mktemp("maps") / "h.zarr"
    recipe = Recipe(kind="heatmaps", stage="explain", config={"rows": ROWS})
    generator = np.random.default_rng(0)
    with growing(path, recipe, length=ROWS, shard_size=100) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            rows = np.arange(start, stop)
            ids = np.array([f"s/{row}" for row in rows], dtype=np.dtypes.StringDType())
            arrays = {"sample_id": ids, "label": rows % 3, "target": rows % 3}
            for name in ("clean", "adversarial"):
                arrays[name] = generator.random((len(rows), 7, 7)).astype(np.float16)
                arrays[f"logits_{name}"] = generator.random((len(rows), 3)).astype(np.float32)
            partial.write(number, arrays, {})
        return partial.publish()
