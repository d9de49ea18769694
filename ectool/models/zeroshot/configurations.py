"""Configurations of open_clip's networks, read without importing open_clip or torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ectool.errors import InputError, hint, listed
from ectool.parsing import MalformedError, parse_json, read_json

EXTRA = "pip install 'ectool[openclip]'"
_PACKAGE = "open_clip"
_SUFFIX = ".json"
_PARTS = ("embed_dim", "vision_cfg", "text_cfg")
_WRAPPER = "model_cfg"
"""Key of the configuration in `open_clip_config.json`, beside the preprocessing."""
_PREPROCESSING = "preprocess_cfg"
_LOCATIONS = ("hf-hub:", "local-dir:")
_TAG = re.compile(r"[/:,@ ]")
"""What separates an architecture and the tag of its public weights, in several programs."""
_OTHER_TOKENIZER = ("hf_tokenizer_name", "hf_model_name")
"""Keys of text towers whose tokenizer is not part of open_clip, and would be downloaded."""


@dataclass(frozen=True)
class Configuration:
    """The configuration of a network of open_clip.

    Attributes:
        network: Arguments of its constructor.
        preprocessing: Mean, standard deviation and other settings of images; empty if unknown.
    """

    network: Mapping[str, Any]
    preprocessing: Mapping[str, Any]

    @property
    def image_size(self) -> tuple[int, int]:
        """Return (height, width) of the images in pixels."""
        size = self.network["vision_cfg"].get("image_size", 224)
        height, width = size if isinstance(size, list) else (size, size)
        return int(height), int(width)


@cache
def names() -> tuple[str, ...]:
    """Return the names of the architectures of the installed open_clip; none without it."""
    return tuple(sorted(path.stem for path in _built_in().values()))


def resolved(name: str) -> str:
    """Return the name of an architecture, or the content of a file as JSON in one line.

    So a model and its key contain the configuration, and not the path of a file.

    Args:
        name: Name of an architecture; path of a JSON file; or the JSON itself.

    Raises:
        InputError: There is no such architecture or file, or it cannot be used; see :func:`read`.
    """
    read(name)
    if _is_text(name) or not name.endswith(_SUFFIX):
        return name
    return json.dumps(_load(name), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def shown(name: str) -> str:
    """Return a name for messages: a configuration that is given as JSON is left out."""
    return "{…}" if _is_text(name) else name


def read(name: str) -> Configuration:
    """Read and check the configuration of a network.

    Args:
        name: As for :func:`resolved`.

    Raises:
        InputError: open_clip is not installed; there is no such architecture or file; it is no
            configuration; or it needs a tokenizer that open_clip would have to download.
    """
    if find_spec(_PACKAGE) is None:
        raise InputError(
            "model openclip:…", expected="the package open_clip_torch", got="none", fix=EXTRA
        )
    content = _load(name)
    content = content if isinstance(content, dict) else {}
    network, preprocessing = content.get(_WRAPPER, content), content.get(_PREPROCESSING, {})
    if not _is_complete(network) or not isinstance(preprocessing, dict):
        raise _unusable(
            name,
            f"a configuration of open_clip, with {', '.join(_PARTS)}",
            f"the keys {listed(list(network))}"
            if isinstance(network, dict) and network
            else "other JSON",
            "give its open_clip_config.json, or the name of an architecture",
        )
    _check_values(name, network["vision_cfg"], preprocessing)
    other = next((key for key in _OTHER_TOKENIZER if network["text_cfg"].get(key)), None)
    if other is not None:
        raise _unusable(
            name,
            "a text tower with the tokenizer of open_clip",
            f"{other} {network['text_cfg'][other]}, which would have to be downloaded",
            "use an architecture such as ViT-B-32, RN50 or convnext_base",
        )
    return Configuration(network, preprocessing)


def _is_complete(network: Any) -> bool:  # noqa: ANN401 (JSON)
    return (
        isinstance(network, dict)
        and all(part in network for part in _PARTS)
        and isinstance(network["embed_dim"], int)
        and all(isinstance(network[part], dict) for part in _PARTS[1:])
    )


def _check_values(name: str, vision: Mapping[str, Any], preprocessing: Mapping[str, Any]) -> None:
    """Check what is read from a configuration before open_clip reads it.

    Raises:
        InputError: The size of the images is no size; mean or standard deviation are not three
            numbers; or timm would download the image tower.
    """
    size = vision.get("image_size", 224)
    fix = "correct the configuration"
    if not (isinstance(size, int) or _are_numbers(size, 2)):
        expected = "image_size, a number of pixels or two"
        raise _unusable(name, expected, json.dumps(size), fix)
    for key in ("mean", "std"):
        if key in preprocessing and not _are_numbers(preprocessing[key], 3):
            got = json.dumps(preprocessing[key])
            raise _unusable(name, f"{key}, three numbers for pixels in [0, 1]", got, fix)
    tower = str(vision.get("timm_model_name") or "")
    if ":" in tower:
        raise _unusable(name, "the name of a network of timm", f"{tower}, a place of one", fix)


def _are_numbers(values: object, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(value, int | float) for value in values)
    )


def _load(name: str) -> Any:  # noqa: ANN401 (JSON)
    if not _is_text(name) and not name.endswith(_SUFFIX):
        return read_json(_path_of(name))
    try:
        return parse_json(name) if _is_text(name) else read_json(Path(name))
    except OSError as error:
        got, fix = error.strerror or "no such file", "check the path"
        raise _unusable(name, "a file of open_clip's configuration", got, fix) from None
    except MalformedError as error:
        raise _unusable(name, "valid JSON", str(error), "correct the file") from None


def _path_of(name: str) -> Path:
    known = _built_in()
    if name in known:
        return known[name]
    network = _TAG.split(name)[0]
    if name.startswith(_LOCATIONS):
        raise _unusable(
            name,
            "the name of an architecture",
            "a place of weights",
            "nothing is downloaded: give its open_clip_config.json as --model openclip:FILE, and "
            "its weights as --checkpoint FILE",
        )
    if network in known:
        raise _unusable(
            name,
            "the name of an architecture",
            "one with the tag of public weights",
            f"nothing is downloaded: give --model openclip:{network} and --checkpoint FILE",
        )
    raise _unusable(
        name,
        f"one of {len(known)} architectures of open_clip, or a file {_SUFFIX}",
        "an unknown name",
        f"{hint(name, known)}open_clip.list_models() has all names",
    )


@cache
def _built_in() -> dict[str, Path]:
    """Return the files of the configurations in the package, by the name of the architecture."""
    spec = find_spec(_PACKAGE)
    folders = [] if spec is None else spec.submodule_search_locations or []
    found = [path for folder in folders for path in Path(folder).glob(f"model_configs/*{_SUFFIX}")]
    return {path.stem: path for path in found}


def _is_text(name: str) -> bool:
    return name.startswith("{")


def _unusable(name: str, expected: str, got: str, fix: str) -> InputError:
    return InputError(f"model openclip:{shown(name)}", expected=expected, got=got, fix=fix)
