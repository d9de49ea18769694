"""Values of options by precedence: flag > environment > TOML > default."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ectool import parsing, shipped
from ectool.config import EXPERIMENT_TABLE, SHARED_TABLE, STAGES, STUDY_TABLE, ArmConfig
from ectool.config.trust import check_no_trust
from ectool.errors import InputError, UsageError, hint
from ectool.options import Options, choices_of, flag_of, parse_list
from ectool.urls import CACHE_VARIABLE, local_path, scheme_of

Config = TypeVar("Config", bound=Options)

DATA_VARIABLE = "ECTOOL_DATA"
"""Variable with the folder of the data sets, which is also the cache of generated ones."""
PREFIX = "ECTOOL_"
STORED = "zarr"
"""Kind of data sets that may be remote."""
NEAR = 0.75
"""Minimum similarity (ratio of difflib) of a misspelt variable to one of ectool."""
FILE_TABLES = (EXPERIMENT_TABLE, STUDY_TABLE)
"""Tables of a whole file, which are no options of a stage."""


def resolve(
    model: type[Config],
    flags: Mapping[str, Any],
    *,
    stage: str,
    toml: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Merge flag > environment > TOML > default into a checked configuration.

    Args:
        model: The stage's configuration model.
        flags: Values from the command line; None for flags that are not given.
        stage: Name of the stage, of its TOML table, and in its variables.
        toml: TOML file with one table per stage, and shared values in `[defaults]`.
        environ: Environment; `ECTOOL_<STAGE>_<OPTION>` sets an option.

    Raises:
        UsageError: A name is unknown, or a value is out of bounds.
        InputError: The TOML file cannot be read.
    """
    table = {} if toml is None else stage_table(read_toml(toml), stage, toml)
    given = {name: value for name, value in flags.items() if value is not None}
    return validate(model, {**table, **variables(model, stage, environ), **given}, stage)


def variables(
    model: type[Options], stage: str, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the options from the environment, `ECTOOL_<STAGE>_<OPTION>`."""
    names = {name: _variable(stage, name) for name in model.model_fields}
    return {name: environ[variable] for name, variable in names.items() if variable in environ}


def _variable(stage: str, option: str) -> str:
    return f"{PREFIX}{stage.replace(' ', '_')}_{option}".upper()


def check_variables(
    models: Mapping[str, type[Options]], environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Check that no variable is a misspelt variable of ectool, which would have no effect.

    Args:
        models: Configuration models of all commands by name.
        environ: Environment.

    Returns:
        A note for each other variable that begins with `ECTOOL_`.

    Raises:
        UsageError: A variable begins with the name of a command, or resembles one of ectool.
    """
    known = {DATA_VARIABLE, CACHE_VARIABLE} | {
        _variable(stage, option) for stage, model in models.items() for option in model.model_fields
    }
    notes = []
    for name in sorted(environ):
        if name not in known and name.upper().startswith(PREFIX):
            _check_spelling(name, known, [_variable(stage, "") for stage in models])
            notes.append(f"{name}: not a variable of ectool; it has no effect")
    return notes


def _check_spelling(name: str, known: set[str], prefixes: list[str]) -> None:
    """Check that an unknown variable is not a misspelt one."""
    ends = {variable.removeprefix(PREFIX): variable for variable in known}
    end = name.upper().removeprefix(PREFIX)
    near = [ends[found] for found in difflib.get_close_matches(end, ends, n=3, cutoff=NEAR)]
    near = near or [DATA_VARIABLE] * name.upper().startswith(DATA_VARIABLE)
    own = [prefix for prefix in prefixes if name.upper().startswith(prefix)]
    if near or own:
        raise UsageError(
            f"variable {name}",
            expected=" or ".join(near) if near else f"{own[0]} and the name of an option",
            got=repr(name),
            fix="correct it or unset it",
        )


def validate(model: type[Config], values: Mapping[str, Any], stage: str) -> Config:
    """Check values against a configuration model.

    Raises:
        UsageError: A value does not fit; the message is about the first.
    """
    given = {
        name: _with_paths(model, name, value) if name in model.model_fields else value
        for name, value in values.items()
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _usage_error(error.errors()[0], stage, model) from None


def _with_paths(model: type[Options], name: str, value: object) -> object:
    """Return the value of an option with a path in place of every address.

    Raises:
        UsageError: An address is not valid.
    """
    kinds = _kinds(model.model_fields[name].annotation)
    parts = parse_list(value) if tuple in kinds else value
    if not isinstance(parts, list | tuple):
        return _with_path(flag_of(model, name), parts, is_path=Path in kinds)
    is_path = Path in kinds
    if not any(scheme_of(Path(p) if is_path and isinstance(p, str) else p) for p in parts):
        return value
    return [_with_path(flag_of(model, name), part, is_path=is_path) for part in parts]


def _with_path(flag: str, value: object, *, is_path: bool) -> object:
    found = Path(value) if is_path and isinstance(value, str) else value
    scheme = scheme_of(found)
    if scheme is None or not isinstance(found, str | Path):
        return value
    if isinstance(found, str) and not found.lower().startswith(f"{scheme}:"):
        kind, _, url = found.partition(":")
        if kind == STORED:  # a data set, whose address is recorded
            local_path(url, flag)
            return value
        raise UsageError(
            f"{flag} {kind}:…",
            expected=f"an address after {STORED}: only",
            got=f"one after {kind}:",
            fix="copy the files here",
        )
    path = local_path(found, flag)
    return path if is_path else str(path)


def _kinds(annotation: Any) -> set[Any]:  # noqa: ANN401 (any annotation)
    """Return the types of a value and of its parts."""
    return {get_origin(annotation) or annotation}.union(*map(_kinds, get_args(annotation)))


def _usage_error(detail: ErrorDetails, stage: str, model: type[BaseModel]) -> UsageError:
    """Return the error for the first finding of pydantic."""
    where, name = _subject(detail, stage)
    fix = f"see `ectool {stage} --help`" if stage not in FILE_TABLES else "correct the file"
    if detail["type"] == "missing":
        return UsageError(where, expected="a value", got="none", fix=fix)
    if detail["type"] == "extra_forbidden":
        known = (model if len(detail["loc"]) == 1 else ArmConfig).model_fields
        subject = where if stage in FILE_TABLES else name
        return UsageError(
            subject,
            expected=f"one of {', '.join(known)}",
            got=repr(name),
            fix=hint(name, known) + "correct or remove it",
        )
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    near = _hint_of_value(detail, model)
    return UsageError(where, expected=expected, got=repr(detail["input"]), fix=near + fix)


def _hint_of_value(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return the beginning of a fix: the known value that a misspelt one means; else no text."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    known = choices_of(model, name) if name in model.model_fields else ()
    given = parse_list(detail["input"])
    parts = given if isinstance(given, tuple | list) else ()
    wrong = [part for part in parts if isinstance(part, str) and part not in known]
    return next(filter(None, (hint(part, known) for part in wrong)), "")


def _subject(detail: ErrorDetails, stage: str) -> tuple[str, str]:
    """Return the flag, or the key in the experiment file, of a finding; and its name."""
    path = [str(part) for part in detail["loc"]] or [stage]
    if stage in FILE_TABLES:
        return f"[{stage}] {'.'.join(path)}", path[-1]
    return "--" + path[0].replace("_", "-"), path[0]


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file with tables for stages, `[defaults]`, `[experiment]` and `[study]`.

    Args:
        path: Path of the file, or the name of one that comes with ectool.

    Raises:
        InputError: The file does not exist or is not TOML.
        UsageError: It has another table.
    """
    try:
        document = parsing.read_toml(shipped.find(path))
    except OSError as error:
        raise InputError(
            str(path),
            expected="a TOML file, or one of the names " + ", ".join(shipped.names()),
            got=error.strerror or "no file",
            fix=shipped.hint(path),
        ) from None
    tables = (*STAGES, SHARED_TABLE, *FILE_TABLES)
    for name, value in document.items():
        if name not in tables or not isinstance(value, dict):
            raise UsageError(
                f"{path}: {name}",
                expected="a table named " + ", ".join(tables),
                got=f"[{name}]" if isinstance(value, dict) else f"{name} = {value!r}",
                fix=hint(name, tables) + "move it into one of these tables",
            )
    check_no_trust(document, str(path))
    return document


def stage_table(document: Mapping[str, Any], stage: str, path: Path) -> dict[str, Any]:
    """Return the values of a stage in a TOML document: those of `[defaults]`, then its table.

    Raises:
        UsageError: `[defaults]` has a name that is not an option of any stage.
    """
    shared = document.get(SHARED_TABLE, {})
    known = {name for model in STAGES.values() for name in model.model_fields}
    for name in shared:
        if name not in known:
            raise UsageError(
                f"{path}: [{SHARED_TABLE}] {name}",
                expected="an option of a stage",
                got=repr(name),
                fix=hint(name, known) + "correct or remove it",
            )
    fields = STAGES[stage].model_fields if stage in STAGES else {}
    applies = {name: value for name, value in shared.items() if name in fields}
    return {**applies, **document.get(stage, {})}
