"""Checks of sample ids and class names: artifacts and one line of output must hold them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ectool.datasets.base import Dataset, Report
from ectool.datasets.image_files import ImageFiles
from ectool.errors import InputError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line or a text, or move the cursor of a terminal."""
_SEPARATOR = "\n"


def check_sample_ids(where: str, dataset: Dataset, report: Report) -> None:
    """Report ids that occur twice, are empty, are not text, or have control characters.

    Ids that differ only in their Unicode normalisation are different ids, as they are different
    files.

    Args:
        where: How messages name the data set; the same for all of its splits.
        dataset: A split of it.
        report: Receives each fault; raises it, unless the caller collects all faults.
    """
    sample_ids = dataset.sample_ids
    paths = dataset.paths if isinstance(dataset, ImageFiles) else ()
    for sample_id, got, fix in [*_faults(sample_ids), *_repeated(sample_ids, paths)]:
        report(
            InputError(
                f"{where} {readable(sample_id)}",
                expected="a sample id of printable text, once",
                got=got,
                fix=fix,
            )
        )


def check_class_names(where: str, classes: Sequence[str], report: Report) -> None:
    """Report class names that are empty, not text, or with control characters.

    Args:
        where: How messages name the data set; the same for all of its splits.
        classes: Its class names.
        report: Receives each fault; raises it, unless the caller collects all faults.
    """
    for text, got, fix in _faults(classes):
        subject = f"class {readable(text)} of {where}"
        report(InputError(subject, expected="a name of printable text", got=got, fix=fix))


def readable(text: str) -> str:
    r"""Return a text as one line of UTF-8; other characters become ``\udce9`` or ``\n``."""
    text = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _faults(sample_ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each name that is not valid, with the reason and what to do."""
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
            yield sample_id, "bytes that are not UTF-8", "rename the file, e.g. with `convmv`"


def _repeated(sample_ids: Sequence[str], paths: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each id that occurs several times, with its files if the samples are files."""
    counts = repeated(sample_ids)
    files: dict[str, set[str]] = {name: set() for name in counts}
    for sample_id, path in zip(sample_ids, paths, strict=False) if counts else ():
        if sample_id in files:
            files[sample_id].add(path)
    for sample_id, count in counts.items():
        named = f", of {readable(', '.join(sorted(files[sample_id])))}" if paths else ""
        yield sample_id, f"it {count} times{named}", "keep one of them"


def repeated(names: Sequence[str]) -> dict[str, int]:
    """Return how often each name occurs that occurs several times."""
    if len(set(names)) == len(names):
        return {}
    return {name: count for name, count in Counter(names).items() if count > 1}


def _is_text(text: str) -> bool:
    """Return whether a text has no control characters, and UTF-8 can encode it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return _CONTROL.search(text) is None
