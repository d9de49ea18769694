"""The command line: parses arguments, runs a command, prints its result, returns an exit code."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from ectool import config, settings
from ectool.cli import guard, ranks, signals, streams
from ectool.cli.commands import COMMANDS, DRY, DRY_TABLE, GROUPS, SERVICES
from ectool.cli.faults import fault_of, is_interrupt
from ectool.cli.remarks import remarks_as
from ectool.cli.results import check_stdout, told, with_stdout
from ectool.cli.signature import with_signature
from ectool.cli.text import examples_text
from ectool.cli.usage import usage_error
from ectool.distributed.failures import prints_interrupt
from ectool.distributed.launch import RanksNeededError, launch
from ectool.errors import EctoolError, FinishedMeanwhileError, UsageError
from ectool.machine import chain
from ectool.options import Options, is_argument
from ectool.shown_text import visible
from ectool.types import Reporter
from ectool.urls import shown

EXIT_INTERRUPT = 130
EXIT_CLOSED_PIPE = 141
DEBUG = "--debug"
NAME = "ectool"


app = typer.Typer(
    name=NAME,
    help="Train image classifiers that look at the object, and measure whether a model does.",
    no_args_is_help=True,
    suggest_commands=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(*, is_wanted: bool) -> None:
    """Print the version and end the command."""
    if is_wanted:
        streams.write(f"ectool {version('ectool')}\n".encode())
        raise typer.Exit


@app.callback()
def _shared(
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            callback=lambda is_wanted: _show_version(is_wanted=is_wanted),
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Declare the options that need no command."""


def _call(name: str, **values: Any) -> Callable[[], bytes]:  # noqa: ANN401 (typer fills them)
    """Return the call of a command, for after the parser, which would catch its errors."""
    return functools.partial(_execute, name, values)


def _execute(name: str, values: Mapping[str, Any]) -> bytes:
    """Run a command and return the bytes for stdout."""
    from ectool.cli.console import ConsoleReporter

    command, as_json, is_dry = COMMANDS[name], bool(values["json_"]), values.get("dry_run_", False)
    models = {name: command.model for name, command in COMMANDS.items()}
    messages = settings.check_variables(models, os.environ)
    options = resolved(name, values)
    ranks.check(name, options, is_dry=is_dry)
    check_stdout(options, as_json=as_json)
    console = ConsoleReporter(quiet=values["quiet_"])
    with ranks.reporting(console, options) as reporter, remarks_as(reporter.note):
        for message in messages:
            reporter.note(message)
        if warning := ranks.unshared(options):
            reporter.warn(warning)
        importlib.import_module("ectool.stages.common.preflight").check_early(options)
        module, table = ("dry_run", DRY_TABLE) if is_dry else (command.module, command.table)
        stage = importlib.import_module(f"ectool.stages.{module}")
        try:
            result = _result_of(stage.run, options, reporter)
        except EctoolError as error:
            if (found := error.result) is not None and (as_json or not error.only_json):
                ranks.write(told(found, reporter, as_json=as_json, table=command.table))
            raise
        importlib.import_module("ectool.remote.commands").finish(options, result)
        return told(result, reporter, as_json=as_json, table=table)


def _result_of(
    run: Callable[[Options, Reporter], object], options: Options, reporter: Reporter
) -> object:
    """Return the result of a stage, also of an output that another process has just finished."""
    try:
        return run(options, reporter)
    except FinishedMeanwhileError:
        return run(options, reporter)


def resolved(name: str, values: Mapping[str, Any]) -> Options:
    """Return the options of a command, from the values of the parser.

    Raises:
        InputError: The TOML file cannot be read, or names code, which is not trusted.
        UsageError: A value does not fit.
    """
    model = COMMANDS[name].model
    flags = {key: _flag(model, key, v) for key, v in values.items() if key[-1] != "_"}
    toml = values.get("config_")
    options = settings.resolve(model, flags, stage=name, toml=toml, environ=os.environ)
    if toml is not None:
        given = {key for key, value in flags.items() if value is not None}
        code = importlib.import_module("ectool.stages.common.code")
        code.check_named(
            options, f"{toml}: [{name}] model", given | {*settings.variables(model, name)}
        )
    return options


def _flag(model: type[Options], name: str, value: object) -> object:
    """Return the value of a flag; a repeated flag equals one with commas."""
    if isinstance(value, list) and not is_argument(model, name):
        return ",".join(value)
    return value


_groups = {
    name: typer.Typer(help=text, no_args_is_help=True, suggest_commands=False)
    for name, text in GROUPS.items()
}
for _name, _group in _groups.items():
    app.add_typer(_group, name=_name, rich_help_panel=SERVICES)
for _name, _command in COMMANDS.items():
    _group_name, _, _verb = _name.rpartition(" ")
    _parent = _groups.get(_group_name, app)
    _parent.command(
        _verb,
        help=_command.help,
        epilog=examples_text(_command.examples),
        rich_help_panel=_command.panel,
    )(
        with_signature(
            _command.model,
            functools.partial(_call, _name),
            takes_config=_name in config.STAGES,
            takes_dry_run=_name in DRY,
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    streams.prepare()
    signals.install()
    ranks.begin()
    if guard.is_needed(arguments):
        code = _guarded(arguments)
    else:
        ranks.watch()
        code = _complete(arguments)
    streams.settle()
    sys.exit(code)


def _guarded(arguments: Sequence[str]) -> int:
    """Run the command line in a child, which code of other people may end."""
    try:
        return guard.guarded(lambda: _complete(arguments), ranks.watch)
    except EctoolError as error:
        return _fail(error, arguments)


def _complete(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code, also where the reader of stdout is gone."""
    try:
        return _run(arguments)
    except streams.ClosedPipeError:
        return EXIT_CLOSED_PIPE


def _run(arguments: Sequence[str]) -> int:
    """Run the command line, print its result or one line of error, and return the exit code."""
    try:
        parsed = _parse(with_stdout(arguments))
        if callable(parsed):
            return _called(parsed, arguments)
        if parsed == EXIT_INTERRUPT:  # the parser returns it for a KeyboardInterrupt
            raise KeyboardInterrupt
        return int(parsed or 0)
    except typer.TyperException as error:
        if not str(error).strip():  # the parser has shown the help
            return UsageError.exit_code
        return _fail(usage_error(error, arguments), arguments)
    except streams.ClosedPipeError:
        raise
    except BaseException as error:  # every error is printed in one line
        return _fail(error, arguments)


def _called(call: Callable[[], bytes], arguments: Sequence[str]) -> int:
    """Run a command, here or in several processes, and return its exit code."""
    try:
        with streams.reserved():
            ranks.write(call())
    except RanksNeededError as needed:
        return launch(needed.count, arguments)
    return 0


def _parse(arguments: Sequence[str]) -> Any:  # noqa: ANN401 (a call, or an exit code)
    """Return the call of a command; or the exit code, if the parser has done all, as completion."""
    try:
        return app(args=list(arguments), prog_name=NAME, standalone_mode=False)
    except SystemExit as end:
        if any(isinstance(error, BrokenPipeError) for error in chain(end)):
            raise
        return end.code


def _fail(error: BaseException, arguments: Sequence[str]) -> int:
    """Print in one line why a command failed, and return its exit code."""
    from ectool.cli.console import print_error

    if DEBUG in arguments:
        sys.stderr.write(visible("".join(traceback.format_exception(error)), "\n"))
    elif not sys.warnoptions:
        warnings.simplefilter("ignore")  # no warnings after the error
    if isinstance(error, SystemExit) and any(isinstance(e, BrokenPipeError) for e in chain(error)):
        raise streams.ClosedPipeError from error  # raised by the parser while it shows the help
    if is_interrupt(error):
        if prints_interrupt():
            print_error("interrupted; what is finished stays, the same command goes on from there")
        return EXIT_INTERRUPT
    fault = fault_of(error, arguments)
    if ranks.prints_error(fault):
        print_error(shown(str(fault)))
    return ranks.exit_code(fault)
