"""Options of interpretable filters, their defaults, and which of them apply to each method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from ectool.errors import UsageError
from ectool.options import Number, Options, option

Interpretable = Literal["none", "icnn", "iccnn"]
NONE: Interpretable = "none"
STRENGTH, GROUPS, EVERY = (
    "interpretable_strength",
    "interpretable_groups",
    "interpretable_every",
)
LAYER = "interpretable_layer"
INTERPRETABLE_OPTIONS: dict[Interpretable, Mapping[str, float]] = {
    NONE: {},
    "icnn": {STRENGTH: 1.0},
    "iccnn": {STRENGTH: 0.03, GROUPS: 16, EVERY: 3},
}
"""Options with a number that apply to each method, with their defaults."""


class InterpretableOptions(Options):
    """Filters that are trained to be interpretable; options without a value have a default."""

    PANEL = "interpretable filters"

    interpretable: Interpretable = option(
        NONE,
        "Train the filters of a layer to be interpretable, beside any objective: icnn (one part of "
        "an object for each filter), iccnn (groups of filters). See docs/interpretable.md.",
    )
    interpretable_layer: str | None = option(
        None,
        "Convolutional layer of these filters. Default: the target layer of the heatmaps.",
        metavar="LAYER",
    )
    interpretable_strength: Number | None = option(
        None, "Factor of the loss of the filters. Default: 1 for icnn, 0.03 for iccnn.", ge=0
    )
    interpretable_groups: int | None = option(
        None, "iccnn: number of groups of filters. Default: 16.", ge=2
    )
    interpretable_every: int | None = option(
        None, "iccnn: number of epochs until the groups are formed again. Default: 3.", ge=1
    )

    @model_validator(mode="after")
    def _check_interpretable(self) -> InterpretableOptions:
        """Refuse options that do not apply to the method.

        Raises:
            UsageError: The first such option.
        """
        for name in (LAYER, STRENGTH, GROUPS, EVERY):
            methods = [m for m in INTERPRETABLE_OPTIONS if _applies(m, name)]
            if getattr(self, name) is not None and self.interpretable not in methods:
                raise UsageError(
                    "--" + name.replace("_", "-"),
                    expected=f"--interpretable {' or '.join(methods)}",
                    got=f"--interpretable {self.interpretable}",
                    fix="leave it out, or choose such a method",
                )
        return self

    def filter_settings(self) -> dict[str, float]:
        """Return the options with a number that apply to the method: values or defaults."""
        return self.filled(INTERPRETABLE_OPTIONS[self.interpretable])

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result; only those that apply to the method.

        None for ordinary filters, so that the keys of earlier versions stay valid.
        """
        fields = InterpretableOptions.model_fields
        others = {name: value for name, value in super().keyed().items() if name not in fields}
        if self.interpretable == NONE:
            return others
        chosen = {"interpretable": self.interpretable, LAYER: self.interpretable_layer}
        return {**others, **chosen, **self.filter_settings()}


def _applies(method: Interpretable, name: str) -> bool:
    return method != NONE and (name == LAYER or name in INTERPRETABLE_OPTIONS[method])
