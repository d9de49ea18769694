"""What a real S3 server refuses, and objects that are damaged."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest

from .conftest import BUCKET, PATIENCE, client, names

pytestmark = pytest.mark.slow


def last_line(err):
    """Return the line of the error, which comes after notes of the stage."""
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_another_key_is_refused(s3, machine, heatmaps):
    command = ("score", "--heatmaps", heatmaps, "--output", f"s3://{BUCKET}/w.zarr")
    machine.succeed(*command)
    code, _, err = machine.run(*command, "--gamma", 2)
    assert code == 4
    assert f"s3://{BUCKET}/w.zarr: expected no output" in err


def test_a_damaged_object_is_named_and_repaired(s3, machine, another, heatmaps):
    output = f"s3://{BUCKET}/h.zarr"
    machine.succeed("convert", heatmaps, output)
    (name,) = (name for name in names(s3) if name.endswith(".files"))
    data = bytearray(s3.get_object(Bucket=BUCKET, Key=name)["Body"].read())
    data[len(data) // 2] ^= 255
    s3.put_object(Bucket=BUCKET, Key=name, Body=bytes(data))
    for one in (machine, another):
        code, _, err = one.run("inspect", output, "--verify")
        assert code == 5
        assert "others in shards" in err
    weights = f"s3://{BUCKET}/w.zarr"
    command = ("score", "--heatmaps", heatmaps, "--output", weights)
    machine.succeed(*command)
    whole = machine.id(weights)
    (name,) = (name for name in names(s3, "w.zarr/") if name.endswith(".files"))
    s3.put_object(Bucket=BUCKET, Key=name, Body=b"short")
    assert machine.run("inspect", weights, "--verify")[0] == 5
    machine.succeed(*command, "--resume")
    assert another.id(weights) == whole


@pytest.mark.parametrize(
    ("address", "variables", "expected"),
    [
        ("s3://missing/w.zarr", {}, "expected the bucket missing, got no such bucket"),
        (
            f"s3://{BUCKET}/w.zarr",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            "expected an answer of the server, got none",
        ),
        (
            f"s3://{BUCKET}/w.zarr",
            {
                "AWS_ACCESS_KEY_ID": None,
                "AWS_SECRET_ACCESS_KEY": None,
                "AWS_SHARED_CREDENTIALS_FILE": "/none",
                "AWS_CONFIG_FILE": "/none",
            },
            "expected credentials, got none; set AWS_ACCESS_KEY_ID",
        ),
        ("s3://me:secret@bucket/w.zarr", {}, "got a user or a password in it"),
    ],
    ids=["bucket", "endpoint", "none", "in-address"],
)
def test_what_is_missing_is_named(address, variables, expected, machine, heatmaps):
    start = time.monotonic()
    for arguments in (
        ("score", "--heatmaps", heatmaps, "--output", address),
        ("inspect", address),
    ):
        code, out, err = machine.run(*arguments, **variables)
        assert (code, out) == (2 if "@" in address else 3, ""), err
        assert expected in last_line(err)
        assert "secret" not in err
    assert time.monotonic() - start < PATIENCE


PERMISSIONS = ("s3:GetObject", "s3:PutObject", "s3:ListBucket")
OTHERS = ("s3:DeleteObject", "s3:HeadObject")
"""The server allows any user to delete, and asks for a permission of HEAD that S3 does not have."""


@pytest.fixture(scope="module")
def users(endpoint):
    """Return the keys of users that lack one permission, by its name."""
    iam, keys = client(endpoint, "iam"), {}
    for lacking in PERMISSIONS:
        actions = [*OTHERS, *(action for action in PERMISSIONS if action != lacking)]
        user = "without-" + lacking.partition(":")[2]
        iam.create_user(UserName=user)
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
        found = iam.create_access_key(UserName=user)["AccessKey"]
        keys[lacking] = {
            "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        }
    return keys


@pytest.fixture
def enforced(endpoint, users):
    """Make the server check permissions; yield the keys of the users."""
    reset(endpoint, 0)
    yield users
    reset(endpoint, 10**9)


def reset(endpoint, count):
    """Set how many requests the server takes before it checks permissions."""
    request = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth",
        data=str(count).encode(),
        method="POST",
        headers={"Content-Type": "text/plain"},  # the server would read a form otherwise
    )
    urllib.request.urlopen(request).close()


def test_missing_permissions_are_named(enforced, machine, heatmaps):
    address = f"s3://{BUCKET}/denied.zarr"
    for action, keys in enforced.items():
        code, _, err = machine.run("score", "--heatmaps", heatmaps, "--output", address, **keys)
        assert code == 3, (action, err)
        assert f"expected the permission {action}, got access denied" in last_line(err)


def test_wrong_credentials_are_named(enforced, machine):
    keys = {"AWS_ACCESS_KEY_ID": "AKIAWRONG", "AWS_SECRET_ACCESS_KEY": "wrong"}
    code, _, err = machine.run("inspect", f"s3://{BUCKET}/w.zarr", **keys)
    assert code == 3
    assert "expected valid credentials, got InvalidAccessKeyId" in last_line(err)
    assert "wrong" not in err


def test_objects_that_cannot_be_removed_are_named(s3, machine, heatmaps):
    """The pointer is there by then: the output is complete, with objects that nobody uses."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject"}
    statement["Resource"] = f"arn:aws:s3:::{BUCKET}/*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    command = ("score", "--heatmaps", heatmaps, "--output")
    machine.succeed(*command, f"s3://{BUCKET}/whole.zarr")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    code, _, err = machine.run(*command, f"s3://{BUCKET}/kept.zarr")
    s3.delete_bucket_policy(Bucket=BUCKET)
    assert code == 3, err
    assert "expected the permission s3:DeleteObject, got access denied" in last_line(err)
    assert machine.id(f"s3://{BUCKET}/kept.zarr") == machine.id(f"s3://{BUCKET}/whole.zarr")
