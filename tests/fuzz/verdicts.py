"""What is a failure of a command on a hostile input."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress

from .model import DOCUMENTED, SUCCESS, Step
from .runner import Outcome

MEMORY = 1 << 30
"""Bytes of resident memory that an input may take more than a valid one."""
LENGTH = 500
"""Maximum characters of a line of error."""
CODE = "executed"
"""Name of a file that hostile code writes into the canary folder."""
BIDIRECTIONAL = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
MESSAGES = ("error: ", "warning: ")
DAMAGED = 5
"""Exit code for damage that digests show."""


def judge(
    step: Step, outcome: Outcome, valid: Outcome | None, *, has_digests: bool = True
) -> list[str]:
    """Return the names of all failures of a command.

    Args:
        step: The command.
        outcome: What it did.
        valid: What it does on the valid input, if that is known.
        has_digests: Whether the input still has its manifest; without one, it counts as that of
            another program, and any contents are valid.
    """
    return [
        *_ends(outcome),
        *_memory(outcome, valid),
        *_changes(outcome),
        *_texts(outcome),
        *(_acceptance(step, outcome, valid) if has_digests else ()),
    ]


def _ends(outcome: Outcome) -> Iterator[str]:
    if outcome.code is None:
        yield "time"
    elif outcome.code < 0:
        yield f"signal {-outcome.code}"
    elif outcome.code not in DOCUMENTED:
        yield f"exit {outcome.code}"
    if b"Traceback (most recent call last)" in outcome.err:
        yield "traceback"


def _memory(outcome: Outcome, valid: Outcome | None) -> Iterator[str]:
    if valid is not None and outcome.peak > valid.peak + MEMORY:
        yield "memory"


def _changes(outcome: Outcome) -> Iterator[str]:
    for name in outcome.changed:
        if name == f"./canary/{CODE}":
            yield "code executed"
    places = {name.split("/")[1] for name in outcome.changed if CODE not in name}
    if "in" in places:
        yield "input changed"
    if places - {"in"}:
        yield f"changed {', '.join(sorted(places - {'in'}))}"


def _texts(outcome: Outcome) -> Iterator[str]:
    for name, content in (("stdout", outcome.out), ("stderr", outcome.err)):
        try:
            text = content.decode()
        except UnicodeDecodeError:
            yield f"{name} is no UTF-8"
            continue
        if any(map(_is_control, text)):
            yield f"control characters in {name}"
    lines = outcome.err.decode(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if outcome.code in DOCUMENTED and len(errors) != (outcome.code != SUCCESS):
        yield f"{len(errors)} lines of error"
    if "traceback" not in outcome.err.decode(errors="replace").lower() and any(
        not line.startswith(MESSAGES) for line in lines
    ):
        yield "a line that is neither error nor warning"
    if any(len(line) > LENGTH for line in lines):
        yield "a long line"


def _is_control(letter: str) -> bool:
    return letter in BIDIRECTIONAL or (unicodedata.category(letter) == "Cc" and letter != "\n")


def _acceptance(step: Step, outcome: Outcome, valid: Outcome | None) -> Iterator[str]:
    """Yield a failure if changed contents are taken as if they were the written ones."""
    if not step.is_compared or valid is None or outcome.code != SUCCESS:
        return
    if outcome.out != valid.out and not _names_more(outcome.out, valid.out):
        yield "silent: another result on stdout"
    common = set(outcome.written) & set(valid.files)
    differs = any(outcome.files[name] != valid.files[name] for name in common)
    if differs or not set(valid.written) <= set(outcome.files):
        yield "silent: another result in the output"


def _names_more(out: bytes, valid: bytes) -> bool:
    """Return whether `verify` calls everything unknown of which it does not say the same."""
    with suppress(ValueError, AttributeError):
        entries, expected = (json.loads(text).get("artifacts", []) for text in (out, valid))
        others = [one for one in entries if one not in expected]
        is_whole = {one["path"] for one in expected} <= {one["path"] for one in entries}
        return bool(others) and is_whole and all(one["state"] == "unknown" for one in others)
    return False


def contradicts(step: Step, outcome: Outcome, others: Mapping[Step, Outcome]) -> list[str]:
    """Return a failure if a check finds nothing where another command finds damage."""
    is_check = "--verify" in step.argv or step.argv[0] == "verify"
    damaged = [
        other.argv[0]
        for other, found in others.items()
        if other.is_compared and found.code == DAMAGED
    ]
    if not (is_check and outcome.code == SUCCESS and damaged):
        return []
    return [f"silent: nothing found, but {damaged[0]} ends with {DAMAGED}"]
