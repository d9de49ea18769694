"""Declaration of options: default, bounds, help, and membership in the artifact's key."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_PIXEL = 255
CHANNELS = 3
MIN_STD = 1 / 256
"""Minimum standard deviation of a channel; networks of grey levels from 0 to 255 need 1/255."""
WHOLE, HALF = 1.0, 0.5
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


def format_radius(eps: float, norm: str) -> str:
    """Format a radius: as grey levels for `linf`, as a decimal number for other norms."""
    return format_eps(eps) if norm == "linf" else f"{eps:g}"


Number = Annotated[float, BeforeValidator(parse_number)]
Positive = Annotated[Number, Field(gt=0)]
Radius = Annotated[Number, Field(gt=0, le=1)]
RadiusList = Annotated[tuple[Radius, ...], BeforeValidator(parse_list)]
Channels = Annotated[tuple[Number, Number, Number], BeforeValidator(parse_channels)]
TextList = Annotated[tuple[str, ...], BeforeValidator(parse_list)]


def option(default: Any, help: str, *, keyed: bool = True, **bounds: Any) -> Any:  # noqa: ANN401
    """Declare an option.

    Args:
        default: Its default; `...` if it is required.
        help: Its help text.
        keyed: Whether it can change the result of the stage, so that it is in the artifact's key.
        bounds: Bounds of pydantic (`ge`, `gt`, `le`, `lt`).
    """
    return Field(default, description=help, json_schema_extra={"keyed": keyed}, **bounds)


def argument(help: str, default: Any = ...) -> Any:  # noqa: ANN401
    """Declare a positional argument: an input or output without a flag."""
    return Field(default, description=help, json_schema_extra={"keyed": False, "argument": True})


class Options(BaseModel):
    """A group of options: immutable, and unknown names are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
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
    return _extra(model, name, "keyed", default=True)


def is_argument(model: type[BaseModel], name: str) -> bool:
    """Return whether a field is a positional argument of the command line."""
    return _extra(model, name, "argument", default=False)


def _extra(model: type[BaseModel], name: str, key: str, *, default: bool) -> bool:
    extra = model.model_fields[name].json_schema_extra
    return bool(extra.get(key, default)) if isinstance(extra, dict) else default
