"""What a kind of input is, and a case of it."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SUCCESS = 0
DOCUMENTED = (0, 2, 3, 4, 5, 6)
"""Exit codes of docs/cli.md that a command may end with; 1 is a bug, 130 and 141 are signals."""

Change = Callable[[Path, random.Random, "Draw"], list[str]]
"""Changes the input in a folder; returns in words what was done."""
Draw = Callable[[str], object]
"""Returns the value that hypothesis has drawn for this case from a strategy, by its name."""


@dataclass(frozen=True)
class Step:
    """A command that reads the input.

    Attributes:
        argv: Its arguments; `{x}` is the input, `{url}` its address, `out/…` is what it writes.
        is_compared: Whether a success must give the results of the valid input: what it
            reads is covered by digests.
        codes: Exit codes that a valid input may give.
    """

    argv: tuple[str, ...]
    is_compared: bool = False
    codes: tuple[int, ...] = (SUCCESS,)


@dataclass(frozen=True)
class Variant:
    """A valid input: files of the corpus, and the commands that read them.

    Attributes:
        source: Path in the corpus that is copied.
        steps: The commands.
        also: Further paths of the corpus, copied beside it and changed too.
        place: Folder that they are copied to; `out` for what a command continues.
        to: Name of the input, if it differs from that in the corpus.
    """

    source: str
    steps: tuple[Step, ...]
    also: tuple[str, ...] = ()
    to: str = ""
    place: str = "in"

    @property
    def name(self) -> str:
        return self.to or Path(self.source).name


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        variants: Its valid inputs.
        change: Changes a copy of one.
        needs: Groups of the corpus, see `GROUPS` in `corpus.py`.
    """

    variants: tuple[Variant, ...]
    change: Change
    needs: tuple[str, ...] = ()


def step(text: str, *, compared: bool = False, codes: tuple[int, ...] = (SUCCESS,)) -> Step:
    """Return the step of a command line as text."""
    return Step(tuple(shlex.split(text)), compared, codes)
