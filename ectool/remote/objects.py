"""Objects of stores by their addresses: the only place that imports fsspec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ectool.errors import InputError
from ectool.input_files import JSON
from ectool.remote.failures import (
    DELETE,
    LIST,
    READ,
    WRITE,
    is_of_bucket,
    is_of_range,
    translating,
)

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 60, 3
ONE_REQUEST = {"s3": {"max_concurrency": 1}}
"""Options by which a whole object is one request: s3fs would first ask for its size."""
DELETED_AT_ONCE = 1000
"""Maximum number of objects in a request of S3 that removes them."""
STREAMED = 2**26
"""Files of more bytes are streamed from the disk instead of being read first."""


@cache
def _system(scheme: str) -> Any:  # noqa: ANN401 (fsspec has no types)
    """Return the file system of a scheme; credentials are those of its own provider chain."""
    import fsspec  # imported here: local artifacts need no fsspec

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme == "s3":
        config = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
        options["config_kwargs"] = {**config, "retries": {"max_attempts": 1}}
        system = fsspec.filesystem("s3", **options)
        system.retries = ATTEMPTS  # each with a longer pause before it
        return system
    return fsspec.filesystem(scheme, **options)


def _of(url: str) -> Any:  # noqa: ANN401 (fsspec has no types)
    with translating(url, READ):
        return _system(url.partition("://")[0])


def read(url: str) -> bytes | None:
    """Return an object; None if there is none.

    Raises:
        InputError: The store refuses, or does not answer; so of all functions here.
    """
    with translating(url, READ):
        try:
            data: bytes = _of(url).cat_file(url, **_one_request(url))
        except (FileNotFoundError, IsADirectoryError) as error:
            _check_bucket(error)
            return None
        return data


def _one_request(url: str) -> Mapping[str, int]:
    return ONE_REQUEST.get(url.partition("://")[0], {})


def read_document(url: str) -> bytes | None:
    """Return an object that is a JSON document, and no more than such a file may have.

    Raises:
        InputError: As of `read`, or it is too large.
    """
    limit = JSON.max_bytes or 0
    data = _part(url, 0, limit + 1)
    if data is not None and len(data) > limit:
        raise InputError(
            url,
            expected=f"{JSON.name} of at most {limit} bytes",
            got="a larger object",
            fix="check the address",
        )
    return data


def read_part(url: str, start: int, stop: int) -> bytes | None:
    """Return bytes [start, stop) of an object, fewer if it is shorter; None if there is none."""
    return _part(url, start, stop)


def _part(url: str, start: int, stop: int) -> bytes | None:
    with translating(url, READ):
        try:
            data: bytes = _of(url).cat_file(url, start=start, end=stop)
        except (FileNotFoundError, IsADirectoryError) as error:
            _check_bucket(error)
            return None
        except OSError as error:
            if not is_of_range(error):
                raise
            return b""
        return data


def _check_bucket(error: OSError) -> None:
    """Raise the error again if a bucket is missing, and not only an object."""
    if is_of_bucket(error):
        raise error


def read_spans(spans: Sequence[tuple[str, int, int]]) -> list[bytes]:
    """Return parts (address, start, stop) of objects, read at the same time.

    Raises:
        FileNotFoundError: There is no such object.
    """
    names, starts, stops = map(list, zip(*spans, strict=True))
    with translating(spans[0][0], READ):
        found: list[bytes] = _of(spans[0][0]).cat_ranges(names, starts, stops, on_error="raise")
        return found


def read_all(urls: Sequence[str]) -> dict[str, bytes]:
    """Return objects by address, read at the same time; missing ones are left out."""
    if not urls:
        return {}
    with translating(urls[0], READ):
        system = _of(urls[0])
        by_path = {system._strip_protocol(url): url for url in urls}
        found = system.cat(list(by_path), on_error="return", **_one_request(urls[0]))
        if not isinstance(found, Mapping):  # fsspec returns a single object as bytes
            found = {next(iter(by_path)): found}
        for error in found.values():
            if isinstance(error, Exception) and not isinstance(error, FileNotFoundError):
                raise error
        return {by_path[path]: data for path, data in found.items() if isinstance(data, bytes)}


def download(url: str, path: Path) -> None:
    """Copy an object into a file."""
    with translating(url, READ):
        _of(url).get_file(url, str(path))


def write(url: str, data: bytes, *, new: bool = False) -> None:
    """Write an object as a whole.

    Args:
        url: Its address.
        data: Its bytes.
        new: Whether no object may be there yet.

    Raises:
        FileExistsError: There is one.
    """
    with translating(url, WRITE):
        _of(url).pipe_file(url, data, mode="create" if new else "overwrite")


def upload(path: Path, url: str) -> None:
    """Copy a file into an object, which readers see when it is complete."""
    if path.stat().st_size <= STREAMED:
        write(url, path.read_bytes())
        return
    with translating(url, WRITE):
        _of(url).put_file(str(path), url)


def copy(source: str, target: str) -> None:
    """Copy an object within the store."""
    with translating(target, WRITE):
        _of(source).cp_file(source, target)


def sizes(url: str) -> dict[str, int]:
    """Return the sizes of all objects below an address, by their names relative to it."""
    with translating(url, LIST):
        system = _of(url)
        root = system._strip_protocol(url).rstrip("/") + "/"
        try:
            found = _listed(system, url, root)
        except FileNotFoundError as error:
            _check_bucket(error)
            return {}
        return {
            name.removeprefix(root): int(entry["size"] or 0)
            for name, entry in found.items()
            if name.startswith(root) and name != root
        }


def _listed(system: Any, url: str, root: str) -> dict[str, Any]:  # noqa: ANN401 (as above)
    parent, _, name = root.rstrip("/").rpartition("/")
    if url.startswith("s3:") and parent:  # else s3fs asks twice more where nothing is
        found: dict[str, Any] = system.find(parent, detail=True, prefix=f"{name}/")
    else:
        found = system.find(root, detail=True)
    return found


def exists(url: str) -> bool:
    """Return whether there is an object.

    HEAD would answer a refusal without its cause.
    """
    return read_part(url, 0, 1) is not None


def tag(url: str) -> str | None:
    """Return a text that changes with the content of an object; None if there is none."""
    if not exists(url):
        return None
    with translating(url, READ):
        return str(_of(url).ukey(url))


def delete(urls: Sequence[str]) -> None:
    """Remove objects; missing ones count as removed."""
    if not urls:
        return
    with translating(urls[0], DELETE):
        system = _of(urls[0])
        if urls[0].startswith("s3:"):
            _delete_from_s3(system, urls)
            return
        for url in urls:
            with suppress(FileNotFoundError):
                system.rm_file(url)


def _delete_from_s3(system: Any, urls: Sequence[str]) -> None:  # noqa: ANN401 (as above)
    """Remove many objects with one request; s3fs would pass over those that the server refuses."""
    from botocore.exceptions import ClientError

    places = [system.split_path(url)[:2] for url in urls]
    for start in range(0, len(places), DELETED_AT_ONCE):
        part = places[start : start + DELETED_AT_ONCE]
        wanted = {"Objects": [{"Key": key} for _, key in part], "Quiet": True}
        found = system.call_s3("delete_objects", Bucket=part[0][0], Delete=wanted)
        for error in found.get("Errors", ()):
            raise ClientError({"Error": error}, "DeleteObjects")
