"""Where the values of options come from: flag > environment > TOML > default."""

from __future__ import annotations

import codecs
import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ectool.config import EXPERIMENT_TABLE, SHARED_TABLE, STAGES, ArmConfig
from ectool.errors import InputError, UsageError
from ectool.options import Options

Config = TypeVar("Config", bound=Options)

DATA_VARIABLE = "ECTOOL_DATA"
"""Names the folder under which data sets lie and made ones are cached."""
PREFIX = "ECTOOL_"
NEAR = 0.75
"""Least likeness of a variable to one of ours (difflib's ratio) that makes it a misspelt one."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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
        flags: What the user gave on the command line; None stands for not given.
        stage: Name of the stage: its TOML table and its part of the variables' names.
        toml: TOML file with one table per stage and shared values under `[defaults]`.
        environ: Environment; `ECTOOL_<STAGE>_<OPTION>` sets an option.

    Raises:
        UsageError: Unknown name or value out of bounds, whatever it came from.
        InputError: The TOML file cannot be read.
    """
    table = {} if toml is None else stage_table(read_toml(toml), stage, toml)
    given = {name: value for name, value in flags.items() if value is not None}
    return validate(model, {**table, **variables(model, stage, environ), **given}, stage)


def variables(
    model: type[Options], stage: str, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the options that the environment sets: `ECTOOL_<STAGE>_<OPTION>`."""
    names = {name: _variable(stage, name) for name in model.model_fields}
    return {name: environ[variable] for name, variable in names.items() if variable in environ}


def _variable(stage: str, option: str) -> str:
    return f"{PREFIX}{stage.replace(' ', '_')}_{option}".upper()


def check_variables(
    models: Mapping[str, type[Options]], environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Check that no variable looks like one of ours and is none: it would change nothing.

    Args:
        models: Every command's configuration model by its name.
        environ: Environment.

    Returns:
        A line for each other variable that begins with `ECTOOL_`.

    Raises:
        UsageError: One is named after a command, or nearly as one of ours is.
    """
    known = {DATA_VARIABLE} | {
        _variable(stage, option) for stage, model in models.items() for option in model.model_fields
    }
    notes = []
    for name in sorted(environ):
        if name not in known and name.upper().startswith(PREFIX):
            _check_spelling(name, known, [_variable(stage, "") for stage in models])
            notes.append(f"{name}: no variable of ectool; it changes nothing")
    return notes


def _check_spelling(name: str, known: set[str], prefixes: list[str]) -> None:
    """Check that a variable that is none of ours is not meant to be one."""
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
            fix="correct or unset it",
        )


def validate(model: type[Config], values: Mapping[str, Any], stage: str) -> Config:
    """Check values against a configuration model.

    Raises:
        UsageError: The first value that does not fit.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise _usage_error(error.errors()[0], stage, model) from None


def _usage_error(detail: ErrorDetails, stage: str, model: type[BaseModel]) -> UsageError:
    """Turn pydantic's first finding into one line."""
    where, name = _subject(detail, stage)
    fix = f"see `ectool {stage} --help`" if stage != EXPERIMENT_TABLE else "correct the file"
    if detail["type"] == "missing":
        return UsageError(where, expected="a value", got="none", fix=fix)
    if detail["type"] == "extra_forbidden":
        known = ", ".join((model if len(detail["loc"]) == 1 else ArmConfig).model_fields)
        subject = where if stage == EXPERIMENT_TABLE else name
        return UsageError(
            subject, expected=f"one of {known}", got=repr(name), fix="correct or remove it"
        )
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return UsageError(where, expected=expected, got=repr(detail["input"]), fix=fix)


def _subject(detail: ErrorDetails, stage: str) -> tuple[str, str]:
    """Return the flag, or the place in the experiment file, of a finding; and the bare name."""
    path = [str(part) for part in detail["loc"]] or [stage]
    if stage == EXPERIMENT_TABLE:
        return f"[{EXPERIMENT_TABLE}] {'.'.join(path)}", path[-1]
    return "--" + path[0].replace("_", "-"), path[0]


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file whose tables are stages, `[defaults]` and `[experiment]`.

    Raises:
        InputError: The file is missing or not TOML.
        UsageError: It has a table that is none of those.
    """
    try:
        document = tomllib.loads(_text(path))
    except OSError as error:
        raise InputError(
            str(path), expected="a TOML file", got=error.strerror or "no file", fix="check the path"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            str(path), expected="valid TOML", got=str(error), fix="correct the file"
        ) from None
    tables = (*STAGES, SHARED_TABLE, EXPERIMENT_TABLE)
    for name, value in document.items():
        if name not in tables or not isinstance(value, dict):
            raise UsageError(
                f"{path}: {name}",
                expected="a table named " + ", ".join(tables),
                got=f"[{name}]" if isinstance(value, dict) else f"{name} = {value!r}",
                fix="move it into one of these tables",
            )
    return document


def _text(path: Path) -> str:
    """Return the text of a TOML file, which is UTF-8, with or without the mark of editors.

    Raises:
        InputError: It is UTF-16, which some shells and editors write.
    """
    data = path.read_bytes()
    if data.startswith(UTF16):
        raise InputError(str(path), expected="TOML in UTF-8", got="UTF-16", fix="save it as UTF-8")
    return data.decode("utf-8-sig")


def stage_table(document: Mapping[str, Any], stage: str, path: Path) -> dict[str, Any]:
    """Return what a TOML document says of one stage: `[defaults]` that apply, then its table.

    Raises:
        UsageError: `[defaults]` holds a name that no stage knows.
    """
    shared = document.get(SHARED_TABLE, {})
    known = {name for model in STAGES.values() for name in model.model_fields}
    for name in shared:
        if name not in known:
            raise UsageError(
                f"{path}: [{SHARED_TABLE}] {name}",
                expected="an option of some stage",
                got=repr(name),
                fix="correct or remove it",
            )
    fields = STAGES[stage].model_fields if stage in STAGES else {}
    applies = {name: value for name, value in shared.items() if name in fields}
    return {**applies, **document.get(stage, {})}
