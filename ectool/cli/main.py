"""The commands, their exit codes, and what goes to stdout."""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import typer

from ectool import config, settings
from ectool.cli.commands import COMMANDS, GROUPS, SERVICES
from ectool.cli.signature import with_signature
from ectool.cli.table import table_lines
from ectool.errors import EctoolError, UsageError
from ectool.options import Options, is_argument

EXIT_BUG = 1
EXIT_INTERRUPT = 130
EXIT_CLOSED_PIPE = 141


app = typer.Typer(
    name="ectool",
    help="Image classifiers that look at the object, and the tool that proves it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _call(name: str, **values: Any) -> str:  # noqa: ANN401 (typer fills them)
    """Run a command and return what belongs on stdout."""
    from ectool.cli.console import ConsoleReporter

    command = COMMANDS[name]
    flags = {key: _flag(command.model, key, v) for key, v in values.items() if key[-1] != "_"}
    options = settings.resolve(
        command.model, flags, stage=name, toml=values.get("config_"), environ=os.environ
    )
    stage = importlib.import_module(f"ectool.stages.{command.module}")
    result = stage.run(options, ConsoleReporter(quiet=values["quiet_"]))
    return _text(result, as_json=values["json_"], table=command.table) + "\n"


def _flag(model: type[Options], name: str, value: object) -> object:
    """Return what a flag was given; one that was repeated is as good as commas in one."""
    if isinstance(value, list) and not is_argument(model, name):
        return ",".join(value)
    return value


def _text(result: Path | dict[str, Any], *, as_json: bool, table: str | None = None) -> str:
    """Return a path, or what is known of the artifact there; a mapping as lines or JSON."""
    if isinstance(result, Path):
        if not as_json:
            return str(result)
        describe = importlib.import_module("ectool.stages.describe")
        result = dict(describe.artifact(result))
    if as_json:
        return json.dumps(result, indent=1)
    rows = [] if table is None else table_lines(result[table])
    return "\n".join(_lines({n: v for n, v in result.items() if n != table}) + rows)


def _lines(value: object, indent: int = 0) -> list[str]:
    """Lay nested JSON values out as indented `name: value` lines."""
    pad = "  " * indent
    if isinstance(value, dict):
        pairs = list(value.items())
    elif _is_nested(value):
        pairs = list(enumerate(value, 1))
    else:
        return [pad + _plain(value)]
    lines = []
    for name, item in pairs:
        below = _lines(item, indent + 1) or [_plain(item)]
        is_leaf = len(below) == 1 and not (isinstance(item, dict) and item) and not _is_nested(item)
        lines += [f"{pad}{name}: {below[0].strip()}"] if is_leaf else [f"{pad}{name}:", *below]
    return lines


def _is_nested(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def _plain(value: object) -> str:
    """Return a single value, or a flat list, as one piece of text."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None or value == {} else str(value)


_groups = {name: typer.Typer(help=text, no_args_is_help=True) for name, text in GROUPS.items()}
for _name, _group in _groups.items():
    app.add_typer(_group, name=_name, rich_help_panel=SERVICES)
for _name, _command in COMMANDS.items():
    _group_name, _, _verb = _name.rpartition(" ")
    _parent = _groups.get(_group_name, app)
    _parent.command(_verb, help=_command.help, rich_help_panel=_command.panel)(
        with_signature(
            _command.model,
            functools.partial(_call, _name),
            takes_config=_name in config.STAGES,
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that its outcome stands for."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        text, code = _run(arguments)
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader is gone; do not let the interpreter complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_CLOSED_PIPE
    sys.exit(code)


def _run(arguments: Sequence[str]) -> tuple[str, int]:
    """Run the command line; return what belongs on stdout, and the exit code.

    The parser would turn a closed pipe into exit code 1, so nothing is written before it is done.
    """
    from ectool.cli.console import print_error

    fault: EctoolError
    try:
        outcome = app(args=list(arguments), standalone_mode=False)
        if isinstance(outcome, str):
            return outcome, 0
        if outcome == EXIT_INTERRUPT:  # which is how the parser reports a KeyboardInterrupt
            raise KeyboardInterrupt
        return "", int(outcome or 0)
    except typer.TyperException as error:
        if not str(error).strip():  # the help has been shown instead
            return "", UsageError.exit_code
        fault = _usage(error, arguments)
    except EctoolError as error:
        fault = error
    except KeyboardInterrupt:
        print_error("interrupted; what is finished stays, the same command goes on from there")
        return "", EXIT_INTERRUPT
    if "--debug" in arguments:
        raise fault
    print_error(str(fault))
    return "", fault.exit_code


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> UsageError:
    """Turn the parser's complaint into one line of ours."""
    detail = getattr(error, "format_message", error.__str__)()
    named = [" ".join(arguments[:count]) for count in (2, 1)]
    command = " ".join(["ectool", *[name for name in named if name in (*COMMANDS, *GROUPS)][:1]])
    return UsageError(
        command,
        expected="its own commands, flags and values",
        got=detail.strip().rstrip("."),
        fix=f"see `{command} --help`",
    )
