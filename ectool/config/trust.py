"""Trust in code that only a file names: the option, and that no file gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ectool.errors import UsageError
from ectool.options import Options, option

TRUST = "trust_code"
"""Option that no file can set."""


class TrustOptions(Options):
    """Whether code that the data name may run."""

    PANEL = "model"

    trust_code: bool = option(
        False,
        "Run the code of models: of a module that an artifact, a list of models or a TOML file "
        "names, and of programs. It can do whatever you can. Not in TOML files.",
        keyed=False,
    )


def check_no_trust(values: Mapping[str, Any], where: str) -> None:
    """Check that a file does not ask for trust, which is the user's to give.

    Args:
        values: Values of the file, and its tables.
        where: Name of the file, for the error.

    Raises:
        UsageError: It sets `trust_code`.
    """
    for name, value in values.items():
        if name.rpartition(".")[2].replace("-", "_") == TRUST:
            raise UsageError(
                f"{where}: {name}",
                expected="no such entry, because a file cannot ask for trust",
                got=repr(value),
                fix="remove it, and give --trust-code if you trust the code that the file names",
            )
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                check_no_trust(part, where)
