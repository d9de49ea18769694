"""Options that are addresses of other stores: looked up before a command, written after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ectool import urls
from ectool.config import InspectConfig, RunConfig, ShardOptions, ValidityConfig, VerifyConfig
from ectool.errors import UsageError
from ectool.options import Options, flag_of, role_of
from ectool.remote import outputs, reading, session
from ectool.types import Outcome

OUTPUTS = ("output", "arrays")
"""Roles of paths that are written."""


def prepare(options: Options, *, is_alone: bool) -> None:
    """Ask the stores what is at the addresses in options.

    Args:
        options: Of a command.
        is_alone: Whether no other process shares its work.

    Raises:
        UsageError: The store of an output can only be read, or the command writes no addresses.
        InputError: A store refuses, or does not answer.
    """
    for name, path in _remote(options):
        session.begin()
        if role_of(type(options), name) in OUTPUTS:
            _check_output(options, name, path, is_alone=is_alone)
            if getattr(options, "force", False):
                outputs.force(path)
        if _is_verified(options):
            reading.fresh(path)
        reading.look(path)


def finish(options: Options, result: object) -> None:
    """Write the files of a command that are no artifacts, such as a report, to their addresses."""
    paths = {path for name, path in _remote(options) if role_of(type(options), name) in OUTPUTS}
    if isinstance(result, Outcome) and urls.url_of(result.path) is not None:
        paths.add(result.path)
    for path in sorted(paths):
        outputs.send(path)


def _remote(options: Options) -> Iterator[tuple[str, Path]]:
    """Yield the name of an option and its path, for every address."""
    for name in type(options).model_fields if urls.is_used() else ():
        value = getattr(options, name)
        for one in value if isinstance(value, tuple | list) else (value,):
            path = Path(one) if isinstance(one, str) else one
            if isinstance(path, Path) and urls.url_of(path) is not None:
                yield name, path


def _check_output(options: Options, name: str, path: Path, *, is_alone: bool) -> None:
    url = urls.url_of(path) or ""
    scheme = url.partition(":")[0]
    subject = f"{flag_of(type(options), name)} {url}"
    if scheme in urls.READ_ONLY:
        raise UsageError(
            subject,
            expected="a store that can be written",
            got=f"{scheme}://, which can only be read",
            fix="choose another output",
        )
    if not is_alone or getattr(options, "nproc", 1) > 1 or getattr(options, "shard", None):
        raise UsageError(
            subject,
            expected="one process, for an output in a store",
            got="several",
            fix="leave out --nproc and --shard, or write it here and copy it with `ectool convert`",
        )
    if isinstance(options, RunConfig | ValidityConfig):
        raise UsageError(
            subject,
            expected="a local folder, for a whole experiment",
            got=f"an address of {scheme}",
            fix="write it here and copy it, or run the stages one by one",
        )


def _is_verified(options: Options) -> bool:
    """Return whether a command compares all bytes, also those of copies."""
    is_resumed = isinstance(options, ShardOptions) and options.resume
    is_inspected = isinstance(options, InspectConfig) and options.verify
    return is_resumed or is_inspected or isinstance(options, VerifyConfig)
