"""User code: whether it may run, and its digest.

Code has digests as any input has: that of networks, and that of methods of packages.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Container, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ectool.errors import InputError
from ectool.models.names import IMPORT, PROGRAMS, split_architecture
from ectool.options import Options

SUFFIXES = {".py", ".so", ".pyd"}
INSTALLED = {"site-packages", "dist-packages"}
"""Folders of installed packages, whose dependencies are identified by their versions."""


def imported_module(architecture: str) -> str | None:
    """Return the module behind `import:package.module:factory`; None for other architectures."""
    source, name = split_architecture(architecture)
    return name.partition(":")[0] if source == IMPORT else None


def check_trusted(architecture: str, where: str, *, trust_code: bool) -> None:
    """Check that code may run, if an architecture has code.

    A name on the command line names the code itself. A name in a file does not: whoever wrote the
    file has chosen the code. A program is such a file.

    Args:
        architecture: Its name.
        where: The file that names it, or the flag.
        trust_code: Whether the user trusts the code of models (`--trust-code`).

    Raises:
        InputError: It has code, which is not trusted; the message names the file that would run.
    """
    source, name = split_architecture(architecture)
    if trust_code or source not in (IMPORT, *PROGRAMS):
        return
    raise InputError(
        where,
        expected="a network without code of its own",
        got=f"{architecture}, which would run {_code_file(source, name)}",
        fix="look at this file; if you trust it, give --trust-code",
    )


def check_named(options: Options, where: str, own: Container[str]) -> None:
    """Check that code may run, if a TOML file names the model and it has code.

    Args:
        options: Options of a command, from a file and other places.
        where: The entry of the file.
        own: Names of the options that are not from the file.

    Raises:
        InputError: It has code, which is not trusted.
    """
    model, trust_code = getattr(options, "model", ""), getattr(options, "trust_code", False)
    if "model" not in own:
        check_trusted(model, where, trust_code=trust_code)


def _code_file(source: str, name: str) -> str:
    """Return the file that an architecture would run; nothing is imported."""
    if source in PROGRAMS:
        return str(Path(name).absolute())
    top, *inner = name.partition(":")[0].split(".")
    place = _location(top)
    for part in inner:
        place = None if place is None else _below(place, part)
    if place is None:
        return f"the module {name.partition(':')[0]}, which is not found"
    start = place / "__init__.py"
    return str((start if start.is_file() else place).absolute())


def code_digest(module: str) -> str:
    """Return the SHA-256 (hex) of the files of a module; they are not run.

    These are the files of its whole package, and of every module or package in the same folder that
    they import. Of an installed package these are only its own files; the versions in the manifest
    identify what it imports.

    Raises:
        InputError: There is no such module.
    """
    name = module.partition(".")[0]
    start = _location(name)
    if start is None and name in sys.modules:  # made at run time: it has no file
        return hashlib.sha256(name.encode()).hexdigest()
    if start is None:
        raise InputError(
            f"module {module}",
            expected="code that can be found",
            got=f"no {name!r}",
            fix="install it, or run the command in its folder",
        )
    folder = start.parent
    digest = hashlib.sha256()
    for file in sorted(_reachable(start)):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _location(name: str) -> Path | None:
    """Return the file or folder of a top-level module; the working folder comes first."""
    here = _below(Path.cwd(), name)
    if here is not None:
        return here
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
        if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
            return Path(spec.origin)
    return None


def _below(folder: Path, name: str) -> Path | None:
    """Return the package or module with a name in a folder, or None."""
    package, module = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return package
    return module if module.is_file() else package if _has_code(package) else None


def _has_code(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix in SUFFIXES for path in folder.iterdir())


def _reachable(start: Path) -> set[Path]:
    """Return the files of a module or package, and of its imports from the same folder."""
    folder, found, waiting = start.parent, set[Path](), [start]
    seen = {start}
    while waiting:
        files = set(_files(waiting.pop()))
        found |= files
        if INSTALLED & set(folder.parts):
            continue
        sources = (file.read_bytes() for file in files if file.suffix == ".py")
        names = frozenset[str]().union(*map(_imports, sources)) - sys.stdlib_module_names
        siblings = {place for name in names if (place := _below(folder, name)) is not None}
        waiting += siblings - seen
        seen |= siblings
    return found


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    yield from (path for path in place.rglob("*") if path.suffix in SUFFIXES and path.is_file())


@lru_cache(maxsize=10_000)  # an evaluation needs them ten times; parsing takes seconds
def _imports(source: bytes) -> frozenset[str]:
    """Return the top-level names that a file imports; none if it cannot be parsed."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return frozenset(names)
