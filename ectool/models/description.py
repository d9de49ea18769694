"""`model.json`, the description of a model, as it is read; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ectool.errors import InputError, IntegrityError
from ectool.parsing import first_finding, read_json

MAX_SIDE = 2**14
"""Maximum side of the images of a model, in pixels: a larger one would not fit in memory."""
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Layout = Literal["nchw", "nhwc", "tokens", "cls_tokens"]
"""Order of the axes of a layer's output."""


def _check_channels(values: list[float]) -> list[float]:
    if len(values) not in (1, 3):
        raise ValueError(f"{len(values)} colour channels")
    return values


def _pair(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Channels = Annotated[list[float], AfterValidator(_check_channels)]


class Description(BaseModel):
    """The fields of `model.json`; :class:`ectool.models.classifier.ModelSpec` describes them."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="ignore")
    architecture: str
    class_names: Annotated[list[str], Field(min_length=1)]
    input_size: Annotated[tuple[Side, Side], BeforeValidator(_pair)]
    mean: Channels
    std: Channels
    target_layer: str | None
    layout: Layout | None
    has_names: bool = True
    class_order: str | None = None
    masked_layer: str | None = None
    prompts: dict[str, Any] | None = None

    @classmethod
    def of(cls, fields: object, where: str = "model description") -> Description:
        """Check the fields of a description; further keys are ignored.

        Args:
            fields: Decoded JSON.
            where: Subject of errors.

        Raises:
            InputError: A field is missing or has another type.
        """
        try:
            return cls.model_validate(fields if isinstance(fields, Mapping) else None)
        except ValidationError as error:
            raise InputError(
                where,
                expected="the fields " + ", ".join(cls.model_fields),
                got=first_finding(error),
                fix="write it with this version of ectool",
            ) from None


def read_description(path: Path) -> Description:
    """Read the description of a model, which ectool wrote.

    Args:
        path: Its file.

    Raises:
        InputError: A field is missing or has another type.
        IntegrityError: It is no JSON.
    """
    return Description.of(read_json(path, kind=IntegrityError), str(path))
