"""Declaration of options: default, bounds, help, and membership in the artifact's key."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

TENTHS, MINUTE, HOUR = 10, 60, 3600
"""Seconds: below the first, tenths are written."""
MAX_PIXEL = 255
CHANNELS = 3
MIN_STD = 1 / 256
"""Minimum standard deviation of a channel; networks of grey levels from 0 to 255 need 1/255."""
WHOLE, HALF = 1.0, 0.5
SHORT = 5
"""Maximum number of decimals of a value that is written as a decimal number."""
SMALL = 4
"""Radii below this number of grey levels are written in half levels."""


def parse_number(value: object) -> object:
    """Return the number of a fraction such as ``8/255``; other values are unchanged."""
    if not isinstance(value, str) or "/" not in value:
        return value
    numerator, _, denominator = value.partition("/")
    try:
        return float(numerator) / float(denominator)
    except (ValueError, ZeroDivisionError):
        return value


def parse_list(value: object) -> object:
    """Split a comma-separated string, an empty one into no parts; other values are unchanged."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",")) if value.strip() else ()


def parse_channels(value: object) -> object:
    """Split a comma-separated string into one part per channel.

    Raises:
        ValueError: There are not three parts.
    """
    parts = parse_list(value)
    if isinstance(parts, tuple | list) and len(parts) == CHANNELS:
        return parts
    raise ValueError("three numbers, such as 0.5,0.5,0.5")


def whole_levels(eps: float) -> int:
    """Return the maximum number of uint8 levels k with ``k / 255 <= eps``.

    Args:
        eps: Radius in pixel units, at least 0.

    Returns:
        The number of levels, at most 255; 8 for eps = 8/255.
    """
    nearest = min(round(eps * MAX_PIXEL), MAX_PIXEL)
    # Not floor(eps * 255): rounding may make 255 * (k / 255) slightly less than k.
    return nearest if nearest / MAX_PIXEL <= eps else math.floor(eps * MAX_PIXEL)


def rounded_up(share: float, count: int) -> int:
    """Return ``ceil(share * count)`` of the exact product.

    Args:
        share: At least 0.
        count: Number of items.
    """
    # 0.28 * 25 is slightly above 7; the small term keeps such products from rounding up.
    return math.ceil(share * count - 1e-6)


def misfit_of_channels(name: str, values: Sequence[float]) -> tuple[str, str] | None:
    """Check the mean or the standard deviation of pixels in [0, 1].

    Args:
        name: `mean` or `std`.
        values: One number for each channel.

    Returns:
        The expected values and the fix for an error; None if the values are valid.
    """
    if name == "mean":
        minimum, expected = 0.0, "means of pixels in [0, 1]"
    else:
        minimum, expected = MIN_STD, "standard deviations of pixels in [0, 1], from 1/255 to 1"
    if all(math.isfinite(value) and minimum <= value <= 1 for value in values):
        return None
    if max(values) > 1:
        return expected, f"divide --mean and --std by {MAX_PIXEL}, as in 123.675/{MAX_PIXEL}"
    return expected, "give the values of the training, for pixels in [0, 1]"


def format_eps(eps: float) -> str:
    """Format a radius as in papers, ``8/255``, in whole grey levels; small ones in half levels."""
    levels = eps * MAX_PIXEL
    unit = HALF if levels < SMALL else WHOLE
    nearest = round(levels / unit) * unit
    is_exact = abs(levels - nearest) < 1e-6  # far below one grey level
    return f"{nearest:g}/{MAX_PIXEL}" if is_exact else f"{eps:g}"


def format_value(value: object) -> str:
    """Format the value of an option: a number as a fraction of 255 where that is shorter."""
    if isinstance(value, tuple | list):
        return ",".join(map(format_value, value))
    if not isinstance(value, float):
        return str(value)
    return f"{value:g}" if value == round(value, SHORT) else format_eps(value)


def format_radius(eps: float, norm: str) -> str:
    """Format a radius: as grey levels for `linf`, as a decimal number for other norms."""
    return format_eps(eps) if norm == "linf" else f"{eps:g}"


def duration(seconds: float) -> str:
    """Format a time: `0.4 s`, `35 s`, `4 min 10 s` or `2 h 05 min`."""
    if seconds < TENTHS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"


Number = Annotated[float, BeforeValidator(parse_number)]
Positive = Annotated[Number, Field(gt=0)]
Radius = Annotated[Number, Field(gt=0, le=1)]
RadiusList = Annotated[tuple[Radius, ...], BeforeValidator(parse_list)]
Channels = Annotated[tuple[Number, Number, Number], BeforeValidator(parse_channels)]
TextList = Annotated[tuple[str, ...], BeforeValidator(parse_list)]

Role = Literal["", "input", "output", "arrays"]
"""Of a path: it is read; written; written as an array artifact, in the format of its suffix."""


def option(
    default: Any,  # noqa: ANN401 (of any type)
    help: str,
    *,
    keyed: bool = True,
    main: bool = False,
    panel: str | None = None,
    metavar: str | None = None,
    choices: Sequence[str] = (),
    role: Role = "",
    **bounds: Any,  # noqa: ANN401 (of any type)
) -> Any:  # noqa: ANN401 (a field)
    """Declare an option.

    Args:
        default: Its default; `...` if it is required.
        help: Its help text.
        keyed: Whether it can change the result of the stage, so that it is in the artifact's key.
        main: Whether it is in the first panel of the help of every command, of at most 15 options.
        panel: Panel of the help that it is in otherwise. Default: the `PANEL` of its class.
        metavar: Form of the value in the help. Default: that of its type.
        choices: Its known values, for hints and completion. Default: the words of its type.
        role: What the command does with the file or folder that it names.
        bounds: Bounds of pydantic (`ge`, `gt`, `le`, `lt`).
    """
    extra: dict[str, Any] = {"keyed": keyed, "main": main, "panel": panel}
    extra |= {"metavar": metavar, "choices": list(choices), "role": role}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


def argument(
    help: str,
    default: Any = ...,  # noqa: ANN401 (of any type)
    *,
    choices: Sequence[str] = (),
    role: Role = "",
) -> Any:  # noqa: ANN401 (a field)
    """Declare a positional argument: an input or output without a flag."""
    extra: dict[str, Any] = {"keyed": False, "argument": True}
    extra |= {"choices": list(choices), "role": role}
    return Field(default, description=help, json_schema_extra=extra)


class Options(BaseModel):
    """A group of options: immutable, and unknown names are refused.

    Attributes:
        PANEL: Panel of the help for its own options that are not in the first one; empty: the
            first. Subclasses do not inherit it.
    """

    PANEL: ClassVar[str] = ""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, defer_build=True
    )

    def filled(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return some options with their values, or with these defaults where they have none."""
        given = {name: getattr(self, name) for name in defaults}
        return {n: default if given[n] is None else given[n] for n, default in defaults.items()}

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result, as plain JSON values."""
        names = {name for name in type(self).model_fields if is_keyed(type(self), name)}
        return self.model_dump(mode="json", include=names)


def is_keyed(model: type[BaseModel], name: str) -> bool:
    """Return whether a field is in the artifact's key."""
    return bool(_extra(model, name).get("keyed", True))


def is_argument(model: type[BaseModel], name: str) -> bool:
    """Return whether a field is a positional argument of the command line."""
    return bool(_extra(model, name).get("argument", False))


def flag_of(model: type[BaseModel], name: str) -> str:
    """Return the flag of a field; of an argument its name in capitals."""
    return name.upper() if is_argument(model, name) else "--" + name.replace("_", "-")


def role_of(model: type[BaseModel], name: str) -> Role:
    """Return what the command does with the path that a field names."""
    role: Role = _extra(model, name).get("role", "")
    return role


def metavar_of(model: type[BaseModel], name: str) -> str | None:
    """Return the declared form of a value; None if that of its type is enough."""
    return _extra(model, name).get("metavar")


def panel_of(model: type[Options], name: str) -> str:
    """Return the panel of the help that shows an option; empty for the first one."""
    extra = _extra(model, name)
    if extra.get("main") or is_argument(model, name):
        return ""
    return str(extra.get("panel") or vars(_owner(model, name)).get("PANEL", ""))


def in_order_of_help(model: type[Options]) -> list[str]:
    """Return the names of all fields in the order of the help.

    First arguments and required options, then the first panel, then the others. Within each, own
    options are before those of shared groups.
    """
    groups = list(model.__mro__)

    def rank(name: str) -> tuple[bool, bool, bool, int]:
        is_required = model.model_fields[name].is_required()
        is_advanced = panel_of(model, name) != ""
        place = groups.index(_owner(model, name))
        return not is_argument(model, name), not is_required, is_advanced, place

    return sorted(model.model_fields, key=rank)


def _owner(model: type[Options], name: str) -> type[Options]:
    """Return the group that declares a field: the most basic one."""
    return next(
        group
        for group in reversed(model.__mro__)
        if issubclass(group, Options) and name in group.model_fields
    )


def choices_of(model: type[BaseModel], name: str) -> tuple[str, ...]:
    """Return the known values of a field: the declared ones, else the words of its type."""
    declared = tuple(_extra(model, name).get("choices", ()))
    return declared or words_of(model.model_fields[name].annotation)


def plain_type(annotation: Any) -> Any:  # noqa: ANN401 (any annotation)
    """Return the type inside Optional and Annotated; tuples unchanged."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return plain_type(next(a for a in get_args(annotation) if a is not NoneType))
    return annotation


def words_of(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401 (any annotation)
    """Return the words that an annotation allows, in any of its parts."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for part in get_args(annotation) for word in words_of(part))


def _extra(model: type[BaseModel], name: str) -> dict[str, Any]:
    extra = model.model_fields[name].json_schema_extra
    return extra if isinstance(extra, dict) else {}
