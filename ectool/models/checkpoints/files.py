"""Files of a checkpoint, recognised by their first bytes: weights, or something else."""

from __future__ import annotations

import tarfile
import zipfile
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ectool.errors import EctoolError, InputError, listed
from ectool.input_files import HDF5_SIGNATURE, MIB, check_regular, open_regular
from ectool.parsing import read_object

FORMAT = "a state dict as safetensors or torch file"
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE = ("model.safetensors", "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar")
_BARE = "save the model's state_dict() and nothing else"
_HEAD = 512
_UNPACK = "unpack it, and give the file in it"
_KNOWN: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file", "run `git lfs pull`"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"Rar!", "a rar archive", _UNPACK),
    (HDF5_SIGNATURE, "an HDF5 file, as written by Keras", "save the weights with torch"),
    (b"GGUF", "a GGUF file", "save the weights with torch"),
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head")

MAX_RATIO = 2
"""Maximum length of the contents of a zip archive, in units of its own."""
_SLACK = 16 * MIB
MAX_PICKLE = 16 * MIB
"""Bytes of the pickle of a torch file, which takes up to sixty times its size in memory."""
MAX_HEADER = 16 * MIB
"""Bytes of the header of a safetensors file."""
_PICKLE = "data.pkl"
_MEMBERS = 100
"""Members of a tar archive that are read to recognise it."""


def files_of(path: Path) -> list[Path]:
    """Return the files of a checkpoint: the file itself, or the files of its folder.

    Args:
        path: A file; or a folder of Hugging Face's libraries, with one file of weights, or with an
            index and shards.

    Raises:
        InputError: The path does not exist, the folder is of another kind, or a shard is missing.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        if path.exists():
            check_regular(path)
        raise unreadable(path, "no such file", "check the path")
    for name in _INDEXES:
        if (path / name).is_file():
            return _shards(path, path / name)
    for name in _SINGLE:
        if (path / name).is_file():
            return [path / name]
    if (path / ".metadata").is_file():
        fix = "convert it with torch.distributed.checkpoint.format_utils"
        raise unreadable(path, "a distributed checkpoint", fix)
    inside = sorted(child.name for child in path.iterdir() if child.suffix in SUFFIXES)
    fix = f"give the file in it: {listed(inside, 3)}" if inside else "give a file"
    raise unreadable(path, "a folder", fix)


def _shards(folder: Path, index: Path) -> list[Path]:
    try:
        names = sorted(set(read_object(index)["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(index, "an index without `weight_map`", "download it again") from error
    # Only the last part of a name: an index must not refer to other folders.
    shards = [folder / Path(str(name)).name for name in names]
    for shard in shards:
        if not shard.is_file():
            raise unreadable(shard, "no such file, but the index lists it", "download it")
    return [index, *shards] if shards else []


def check_kind(path: Path) -> None:
    """Check that a file is not one of the things that people confuse with a checkpoint.

    Raises:
        InputError: It is one; the message names it.
    """
    with open_regular(path) as file:
        head = file.read(_HEAD)
    if not head:
        raise unreadable(path, "an empty file", "download or save it again")
    for magic, got, fix in _KNOWN:
        if head.startswith(magic):
            raise unreadable(path, got, fix)
    if head.lstrip().lower().startswith(_MARKUP):
        raise unreadable(path, "a web page", "download the file itself, not its web page")
    try:
        if head.startswith(b"PK"):
            _check_zip(path)
        elif tarfile.is_tarfile(path):
            _check_tar(path)
    except (EctoolError, MemoryError):
        raise
    except Exception as error:  # damaged archives raise anything
        raise unreadable(path, f"a damaged archive: {error}", "copy or save it again") from error


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins like a safetensors file: length of the header, then JSON.

    Raises:
        InputError: It does, and its header is longer than that of any network.
    """
    with open_regular(path) as file:
        head = file.read(9)
    length = int.from_bytes(head[:8], "little")
    if head[8:] != b"{" or length >= path.stat().st_size:
        return False
    if length > MAX_HEADER:
        raise unreadable(path, f"a header of {length:,} bytes", "save the weights again")
    return True


def _check_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise unreadable(path, "an incomplete file", "download or copy it again")
    names = check_contents(path)
    if any(name.endswith("/archive_format") for name in names):
        raise unreadable(path, "an exported program", f"give it as --model exported:{path}")
    if not any(name.endswith(_PICKLE) for name in names):
        raise unreadable(path, "a zip archive of other files", _UNPACK)


def check_contents(path: Path) -> list[str]:
    """Check that the contents of a zip archive are about as long as the archive.

    torch does not compress. Contents that are much longer expand, or are the same bytes many times.

    Args:
        path: A zip archive.

    Returns:
        The names of its entries.

    Raises:
        InputError: They are longer, or the objects beside the tensors are.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    total, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if total > MAX_RATIO * size + _SLACK:
        got = f"contents of {total:,} bytes in a file of {size:,}"
        raise unreadable(path, got, "save the weights again with torch.save")
    for entry in entries:
        if entry.filename.endswith(_PICKLE) and entry.file_size > MAX_PICKLE:
            got = f"{entry.file_size:,} bytes of objects beside the tensors"
            raise unreadable(path, got, "save only the state dict")
    return [entry.filename for entry in entries]


def _check_tar(path: Path) -> None:
    names = set[str]()
    with suppress(tarfile.ReadError), tarfile.open(path, "r:") as archive:  # never compressed
        names = {Path(member.name).name for member in islice(archive, _MEMBERS)}
    if {"storages", "tensors", "pickle"} <= names:
        fix = "load it and save it again with torch 2.5 or earlier"
        raise unreadable(path, "the tar format of torch before 0.1.10", fix)
    raise unreadable(path, "a tar archive", _UNPACK)


def unreadable(path: Path, got: str, fix: str = _BARE) -> InputError:
    """Return the error of a checkpoint that cannot be read."""
    return InputError(f"weights {path}", expected=FORMAT, got=got, fix=fix)
