"""Prompts of a zero-shot classifier: templates of sentences, and the names of each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ectool import parsing
from ectool.errors import InputError, hint, listed
from ectool.types import Unnamed

TEMPLATES = ("a photo of a {}.",)
"""Default template, that of Radford et al. 2021 (arXiv 2103.00020, section 3.1.4)."""
GAP = "{}"
"""Place of the name in a template."""
_KEYS = ("templates", "classes")


@dataclass(frozen=True)
class Prompts:
    """Templates, and the names of each class that are put into them.

    Attributes:
        templates: Sentences with a gap ``{}``.
        names: Each class with its names, in the order of the logits; empty until they are known.
        where: Their file, for errors.
    """

    templates: tuple[str, ...] = TEMPLATES
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    where: str = field(default="--prompts", compare=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that have names, in their order."""
        return tuple(name for name, _ in self.names)

    def of_classes(self, class_names: Sequence[str]) -> Prompts:
        """Return the prompts of the classes of a model.

        Without names, a class is called as in the data, with spaces in place of underscores.

        Args:
            class_names: Names of the classes, in the order of the logits.

        Raises:
            InputError: A class has no prompt, a prompt has no class, or the classes have no names.
        """
        given = dict(self.names)
        if not given and isinstance(class_names, Unnamed):
            raise InputError(
                self.where,
                expected=f"the names of {len(class_names)} classes, which the data do not name",
                got="none",
                fix='add a table [classes] with 0 = "name", 1 = "name" and so on',
            )
        if not given:
            given = {name: (name.replace("_", " "),) for name in class_names}
        unknown = [name for name in given if name not in class_names]
        missing = [name for name in class_names if name not in given]
        if unknown or missing:
            raise self._misfit(class_names, unknown, missing)
        return replace(self, names=tuple((name, given[name]) for name in class_names))

    def texts(self) -> Iterator[list[str]]:
        """Yield all sentences of each class: each of its names in each template."""
        for _, names in self.names:
            yield [template.replace(GAP, name) for name in names for template in self.templates]

    def to_json(self) -> dict[str, Any]:
        """Return templates and names, as in a file; without names if there are none."""
        names = {name: list(texts) for name, texts in self.names}
        return {"templates": list(self.templates), **({"classes": names} if names else {})}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "--prompts") -> Prompts:
        """Read the result of :meth:`to_json`, or the content of a file.

        Args:
            content: Decoded JSON or TOML.
            where: Subject of errors.

        Raises:
            InputError: It has other keys or types, or a template without a gap.
        """
        unknown = [key for key in content if key not in _KEYS]
        if unknown or not content:
            raise _misfit(
                where,
                f"templates = [...] and a table [{_KEYS[1]}]",
                f"the key {unknown[0]!r}" if unknown else "an empty file",
                f"{hint(unknown[0], _KEYS) if unknown else ''}see docs/models.md",
            )
        templates = _texts(content.get(_KEYS[0], list(TEMPLATES)), f"{where}: {_KEYS[0]}")
        without = next((text for text in templates if GAP not in text), None)
        if without is not None:
            expected = f"a gap {GAP} for the name in each template"
            raise _misfit(f"{where}: {_KEYS[0]}", expected, repr(without), f"add {GAP} to it")
        table = content.get(_KEYS[1], {})
        if not isinstance(table, Mapping):
            expected, fix = f"a table [{_KEYS[1]}]", 'write 0 = ["zero", "the digit zero"]'
            raise _misfit(f"{where}: {_KEYS[1]}", expected, type(table).__name__, fix)
        names = [(name, _texts(texts, f"{where}: class {name}")) for name, texts in table.items()]
        return cls(templates, tuple(names), where)

    def _misfit(
        self, class_names: Sequence[str], unknown: Sequence[str], missing: Sequence[str]
    ) -> InputError:
        near = hint(unknown[0], class_names) if unknown else ""
        parts = [f"{listed(unknown)} without a class"] * bool(unknown)
        parts += [f"no prompt for {listed(missing)}"] * bool(missing)
        return InputError(
            f"{self.where}: classes",
            expected=f"a prompt for each of {len(class_names)} classes ({listed(class_names)})",
            got=" and ".join(parts),
            fix=f"{near}name exactly these classes, or leave the table out",
        )


def read_prompts(path: Path | None) -> Prompts:
    """Read a file of prompts; without one, return the default template.

    Args:
        path: TOML with `templates` and a table `[classes]`, or one of them.

    Raises:
        InputError: It is missing or no TOML, has other keys, or a template without a gap.
    """
    if path is None:
        return Prompts()
    where = f"prompts {path}"
    try:
        content = parsing.read_toml(path)
    except OSError as error:
        got, fix = error.strerror or "no such file", "check the path"
        raise _misfit(where, "a TOML file", got, fix) from None
    return Prompts.from_json(content, where)


def _texts(value: object, where: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and texts:
        wrong = next((t for t in texts if not isinstance(t, str) or not t.strip()), None)
        if wrong is None:
            return tuple(texts)
        raise _misfit(where, "texts", repr(wrong), "write each in quotes")
    raise _misfit(where, "a text or a list of texts", repr(value), "write each in quotes")


def _misfit(where: str, expected: str, got: str, fix: str) -> InputError:
    return InputError(where, expected=expected, got=got, fix=fix)
