"""Flags of commands, derived from their configuration models."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ectool.cli.completion import completer
from ectool.options import (
    Options,
    flag_of,
    format_value,
    in_order_of_help,
    is_argument,
    metavar_of,
    panel_of,
    plain_type,
    words_of,
)

Result = TypeVar("Result")

METAVARS = {int: "INT", float: "FLOAT", str: "NAME", Path: "PATH", bool: "", dict: "TABLE"}
ADVANCED = "Advanced: "
"""Beginning of the title of every panel but the first."""


class Output(Enum):
    """Names of the flags that all commands share."""

    CONFIG = "config"
    JSON = "json"
    QUIET = "quiet"
    DEBUG = "debug"
    DRY_RUN = "dry-run"


COMMON = {
    Output.CONFIG: (Path | None, None, "TOML file with a table per command."),
    Output.JSON: (bool, False, "Print one JSON document on stdout."),
    Output.QUIET: (bool, False, "Print neither progress nor notes; warnings and errors remain."),
    Output.DEBUG: (bool, False, "Show the traceback of an error."),
    Output.DRY_RUN: (
        bool,
        False,
        "Print parts, outputs and estimated time, from a few timed batches; write nothing.",
    ),
}


def with_signature(
    model: type[Options],
    call: Callable[..., Result],
    *,
    takes_config: bool,
    takes_dry_run: bool = False,
) -> Callable[..., Result]:
    """Return a function with the flags of a configuration model and the common flags.

    The function receives text: a bool for switches, a list of texts for options that may be
    repeated, None for flags that were not given. Only the model parses and checks the values.
    """
    parameters = [_parameter(model, name) for name in in_order_of_help(model)]
    left_out = {Output.CONFIG: not takes_config, Output.DRY_RUN: not takes_dry_run}
    parameters += [_common(kind) for kind in COMMON if not left_out.get(kind)]

    def command(**values: Any) -> Result:  # noqa: ANN401 (typer fills them)
        return call(**values)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def describe_option(model: type[Options], name: str) -> tuple[str, str, str]:
    """Return flag (or argument), form of the value, and help of a field."""
    field = model.model_fields[name]
    kind = plain_type(field.annotation)
    form = metavar_of(model, name) or _metavar(field.annotation, kind)
    return flag_of(model, name), form, _help(field, kind)


def panel_title(model: type[Options], name: str) -> str | None:
    """Return the title of the panel of the help that shows an option; None for the first."""
    panel = panel_of(model, name)
    return ADVANCED + panel if panel else None


def _parameter(model: type[Options], name: str) -> inspect.Parameter:
    """Return the command-line parameter of a field."""
    flag, metavar, help_text = describe_option(model, name)
    kind = plain_type(model.model_fields[name].annotation)
    is_switch, is_list = kind is bool, get_origin(kind) is tuple
    taken: Any = bool if is_switch else list[str] if is_list else str
    info: Any
    if is_argument(model, name):
        taken = {Path: Path, tuple: list[Path]}.get(get_origin(kind) or kind, str)
        info = typer.Argument(
            help=help_text,
            metavar=flag,
            show_default=False,
            autocompletion=completer(model, name),
        )
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[taken, info]
        )
    info = typer.Option(
        f"{flag}/--no-{flag[2:]}" if is_switch else flag,
        help=help_text,
        metavar=None if is_switch else metavar,
        show_default=False,
        rich_help_panel=panel_title(model, name),
        autocompletion=completer(model, name),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[taken | None, info],
    )


def _common(kind: Output) -> inspect.Parameter:
    """Return the parameter of a flag that all commands share."""
    annotation, default, help_text = COMMON[kind]
    short = ("-q",) if kind is Output.QUIET else ()
    info = typer.Option(
        f"--{kind.value}",
        *short,
        help=help_text,
        show_default=False,
        rich_help_panel="Command line",
    )
    return inspect.Parameter(
        f"{kind.name.lower()}_",
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation, info],
    )


def _metavar(annotation: Any, kind: Any) -> str:  # noqa: ANN401 (any annotation)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    if get_origin(kind) is tuple:
        return METAVARS[plain_type(get_args(kind)[0])] + ",..."
    return "|".join([METAVARS[kind], *words_of(annotation)])


def _help(field: FieldInfo, kind: Any) -> str:  # noqa: ANN401 (any type)
    """Return the description of a field, with bounds and default."""
    notes = [part for part in (_bounds(field), _default(field, kind)) if part]
    text = field.description or ""
    return f"{text} ({'; '.join(notes)})" if notes else text


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [
        f"{sign} {getattr(rule, name):g}"
        for rule in (*field.metadata, *_rules_of_parts(field.annotation))
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(found)


def _rules_of_parts(annotation: Any) -> list[Any]:  # noqa: ANN401 (any annotation)
    """Return the bounds of the types of a union, such as that of a positive number or a word."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    notes = (note for part in parts for note in getattr(part, "__metadata__", ()))
    return [rule for note in notes if isinstance(note, FieldInfo) for rule in note.metadata]


def _default(field: FieldInfo, kind: Any) -> str:  # noqa: ANN401 (any type)
    default = field.default
    if default is PydanticUndefined or default is Ellipsis:
        return "" if _is_positional(field) else "required"
    if default is None or default == ():
        return ""
    if kind is bool:
        return "default: on" if default else "default: off"
    return f"default: {format_value(default)}"


def _is_positional(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and "argument" in field.json_schema_extra
