"""A grid file, expanded into jobs: one training and its evaluations each.

A grid file is TOML: `[study]` names the files beside it, `[tables.NAME]` holds the options of the
stages that all cells share, and every `[[cells]]` has a name, arms, seeds and its own options. An
arm is a row of `objectives.toml`: the table of an arm of `ectool run`, its role, and the settings
that the tuning compares.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ectool.artifacts.hashing import digest_json
from ectool.errors import InputError, UsageError

Table = Mapping[str, Any]
STAGES = ("defaults", "train", "perturb", "explain", "score", "evaluate", "strong")
"""Tables of options; `strong` changes `evaluate` for a second evaluation of each model."""
ROLES = ("reference", "rival", "control", "upper bound", "ours")
ALL = "all"


@dataclass(frozen=True)
class Job:
    """One arm with one seed in one cell of the grid.

    Attributes:
        cell: Name of the cell.
        arm: Name of the arm; of a tuning, with the number of its setting, such as `focal-2`.
        objective: Value of `train --objective`.
        seed: Seed of the training.
        document: The experiment file of the training, for `ectool run`.
        evaluations: Options of each evaluation of the model, by name.
    """

    cell: str
    arm: str
    objective: str
    seed: int
    document: Table
    evaluations: Mapping[str, Table]

    @property
    def folder(self) -> Path:
        """Return its folder within that of the study."""
        return Path(self.cell) / self.arm / f"seed-{self.seed}"

    @property
    def digest(self) -> str:
        """Return the digest of all its options."""
        return digest_json({"document": self.document, "evaluations": self.evaluations})


@dataclass(frozen=True)
class Grid:
    """A grid file.

    Attributes:
        path: The file.
        study: Its `[study]` table.
        tables: Options that all cells share, by table.
        cells: Its cells.
        arms: Rows of the file of objectives.
        tuned: The chosen setting of each arm, by the name of the table; empty without a tuning.
    """

    path: Path
    study: Table
    tables: Mapping[str, Table]
    cells: Sequence[Table]
    arms: Mapping[str, Table]
    tuned: Mapping[str, Table]

    def jobs(self) -> list[Job]:
        """Return all jobs in the order of the file: cells, then seeds, then arms."""
        return [
            self._job(cell, arm, table, seed)
            for cell in self.cells
            for seed in cell["seeds"]
            for arm, table in self._arms(cell)
        ]

    def quick(self) -> list[Job]:
        """Return the jobs of the table `[study.quick]`, which are jobs of the grid as well."""
        kept = self.study["quick"]
        return [
            job
            for job in self.jobs()
            if job.cell in kept["cells"] and job.arm in kept["arms"] and job.seed in kept["seeds"]
        ]

    def _arms(self, cell: Table) -> Iterator[tuple[str, Table]]:
        """Yield the arms of a cell with their options; of a tuning, every setting of every arm."""
        for name in self._names(cell):
            row = self.arms[name]
            base = {key: value for key, value in row.items() if key not in ("role", "settings")}
            if self.study.get("tuning", False):
                for number, setting in enumerate(row["settings"]):
                    yield f"{name}-{number}", merged(base, setting)
            else:
                yield name, merged(base, self.tuned.get(name, {}))

    def _names(self, cell: Table) -> list[str]:
        """Return the arms of a cell: all, those of a group, or those of a list."""
        named = cell["arms"]
        if isinstance(named, str):
            return list({ALL: self.arms, **self.study.get("groups", {})}[named])
        return list(named)

    def _job(self, cell: Table, arm: str, options: Table, seed: int) -> Job:
        tables = {name: merged(self.tables.get(name, {}), cell.get(name, {})) for name in STAGES}
        evaluate = tables.pop("evaluate")
        strong = merged(evaluate, tables.pop("strong"))
        schedule = {key: options[key] for key in ("warmup", "every") if key in options}
        arms = {arm: {key: value for key, value in options.items() if key not in schedule}}
        experiment = {"title": f"{cell['name']}, {arm}", "seeds": [seed], **schedule, "arms": arms}
        evaluations = {"eval": {**tables["defaults"], **evaluate}}
        if strong != evaluate:
            evaluations["strong"] = {**tables["defaults"], **strong}
        light = {**LIGHT, **{key: evaluate[key] for key in ("split",) if key in evaluate}}
        given = {name: table for name, table in tables.items() if table}
        return Job(
            cell=cell["name"],
            arm=arm,
            objective=options.get("train", {}).get("objective", "erm"),
            seed=seed,
            document={**given, "experiment": experiment, "evaluate": light},
            evaluations=evaluations,
        )


LIGHT = {"suite": ["classification"]}
"""Options of the evaluation by `ectool run`, which the job extends when the training is timed."""


def merged(first: Table, second: Table) -> dict[str, Any]:
    """Return the first table with the values of the second, tables within them merged alike."""
    found = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def read_grid(path: Path) -> Grid:
    """Read a grid file, its objectives and its chosen settings.

    Raises:
        InputError: A file is missing or not TOML.
        UsageError: It names an unknown arm or table, or an arm has an unknown role.
    """
    document = read_toml(path)
    if "base" in document["study"]:  # another grid, whose cells are not those of this one
        base = read_toml(path.parent / document["study"]["base"])
        document = merged({**base, "cells": []}, document)
    study = document["study"]
    tuned = path.parent / study["tuned"] if "tuned" in study else None
    arms = read_toml(path.parent / study["objectives"])
    chosen = json.loads(tuned.read_text()) if tuned and tuned.exists() else {}
    grid = Grid(
        path=path,
        study=study,
        tables=document.get("tables", {}),
        cells=[one for cell in document["cells"] for one in combinations(cell)],
        arms=arms,
        tuned={name: row["setting"] for name, row in chosen.get("arms", {}).items()},
    )
    _check(grid)
    return grid


def combinations(cell: Table) -> Iterator[Table]:
    """Yield the cell itself, or one for each combination of the options in its `over`.

    A value of an option ends the name of its cell: `digits` over `defaults.rho` is `digits-0.5`.
    """
    options = cell.get("over", {})
    for values in itertools.product(*options.values()):
        one = {key: value for key, value in cell.items() if key != "over"}
        for option, value in zip(options, values, strict=True):
            table, _, name = option.partition(".")
            one = merged(one, {table: {name: value}})
            one["name"] += "-" + str(value).rpartition(":")[2]
        yield one


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: It is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            str(path), expected="a TOML file", got=str(error), fix="correct it"
        ) from None


def _check(grid: Grid) -> None:
    """Check the names of arms, tables and roles.

    Raises:
        UsageError: One is unknown.
    """
    for cell in grid.cells:
        named, groups = cell["arms"], {ALL: [], **grid.study.get("groups", {})}
        if isinstance(named, str):
            _check_names(f"{grid.path}: arms of {cell['name']}", [named], groups)
            named = groups[named]
        _check_names(f"{grid.path}: arms of {cell['name']}", named, grid.arms)
        known = ("name", "arms", "seeds", *STAGES)
        _check_names(f"{grid.path}: cell {cell['name']}", cell, known)
    _check_names(f"{grid.path}: tables", grid.tables, STAGES)
    _check_names(f"{grid.path}: roles", [arm["role"] for arm in grid.arms.values()], ROLES)


def _check_names(where: str, names: Sequence[str] | Table, known: Sequence[str] | Table) -> None:
    for name in names:
        if name not in known:
            raise UsageError(
                where, expected=f"any of {', '.join(known)}", got=name, fix="correct the name"
            )


def to_toml(document: Table, path: tuple[str, ...] = ()) -> str:
    """Return a TOML document of nested tables, whose values are also JSON."""
    values = {key: value for key, value in document.items() if not isinstance(value, Mapping)}
    head = [f"[{'.'.join(map(_key, path))}]"] if path else []
    lines = [*head, *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    parts = ["\n".join(lines)] if lines else []
    parts += [to_toml(v, (*path, k)) for k, v in document.items() if isinstance(v, Mapping)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else json.dumps(name)
