"""Which names can be sample ids: those that every artifact and every line of output can hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ectool.datasets.base import Report
from ectool.errors import InputError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line or a text, or move a terminal's cursor."""
_SEPARATOR = "\n"


def check_sample_ids(name: str, sample_ids: Sequence[str], report: Report) -> None:
    """Report ids that are there twice, empty, not text, or with control characters.

    Ids that differ only in their Unicode normalisation are different ids, as they are different
    files.

    Args:
        name: The data set, for the message.
        sample_ids: Its ids.
        report: Is told of each fault; raises it, unless somebody looks for all of them.
    """
    for sample_id, got, fix in [*_faults(sample_ids), *_repeated(sample_ids)]:
        report(
            InputError(
                f"{name} {readable(sample_id)}",
                expected="a sample id of printable text, once",
                got=got,
                fix=fix,
            )
        )


def check_class_names(name: str, classes: Sequence[str], report: Report) -> None:
    """Report class names that are empty, not text, or with control characters.

    Args:
        name: The data set, for the message.
        classes: Its class names.
        report: Is told of each fault; raises it, unless somebody looks for all of them.
    """
    for text, got, fix in _faults(classes):
        subject = f"class {readable(text)} of {name}"
        report(InputError(subject, expected="a name of printable text", got=got, fix=fix))


def readable(text: str) -> str:
    r"""Return a text in one line of UTF-8: what is neither is written as ``\udce9`` or ``\n``."""
    text = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _faults(sample_ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each id that is at fault, with what is wrong and what to do."""
    if _is_text(_SEPARATOR.join(sample_ids).replace(_SEPARATOR, "", len(sample_ids) - 1)):
        suspects: Sequence[str] = [""] if "" in sample_ids else []
    else:
        suspects = sample_ids
    for sample_id in suspects:
        if not sample_id:
            yield sample_id, "an empty one", "name the sample"
        elif _CONTROL.search(sample_id):
            yield sample_id, "control characters", "rename the file"
        elif not _is_text(sample_id):
            yield sample_id, "bytes that are no UTF-8", "rename the file, e.g. with `convmv`"


def _repeated(sample_ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each id that is there several times."""
    if len(set(sample_ids)) < len(sample_ids):
        for sample_id, count in Counter(sample_ids).items():
            if count > 1:
                yield sample_id, f"it {count} times", "keep one of them"


def _is_text(text: str) -> bool:
    """Tell whether a text has no control characters, and nothing that UTF-8 cannot hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return _CONTROL.search(text) is None
