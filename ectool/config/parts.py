"""`--shard I/N`: the part of a stage's work that one job of an array does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, model_validator

from ectool.config.groups import RankOptions
from ectool.errors import UsageError
from ectool.options import option

_FORM = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Part:
    """One of several parts of a work.

    Attributes:
        number: Its number, from 1.
        count: Number of parts.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, total: int) -> range:
        """Return its share of `total` items: a range; the sizes of all parts differ by at most 1.

        Args:
            total: Number of items.
        """
        return range((self.number - 1) * total // self.count, self.number * total // self.count)


def parse_part(text: str) -> Part:
    """Return the part of a text such as ``2/8``.

    Raises:
        ValueError: What was expected.
    """
    found = _FORM.fullmatch(text)
    if found and 1 <= int(found[1]) <= int(found[2]):
        return Part(int(found[1]), int(found[2]))
    raise ValueError("I/N with 1 <= I <= N, such as 2/8")


def check_part(text: str) -> str:
    """Refuse a text that is no part.

    Raises:
        ValueError: What was expected.
    """
    return str(parse_part(text))


class PartOptions(RankOptions):
    """Which part of the work to do."""

    PANEL = RankOptions.PANEL

    shard: Annotated[str, AfterValidator(check_part)] | None = option(
        None,
        "Compute only part I of N of the shards, for job arrays; I from 1 to N. `ectool merge` "
        "publishes when all parts are finished.",
        keyed=False,
        metavar="I/N",
    )

    @property
    def part(self) -> Part | None:
        """Return the part; None for everything."""
        return None if self.shard is None else parse_part(self.shard)

    @model_validator(mode="after")
    def _check_shard(self) -> PartOptions:
        """Refuse options about which the jobs of an array could disagree.

        Raises:
            UsageError: Such an option is given together with a part.
        """
        if self.shard is None:
            return self
        if getattr(self, "resume", False):
            raise _misfit("--resume", "a command without --shard", "repair with one process first")
        if getattr(self, "precision", None) == "auto":
            fix = "give fp32 or bf16: machines may choose differently"
            raise _misfit("--precision auto", "a command without --shard", fix)
        return self


def _misfit(subject: str, expected: str, fix: str) -> UsageError:
    return UsageError(subject, expected=expected, got="both", fix=fix)
