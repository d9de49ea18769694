"""Errors of the parser as usage errors of one line, with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ectool.cli.commands import COMMANDS, GROUPS
from ectool.cli.signature import COMMON
from ectool.errors import UsageError, hint
from ectool.options import flag_of

NO_COMMAND = "No such command"
"""Beginning of the parser's message."""
HELP = "--help"


def usage_error(error: typer.TyperException, arguments: Sequence[str]) -> UsageError:
    """Return an error of the parser as a usage error.

    Args:
        error: The error.
        arguments: Arguments of the command line.
    """
    named = [" ".join(arguments[:count]) for count in (2, 1)]
    known = [name for name in named if name in (*COMMANDS, *GROUPS)]
    detail = str(getattr(error, "message", error)).strip().rstrip(".")
    if hasattr(error, "possibilities"):  # an unknown flag
        near = hint(str(getattr(error, "option_name", "")), _flags(known))
    elif detail.startswith(NO_COMMAND):
        near = next(filter(None, (hint(name, (*COMMANDS, *GROUPS)) for name in named)), "")
    else:
        near, detail = "", getattr(error, "format_message", error.__str__)().strip().rstrip(".")
    command = " ".join(["ectool", *known[:1]])
    return UsageError(
        command,
        expected="its own commands, flags and values",
        got=detail,
        fix=f"{near}see `{command} {HELP}`",
    )


def _flags(names: Sequence[str]) -> list[str]:
    """Return the flags of the first of some commands."""
    models = [COMMANDS[name].model for name in names if name in COMMANDS]
    own = [flag_of(model, field) for model in models[:1] for field in model.model_fields]
    return [*own, *(f"--{kind.value}" for kind in COMMON), HELP]
