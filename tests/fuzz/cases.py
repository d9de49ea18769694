"""Cases: a copy of a valid input that is changed, in a folder of its own."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import documents
from .bytes_changes import HUGE
from .model import Kind, Variant
from .runner import Task, Workplace

PLACES = ("in", "out", "canary", "home", "tmp")
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class Case:
    """A changed input: its kind, and the numbers that it follows from."""

    kind: str
    seed: int
    number: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.seed}:{self.number}"

    def generator(self) -> random.Random:
        """Return the generator of its variant and its changes."""
        return random.Random(str(self))

    def variant(self, kind: Kind) -> Variant:
        return self.generator().choice(kind.variants)

    def change(self, kind: Kind, folder: Path) -> list[str]:
        """Change the input in a folder; return in words what was done."""
        rng = self.generator()
        variant = rng.choice(kind.variants)
        block, place = divmod(self.number, documents.BLOCK)

        def draw(strategy: str) -> object:
            return _block(strategy, self.seed * 1_000_003 + block)[place]

        with _DRAWING:  # hypothesis draws in one thread at a time
            return kind.change(folder / variant.place, rng, draw)


@cache
def _block(strategy: str, number: int) -> tuple[object, ...]:
    values = documents.drawn(strategy, number)
    return tuple(values[place % len(values)] for place in range(documents.BLOCK))


@contextmanager
def case_folder(place: Workplace, name: str, variant: Variant) -> Iterator[Path]:
    """Make the folder of a case, with copies of its valid input; remove it at the end."""
    folder = place.cases / name.replace(":", "-")
    try:
        fill(place, folder, variant)
        yield folder
    finally:
        for path in (folder, folder.with_name(folder.name + ".logs")):
            shutil.rmtree(path, ignore_errors=True)


def fill(place: Workplace, folder: Path, variant: Variant) -> None:
    for name in PLACES:
        (folder / name).mkdir(parents=True)
    (folder / "canary/file").write_bytes(b"canary")
    (folder / "base").symlink_to("../../base")
    names = {variant.source: variant.name, **{path: Path(path).name for path in variant.also}}
    for source, target in names.items():
        copy(place.base / source, folder / variant.place / target)


def has_digests(path: Path) -> bool:
    """Return whether an artifact has its manifest, with the digests of its contents."""
    if path.is_dir():
        return (path / "manifest.json").is_file()
    with suppress(OSError):  # as of a link to a file of the system
        return path.is_file() and path.stat().st_size < HUGE and b'"recipe"' in path.read_bytes()
    return False


def has_lost_digests(place: Workplace, folder: Path, variant: Variant) -> bool:
    """Return whether the valid input of a case has digests, and the changed one has none."""
    return has_digests(place.base / variant.source) and not has_digests(
        folder / variant.place / variant.name
    )


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def tasks_of(place: Workplace, folder: Path, variant: Variant) -> dict[str, Task]:
    """Return the commands that read a variant, by their number."""
    path = f"{variant.place}/{variant.name}"
    names = {"{x}": path, "{url}": f"{place.url}/{place.cases.name}/{folder.name}/{path}"}

    def named(part: str) -> str:
        for name, value in names.items():
            part = part.replace(name, value)
        return part

    return {
        str(number): Task(folder, [named(part) for part in (*step.argv, "-q")])
        for number, step in enumerate(variant.steps)
    }
