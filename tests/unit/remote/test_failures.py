"""Errors of stores are one line that names what is missing."""

from __future__ import annotations

import pytest

from ectool.errors import InputError
from ectool.remote.failures import READ, failure, is_of_range, translating

URL = "s3://bucket/w.zarr"


class ClientError(Exception):
    """As that of botocore."""

    def __init__(self, code, operation=None, message=""):
        super().__init__(f"An error occurred ({code}): {message}")
        self.operation_name = operation
        self.response = {"Error": {"Code": code}}


class NoCredentialsError(Exception):
    """As that of botocore."""


class EndpointConnectionError(Exception):
    """As that of botocore."""


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (NoCredentialsError(), "expected credentials, got none; set AWS_ACCESS_KEY_ID"),
        (ClientError("InvalidAccessKeyId"), "expected valid credentials, got InvalidAccessKeyId"),
        (ClientError("SignatureDoesNotMatch"), "valid credentials, got SignatureDoesNotMatch"),
        (ClientError("AccessDenied"), "expected the permission s3:GetObject, got access denied"),
        (ClientError("AccessDenied", "ListObjectsV2"), "expected the permission s3:ListBucket"),
        (ClientError("AccessDenied", "DeleteObjects"), "expected the permission s3:DeleteObject"),
        (
            ClientError("AccessDenied", "GetObject", "not authorized to perform: s3:ListBucket on"),
            "expected the permission s3:ListBucket",
        ),
        (PermissionError("Forbidden"), "expected the permission s3:GetObject"),
        (EndpointConnectionError(), "expected an answer of the server, got none"),
        (ClientError("SlowDown"), "expected success of s3:GetObject, got An error occurred"),
        (OSError("odd\nmore"), "expected success of s3:GetObject, got odd; run"),
        (FileNotFoundError("The specified bucket does not exist"), "got no such bucket"),
    ],
)
def test_known_errors(error, match):
    with pytest.raises(InputError, match=match) as found, translating(URL, READ):
        raise error
    assert str(found.value).startswith(URL)


def test_causes_count():
    error = OSError(22, "Invalid")
    error.__cause__ = ClientError("InvalidBucketName")
    assert "expected a valid name of a bucket" in str(failure(error, URL, READ))


def test_bugs_stay_bugs():
    with pytest.raises(KeyError, match="odd"), translating(URL, READ):
        raise KeyError("odd")
    with pytest.raises(FileNotFoundError, match="w"), translating(URL, READ):
        raise FileNotFoundError("w.zarr")


def test_ranges_after_the_end():
    assert is_of_range(ClientError("InvalidRange"))
    assert not is_of_range(ClientError("AccessDenied"))
