"""Errors of stores in one line: bucket, permission, credentials, endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ectool.errors import BusyOutputError, EctoolError, InputError
from ectool.machine import chain

READ, WRITE, LIST, DELETE = "s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"
_ACTIONS = {
    **dict.fromkeys(("GetObject", "HeadObject"), READ),
    **dict.fromkeys(("ListObjects", "ListObjectsV2", "HeadBucket"), LIST),
    **dict.fromkeys(("DeleteObject", "DeleteObjects"), DELETE),
    **dict.fromkeys(("PutObject", "CreateMultipartUpload", "UploadPart"), WRITE),
}
"""The permission that each operation of S3 needs."""
_NAMED = re.compile(r"not authorized to perform: (s3:\w+)")
"""How AWS names a permission that is missing."""
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_WRONG = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
    *("AuthFailure", "InvalidClientTokenId"),
)
_DENIED = ("AccessDenied", "403", "Forbidden", "AllAccessDisabled")
_UNREACHABLE = (
    *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "FSTimeoutError"),
    *("ConnectionClosedError", "ClientConnectorError", "ClientConnectionError", "SSLError"),
    *("ClientConnectorDNSError", "ServerDisconnectedError", "TimeoutError", "ConnectionError"),
    "ProxyConnectionError",
)


class LockedError(BusyOutputError):
    """Another process writes the same output."""


@contextmanager
def translating(url: str, action: str) -> Iterator[None]:
    """Turn errors of a store into errors for users.

    Args:
        url: Address that is read or written.
        action: The permission it needs.

    Raises:
        InputError: The store refuses, or does not answer.
    """
    try:
        yield
    except (EctoolError, FileExistsError):
        raise
    except FileNotFoundError as error:
        if not is_of_bucket(error):
            raise
        raise _no_bucket(url) from error
    except Exception as error:
        found = failure(error, url, action)
        if found is None:
            raise
        raise found from error


def is_of_bucket(error: BaseException) -> bool:
    """Return whether a bucket is missing, and not only an object."""
    return "NoSuchBucket" in _codes(error)


def is_of_range(error: BaseException) -> bool:
    """Return whether an object is shorter than the bytes that were asked for."""
    return bool(_codes(error) & {"InvalidRange", "416"})


def _no_bucket(url: str) -> InputError:
    bucket = url.partition("://")[2].partition("/")[0]
    return InputError(
        url,
        expected=f"the bucket {bucket}",
        got="no such bucket",
        fix="make it, or correct the address (AWS_ENDPOINT_URL names another server)",
    )


def failure(error: BaseException, url: str, action: str) -> InputError | None:
    """Return the error for a user; None if the exception is not of a store."""
    codes = _codes(error)
    if codes & {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
        return InputError(url, expected="credentials", got="none", fix=_CREDENTIALS)
    if codes & set(_WRONG):
        got = next(code for code in _WRONG if code in codes)
        return InputError(url, expected="valid credentials", got=got, fix=_CREDENTIALS)
    if codes & set(_DENIED) or isinstance(error, PermissionError):
        return InputError(
            url,
            expected=f"the permission {_denied(error) or action}",
            got="access denied",
            fix="ask the owner of the bucket for it, or use other credentials",
        )
    if codes & set(_UNREACHABLE):
        return InputError(
            url,
            expected="an answer of the server",
            got="none",
            fix="check the network and AWS_ENDPOINT_URL, then run the same command again",
        )
    if "InvalidBucketName" in codes or "ParamValidationError" in codes:
        return InputError(
            url, expected="a valid name of a bucket", got="another", fix="correct the address"
        )
    lines = str(error).strip().splitlines()
    if not (codes & {"ClientError", "BotoCoreError"} or isinstance(error, OSError)):
        return None
    return InputError(
        url,
        expected=f"success of {action}",
        got=lines[0] if lines else type(error).__name__,
        fix="run the same command again",
    )


def _denied(error: BaseException) -> str | None:
    """Return the permission that a server, or the operation that it refused, names.

    AWS answers as if `s3:GetObject` were missing where an object is, and `s3:ListBucket` is, too.
    """
    for one in chain(error):
        if found := _NAMED.search(str(one)):
            return found[1]
    operations = (getattr(one, "operation_name", None) for one in chain(error))
    return next((_ACTIONS[name] for name in operations if name in _ACTIONS), None)


def _codes(error: BaseException) -> set[str]:
    """Return the names of exceptions, and the codes of the server, behind an exception."""
    found = set[str]()
    for one in chain(error):
        found |= {kind.__name__ for kind in type(one).__mro__}
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            found.add(str(response.get("Error", {}).get("Code")))
        if "specified bucket does not exist" in str(one):
            found.add("NoSuchBucket")
    return found
