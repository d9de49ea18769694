"""Names of classes from a list, a folder of class folders, or a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ectool.config import AdoptConfig
from ectool.datasets.own.folders import list_split
from ectool.datasets.splits import ALL
from ectool.errors import AbsentError, InputError, listed
from ectool.input_files import TEXT, read_text
from ectool.parsing import MalformedError, parse_json

_FORMATS = (
    'a list of names, {"0": "cat", "1": "dog"}, {"cat": 0, "dog": 1}, ImageNet\'s class index, or '
    "id2label of a config.json"
)
_TABLES = ("id2label", "label_names")
"""Keys of a `config.json` of transformers and of timm that contain the names."""
_SHOWN = 3


def class_names(config: AdoptConfig) -> tuple[str, ...]:
    """Return the names that the options give, in the order of the logits; empty if they do not.

    Raises:
        InputError: The folder or file has no names, or a name occurs twice.
    """
    source = config.classes_from
    if source is None:
        return _distinct(config.names, "--names")
    if source.is_dir():
        return list_split(source, ALL, config.class_order, lambda _: None).classes
    return _distinct(_read(source), f"class names {source}")


def _read(path: Path) -> Sequence[str]:
    try:
        text = read_text(path, TEXT, "utf-8-sig")
    except OSError as error:
        raise AbsentError(
            f"class names {path}",
            expected="a folder of class folders, or a file of names",
            got=error.strerror or "no such file",
            fix="check the path",
        ) from None
    except UnicodeDecodeError:
        got, fix = "other bytes", "give a text file or JSON"
        raise _unreadable(path, "text in UTF-8", got, fix) from None
    if path.suffix == ".json" or text.lstrip()[:1] in ("{", "["):
        return _of_json(text, path)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _of_json(text: str, path: Path) -> list[str]:
    try:
        content = parse_json(text)
    except MalformedError as error:
        raise _unreadable(path, "valid JSON", str(error), "correct the file") from None
    if isinstance(content, Mapping):
        content = next((content[key] for key in _TABLES if key in content), content)
    entries = _in_order(content, path) if isinstance(content, Mapping) else content
    if not isinstance(entries, list) or not entries:
        raise _unreadable(path, _FORMATS, type(content).__name__, "write one of these")
    names = [_name(entry, path) for entry in entries]
    count = Counter(names)
    # ImageNet has two classes called crane; the first part of an entry tells them apart.
    return [
        f"{name} ({entry[0]})" if count[name] > 1 and isinstance(entry, list) else name
        for name, entry in zip(names, entries, strict=True)
    ]


def _in_order(content: Mapping[str, object], path: Path) -> list[object]:
    """Return the entries of a table from number to name, or from name to number, by number."""
    by_name = all(isinstance(value, int) for value in content.values())
    pairs = [(v, k) if by_name else (k, v) for k, v in content.items()]
    try:
        found = {int(str(number)): entry for number, entry in pairs}
    except ValueError:
        got = f"the keys {listed(list(content), _SHOWN)}"
        raise _unreadable(path, _FORMATS, got, "write one of these") from None
    if sorted(found) != list(range(len(pairs))):
        raise _unreadable(
            path,
            f"every number from 0 to {len(pairs) - 1} once",
            listed([str(number) for number in sorted(found)]),
            "number the classes in the order of the logits",
        )
    return [found[number] for number in range(len(found))]


def _name(entry: object, path: Path) -> str:
    """Return the name of an entry: the text, or the last of several."""
    last = entry[-1] if isinstance(entry, list) and entry else entry
    if isinstance(last, str) and last.strip():
        return last.strip()
    raise _unreadable(path, "a name for every class", repr(entry), "write one of text")


def _distinct(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Check that each name occurs once.

    Raises:
        InputError: One is empty or occurs twice.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or "" in names:
        raise InputError(
            where,
            expected="a different name for every class",
            got=f"{twice[0]!r} twice" if twice else "an empty name",
            fix="give every class one name",
        )
    return tuple(names)


def _unreadable(path: Path, expected: str, got: str, fix: str) -> InputError:
    return InputError(f"class names {path}", expected=expected, got=got, fix=fix)
