"""Normalisation and size from the files that Hugging Face's libraries write beside a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ectool.errors import InputError
from ectool.options import CHANNELS
from ectool.parsing import read_object

PREPROCESSOR, CONFIG = "preprocessor_config.json", "config.json"
_FIX = "correct it, or move it away and give --mean, --std and --image-size"
_SIDES = ("shortest_edge", "height")
"""Keys of a size that is given by its parts."""

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """What images were prepared with; None where a file does not say it.

    Attributes:
        file: The file that says it.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel.
        size: Side of the images in pixels.
    """

    file: Path
    mean: Channels | None
    std: Channels | None
    size: int | None


def find_preprocessing(checkpoint: Path) -> Preprocessing | None:
    """Return the preprocessing that a file in the folder of a checkpoint describes.

    These are ``preprocessor_config.json`` of transformers and ``config.json`` of timm, in which
    ``pretrained_cfg`` describes it. Other files of these names are ignored.

    Args:
        checkpoint: A file, or a folder.

    Raises:
        InputError: A file is not JSON, or its values are of another kind.
    """
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    for name, read in ((PREPROCESSOR, _of_transformers), (CONFIG, _of_timm)):
        if (folder / name).is_file() and (found := _read(folder / name, read)) is not None:
            return found
    return None


def _read(path: Path, read: Any) -> Preprocessing | None:  # noqa: ANN401 (one of two functions)
    try:
        content = read_object(path, fix=_FIX)
        found: Preprocessing | None = read(content, path)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(
            str(path),
            expected="the normalisation and size of a network, as JSON",
            got=f"{type(error).__name__}: {error}",
            fix=_FIX,
        ) from None
    return found


def _of_transformers(content: Mapping[str, Any], path: Path) -> Preprocessing | None:
    mean, std = content.get("image_mean"), content.get("image_std")
    if not content.get("do_normalize", True):
        mean, std = (0.0,) * CHANNELS, (1.0,) * CHANNELS
    size = content.get("crop_size") or content.get("size")
    if mean is None and size is None:
        return None
    return Preprocessing(path, _channels(mean), _channels(std), _side(size))


def _of_timm(content: Mapping[str, Any], path: Path) -> Preprocessing | None:
    config: Mapping[str, Any] | None = content.get("pretrained_cfg")
    if config is None:
        return None
    *_, side = config.get("input_size", (None,))
    return Preprocessing(
        path, _channels(config.get("mean")), _channels(config.get("std")), _side(side)
    )


def _channels(values: list[float] | tuple[float, ...] | None) -> Channels | None:
    """Return a value for each channel.

    Raises:
        ValueError: There are not three.
    """
    if values is None:
        return None
    red, green, blue = map(float, values)
    return red, green, blue


def _side(size: int | Mapping[str, int] | None) -> int | None:
    if isinstance(size, Mapping):
        return next((int(size[name]) for name in _SIDES if name in size), None)
    return None if size is None else int(size)
