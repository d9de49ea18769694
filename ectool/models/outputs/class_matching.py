"""Match the classes of a model with those of a data set: by name, or by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from unicodedata import normalize

import torch

from ectool.errors import InputError, listed
from ectool.models.classifier import Classifier
from ectool.models.outputs.grouping import group_classes
from ectool.models.sources.zoo import imagenet_class_names
from ectool.types import Unnamed

Way = Literal["same", "order", "subset", "position"]

_IMAGENET = 1000
_SHOWN = 20


@dataclass(frozen=True)
class Matched:
    """A model whose classes are those of the data, in their order.

    Attributes:
        model: Returns a logit for each class of the data, and one for all other classes if there
            are any.
        way: ``same``: the names are equal; ``order``: equal, in another order; ``subset``: the
            model has these and other classes; ``position``: matched by position.
    """

    model: Classifier
    way: Way


def match_classes(
    model: Classifier,
    class_names: Sequence[str],
    where: str,
    *,
    has_names: bool = True,
    by_position: bool = False,
    others: bool = True,
) -> Matched:
    """Match the classes of a model with those of a data set.

    The classes are matched by name if the model has all classes of the data. A model without class
    names is matched by position, unless it has 1000 classes and the names of the data are names of
    ImageNet. Names are equal if they are canonically equivalent in Unicode, because file systems
    write accents differently. Everything else is refused: a similar name may mean another class.

    Args:
        model: Any classifier; shares its weights with the one that is returned.
        class_names: Class names of the data; :class:`ectool.types.Unnamed` if they have none.
        where: Subject of the error.
        has_names: Whether the names of the model's classes are known.
        by_position: Match by position if names differ.
        others: Whether all classes that are not in the data form one more class, which no label
            is. Else they are ignored, as for multi-label data.

    Returns:
        The model with the classes of the data, and the way they were matched.

    Raises:
        InputError: The classes cannot be matched; the message shows both lists.
    """
    own = model.class_names
    if isinstance(class_names, Unnamed) and len(own) == len(class_names):
        return _renamed(model, own if has_names else class_names, "position")
    if not has_names:
        public = imagenet_class_names() if len(own) == _IMAGENET else ()
        if len(own) == len(class_names) and not _are_in(class_names, public):
            return _renamed(model, class_names, "position")
        if not public:
            raise _misfit(where, f"{len(own)} classes, as in the checkpoint", class_names)
        own = public
    names, goal = _keys(own), _keys(class_names)
    if names == goal:
        return _renamed(model, class_names, "same")
    if _are_in(class_names, own):
        place = {name: number for number, name in enumerate(goal)}
        mapping = torch.tensor([place.get(name, -1) for name in names])
        way: Way = "order" if len(names) == len(goal) else "subset"
        return Matched(group_classes(model, mapping, class_names, others=others), way)
    if by_position and len(own) == len(class_names):
        return _renamed(model, class_names, "position")
    raise _misfit(where, f"the model's {len(own)} classes ({listed(own, _SHOWN)})", class_names)


def _keys(names: Sequence[str]) -> list[str]:
    return [normalize("NFC", name) for name in names]


def _are_in(class_names: Sequence[str], own: Sequence[str]) -> bool:
    """Return whether each of these names is the name of exactly one of the model's classes."""
    count, goal = Counter(_keys(own)), _keys(class_names)
    return len(set(goal)) == len(goal) and all(count[name] == 1 for name in goal)


def _renamed(model: Classifier, names: Sequence[str], way: Way) -> Matched:
    model.spec = replace(model.spec, class_names=tuple(names))
    return Matched(model, way)


def _misfit(where: str, expected: str, class_names: Sequence[str]) -> InputError:
    return InputError(
        where,
        expected=expected,
        got=f"{len(class_names)} classes ({listed(class_names, _SHOWN)})",
        fix="use the same names; --classes-by-position matches equal numbers of classes in order",
    )
