"""Many models: patterns, lists in TOML or CSV, and the name of each model.

Only the lists are opened here, not the models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ectool import parsing
from ectool.config import ModelOptions
from ectool.config.trust import check_no_trust
from ectool.datasets.own.table_rows import read_rows
from ectool.errors import InputError, UsageError
from ectool.models.names import is_zero_shot, program_file, split_architecture
from ectool.options import option
from ectool.settings import validate
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.common.path_labels import distinct_parts
from ectool.stages.evaluate.leaderboard import LEADERBOARD_FILE

TABLE = "models"
WILDCARDS = re.compile(r"[*?\[]")
SAFE = r"\w.+=@, -"
"""Characters of a folder's name, as a regular expression lists them."""
SAFE_NAME = re.compile(rf"\w[{SAFE}]*")
UNSAFE = re.compile(rf"[^{SAFE}]+")
WEIGHTS_SUFFIXES = (".pth", ".pt", ".pt2", ".ckpt", ".bin", ".safetensors")
RESERVED = (LEADERBOARD_FILE, RESULTS_FILE)
"""Files in the folder of the audit, next to the folders of the models."""


class ModelRow(ModelOptions):
    """A model of a list: its name, and options that the command line has too."""

    name: str | None = option(None, "Name of the model. Default: from its path.")


@dataclass(frozen=True)
class ListedModel:
    """One of many models.

    Attributes:
        name: Unique, and valid as the name of a folder.
        options: Options that are set for it.
        where: Pattern or list that names it, for errors.
    """

    name: str
    options: Mapping[str, Any]
    where: str

    @property
    def path(self) -> str:
        """Return the file to load: the checkpoint, else the program or artifact."""
        model = str(self.options["model"])
        return str(self.options.get("checkpoint") or program_file(model) or model)


def listed_models(texts: Sequence[str]) -> tuple[ListedModel, ...]:
    """Return the models that patterns and lists name, in their order.

    A text that ends in .toml or .csv is a list, one with `*`, `?` or `[` a pattern of paths, whose
    matches are sorted; anything else is a model. A model without a name is named by the parts
    of its path that differ from the others, joined by hyphens.

    Raises:
        InputError: A list cannot be read, or a pattern matches nothing.
        UsageError: A row holds an unknown key or a value out of bounds, or names are not unique.
    """
    found = [model for text in texts for model in _named_by(text)]
    derived = iter(path_names([model.path for model in found if not model.name]))
    models = tuple(model if model.name else replace(model, name=next(derived)) for model in found)
    _check_names(models)
    return models


def path_names(paths: Sequence[str]) -> list[str]:
    """Return the parts of each path that differ from the others, joined by hyphens.

    Common parts at the start and at the end are left out, as long as every path keeps a part:
    `runs/0/model` and `runs/1/model` are `0` and `1`.
    """
    return ["-".join(parts) for parts in distinct_parts([_parts(path) for path in paths])]


def _parts(path: str) -> list[str]:
    """Return the parts of a path, without characters that are invalid in the name of a folder."""
    bare = Path(path).with_suffix("") if Path(path).suffix in WEIGHTS_SUFFIXES else Path(path)
    safe = [UNSAFE.sub("-", part).lstrip(".-") for part in bare.parts]
    return [part for part in safe if part] or ["model"]


def _named_by(text: str) -> Iterator[ListedModel]:
    """Yield the models that one text names."""
    path = Path(text).expanduser()
    if path.suffix == ".toml":
        yield from _toml_models(path)
    elif path.suffix == ".csv":
        yield from _csv_models(path)
    elif WILDCARDS.search(text):
        yield from _matches(path)
    else:
        yield ListedModel("", {"model": text}, f"--models {text}")


def _matches(pattern: Path) -> Iterator[ListedModel]:
    """Yield the models that a pattern matches, sorted.

    Raises:
        InputError: The pattern matches nothing.
    """
    root = Path(pattern.anchor)
    paths = sorted(root.glob(str(pattern.relative_to(root))))
    if not paths:
        raise InputError(
            f"--models {pattern}",
            expected="at least one model",
            got="no match",
            fix="check the pattern, and put it in quotes",
        )
    for path in paths:
        yield ListedModel("", {"model": str(path)}, f"--models {pattern}")


def _toml_models(path: Path) -> Iterator[ListedModel]:
    """Yield the models of a file with a table `[[models]]` each.

    Raises:
        InputError: The file is missing or not TOML, or holds no models.
        UsageError: A table does not hold a model.
    """
    try:
        document = parsing.read_toml(path)
    except OSError as error:
        got, fix = error.strerror or "no file", "correct the path"
        raise InputError(str(path), expected="a TOML file", got=got, fix=fix) from None
    tables = document.pop(TABLE, None)
    is_list = isinstance(tables, list) and all(isinstance(table, dict) for table in tables)
    if document or not tables or not is_list:
        raise InputError(
            str(path),
            expected=f"tables [[{TABLE}]] and nothing else",
            got=", ".join(map(repr, document)) or "none",
            fix=f"begin every model with a line [[{TABLE}]]",
        )
    for number, table in enumerate(tables, 1):
        yield _row(table, f"{path}, model {number}", path.parent)


def _csv_models(path: Path) -> Iterator[ListedModel]:
    """Yield the models of a CSV file; an empty cell is an option that is not set.

    Raises:
        InputError: The file is missing or not CSV, or holds no models.
        UsageError: A row does not hold a model.
    """
    is_empty = True
    for row in read_rows(path, ("model",)):
        is_empty = False
        cells = {name: cell for name, cell in row.cells.items() if cell}
        yield _row(cells, f"{path}, line {row.line}", path.parent)
    if is_empty:
        raise InputError(
            str(path), expected="a row for every model", got="none", fix="add the models"
        )


def _row(values: Mapping[str, Any], where: str, folder: Path) -> ListedModel:
    """Check a model of a list; its paths are relative to the folder of the list."""
    check_no_trust(values, where)
    try:
        row = validate(ModelRow, values, TABLE)
    except UsageError as error:
        raise UsageError(
            f"{where}: {error.subject.removeprefix('--')}",
            expected=error.expected,
            got=error.got,
            fix="correct the list",
        ) from None
    given = row.model_dump(exclude_unset=True, exclude_none=True, exclude={"name"})
    return ListedModel(row.name or "", {**given, **_places(row, folder)}, where)


def _places(row: ModelRow, folder: Path) -> dict[str, Any]:
    """Return the paths in a row, relative to the working directory."""
    if row.checkpoint is not None:
        files = {"checkpoint": row.checkpoint, "prompts": row.prompts}
        found = {n: folder / path.expanduser() for n, path in files.items() if path is not None}
        return {**found, **_configuration(row.model, folder)}
    program = program_file(row.model)
    if program is not None:
        place, _ = split_architecture(row.model)
        return {"model": f"{place}:{folder / program.expanduser()}"}
    artifact = folder / Path(row.model).expanduser()
    return {"model": str(artifact)} if artifact.exists() else {}


def _configuration(model: str, folder: Path) -> dict[str, str]:
    """Return a model of open_clip with the path of its configuration, if it is a file."""
    place, name = split_architecture(model)
    is_file = is_zero_shot(model) and name.endswith(".json")
    return {"model": f"{place}:{folder / Path(name).expanduser()}"} if is_file else {}


def _check_names(models: Sequence[ListedModel]) -> None:
    """Check that the names are different folders.

    Raises:
        UsageError: Two names are equal, or one is invalid.
    """
    counts = Counter(model.name.casefold() for model in models)
    for model in models:
        name = model.name
        if not SAFE_NAME.fullmatch(name) or name.casefold() in RESERVED:
            raise UsageError(
                f"{model.where}: name",
                expected="letters, digits, spaces and .+=@,-_ , a letter or digit first, and not "
                f"{' or '.join(RESERVED)}",
                got=repr(name),
                fix="choose another name",
            )
        if counts[name.casefold()] > 1:
            others = [other.where for other in models if other.name.casefold() == name.casefold()]
            raise UsageError(
                f"{others[1]}: name",
                expected="a name of its own for every model",
                got=f"{name!r}, as of {others[0]}",
                fix="name each model once, or give names in a list",
            )
