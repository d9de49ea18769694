"""Which of a model's classes is which of a data set's: by name, or by position."""

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
        model: Gives a logit for each class of the data, and one for the rest where it has more.
        way: ``same``: the names were the same; ``order``: they were, in another order; ``subset``:
            the model has these and others; ``position``: classes were matched by their number.
    """

    model: Classifier
    way: Way


def match_classes(
    model: Classifier,
    wanted: Sequence[str],
    where: str,
    *,
    has_names: bool = True,
    by_position: bool = False,
    others: bool = True,
) -> Matched:
    """Match the classes of a model with those of a data set.

    Equal sets of names are matched by name, and so is a set that the model holds wholly. A model
    without class names is matched by position, unless it has the thousand classes of ImageNet and
    the data's are some of these by name. Names are equal where they are canonically equivalent in
    Unicode, for file systems differ in how they write an accent. Anything else is refused: a name
    that is only alike may mean another class.

    Args:
        model: Any classifier; shares its weights with the one that is returned.
        wanted: Class names of the data.
        where: What the message begins with.
        has_names: Whether the names of the model's classes are known. Those of the data are unless
            they are :class:`ectool.types.Unnamed`.
        by_position: Match by number where names differ.
        others: Whether classes that the data do not have are one more, which no label is; else they
            are left out, as for multi-label data.

    Returns:
        The model, and how its classes were matched.

    Raises:
        InputError: The classes cannot be matched; the message shows both lists.
    """
    own = model.class_names
    if isinstance(wanted, Unnamed) and len(own) == len(wanted):
        return _renamed(model, own if has_names else wanted, "position")
    if not has_names:
        public = imagenet_class_names() if len(own) == _IMAGENET else ()
        if len(own) == len(wanted) and not _are_some(wanted, public):
            return _renamed(model, wanted, "position")
        if not public:
            raise _misfit(where, f"{len(own)} classes, as the checkpoint has", wanted)
        own = public
    names, goal = _keys(own), _keys(wanted)
    if names == goal:
        return _renamed(model, wanted, "same")
    if _are_some(wanted, own):
        place = {name: number for number, name in enumerate(goal)}
        mapping = torch.tensor([place.get(name, -1) for name in names])
        way: Way = "order" if len(names) == len(goal) else "subset"
        return Matched(group_classes(model, mapping, wanted, others=others), way)
    if by_position and len(own) == len(wanted):
        return _renamed(model, wanted, "position")
    raise _misfit(where, f"the model's {len(own)} classes ({listed(own, _SHOWN)})", wanted)


def _keys(names: Sequence[str]) -> list[str]:
    return [normalize("NFC", name) for name in names]


def _are_some(wanted: Sequence[str], own: Sequence[str]) -> bool:
    """Tell whether each wanted name is that of just one class of the model's."""
    count, goal = Counter(_keys(own)), _keys(wanted)
    return len(set(goal)) == len(goal) and all(count[name] == 1 for name in goal)


def _renamed(model: Classifier, names: Sequence[str], way: Way) -> Matched:
    model.spec = replace(model.spec, class_names=tuple(names))
    return Matched(model, way)


def _misfit(where: str, expected: str, wanted: Sequence[str]) -> InputError:
    return InputError(
        where,
        expected=expected,
        got=f"{len(wanted)} classes ({listed(wanted, _SHOWN)})",
        fix="name the classes alike; where both have the same number in the same order, "
        "--classes-by-position",
    )
