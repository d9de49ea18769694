"""Changes of the files of a folder: missing, renamed, other types, links."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from .bytes_changes import HUGE

NAMES = ("a b", "-x", "\x1b[31mred", "new\nline", "\u202eabc", "é", "c", "zarr.json", "x" * 200)
BAD_UTF8 = os.fsdecode(b"\xff\xfe")


def entries(root: Path, *, files_only: bool = False) -> list[Path]:
    """Return the files and folders below a path, and itself; links are not followed.

    Args:
        files_only: Leave out folders, links, special files and huge files.
    """
    found = [root]
    if root.is_dir() and not root.is_symlink():
        for folder, folders, names in os.walk(root):
            found += [Path(folder, name) for name in sorted([*folders, *names])]
    return sorted(filter(_is_small, found) if files_only else found)


def _is_small(path: Path) -> bool:
    """Return whether an entry is a file that was not made huge."""
    return not path.is_symlink() and path.is_file() and path.stat().st_size < HUGE


def remove(path: Path, rng: random.Random) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def rename(path: Path, rng: random.Random) -> None:
    path.rename(path.with_name(rng.choice((*NAMES, BAD_UTF8, path.name.upper() + "_"))))


def add_file(path: Path, rng: random.Random) -> None:
    folder = path if path.is_dir() else path.parent
    (folder / rng.choice((*NAMES, BAD_UTF8, ".hidden"))).write_bytes(rng.randbytes(32))


def to_folder(path: Path, rng: random.Random) -> None:
    remove(path, rng)
    path.mkdir()


def to_file(path: Path, rng: random.Random) -> None:
    remove(path, rng)
    path.write_bytes(rng.choice((b"", b"{}", b"x", rng.randbytes(100))))


def to_fifo(path: Path, rng: random.Random) -> None:
    remove(path, rng)
    os.mkfifo(path)


def to_socket(path: Path, rng: random.Random) -> None:
    remove(path, rng)
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:  # a path of a socket must be short
        listener.bind(f"/proc/self/fd/{here}/s")
    os.close(here)
    (path.parent / "s").rename(path)


def to_link(path: Path, rng: random.Random) -> None:
    """Replace an entry with a link: to itself, a device, nowhere, or out of the input."""
    where = rng.choice(
        (path.name, "/dev/zero", "/dev/full", "/dev/tty", "nowhere", "..", "/proc/self/mem",
         os.path.relpath(_canary(path), path.parent))
    )  # fmt: skip
    remove(path, rng)
    path.symlink_to(where)


def to_outer(path: Path, rng: random.Random) -> None:
    """Move an entry out of the input, and leave a link to it."""
    canary = _canary(path) / path.name
    path.rename(canary)
    path.symlink_to(os.path.relpath(canary, path.parent))


def to_sparse(path: Path, rng: random.Random) -> None:
    """Make a file huge, without using the disk."""
    if path.is_file():
        os.truncate(path, HUGE)
    else:
        to_file(path, rng)


def swap(path: Path, rng: random.Random) -> None:
    """Exchange an entry with another one beside it."""
    others = sorted(other for other in path.parent.iterdir() if other != path)
    if not others:
        return
    other, kept = rng.choice(others), path.with_name("kept")
    path.rename(kept)
    other.rename(path)
    kept.rename(other)


def nest(path: Path, rng: random.Random) -> None:
    """Put a copy of an entry beside it."""
    target = path.parent / f"{path.name}-copy"
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, target, symlinks=True, ignore=_not_small)
    elif _is_small(path):
        shutil.copyfile(path, target)


def _not_small(folder: str, names: list[str]) -> list[str]:
    paths = [Path(folder, name) for name in names]
    return [path.name for path in paths if not (path.is_dir() or _is_small(path))]


def without_rights(path: Path, rng: random.Random) -> None:
    path.chmod(rng.choice((0o000, 0o200, 0o444)))


CHANGES: tuple[Callable[[Path, random.Random], None], ...] = (
    *(remove, remove, rename, add_file, to_folder, to_file, to_fifo, to_socket),
    *(to_link, to_link, to_outer, to_sparse, swap, swap, nest, without_rights),
)


def _canary(path: Path) -> Path:
    """Return the folder beside the input that no command may change."""
    case = next(folder for folder in path.parents if (folder / "canary").is_dir())
    return case / "canary"


def change_tree(path: Path, rng: random.Random) -> str:
    """Change an entry of a folder; return what was done."""
    change = rng.choice(CHANGES)
    change(path, rng)
    return f"{change.__name__} {path.name!a}"
