"""Weights of a zero-shot classifier: from a file of open_clip, or random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint import Loaded
from ectool.models.checkpoints.containers import select_weights
from ectool.models.checkpoints.fit import check_finite, check_numbers, misfit, misfit_error
from ectool.models.checkpoints.positions import fit_positions
from ectool.models.checkpoints.tensors import StateDict, read_tensors
from ectool.models.classifier import Classifier
from ectool.models.names import split_architecture
from ectool.models.sources.base import seeded
from ectool.models.sources.openclip import ZeroShot, open_clip, towers
from ectool.models.zeroshot.configurations import read, shown
from ectool.models.zeroshot.prompts import Prompts
from ectool.models.zeroshot.text_features import text_features

_SCALARS = ("logit_scale", "logit_bias")
_RECORDED = ("input_resolution", "context_length", "vocab_size")
"""Numbers beside the weights in files of OpenAI, which the configuration has too."""
_CONVERT = "convert it once: torch.save(torch.jit.load(FILE).state_dict(), 'clip.pt')"


def fill(
    model: Classifier, prompts: Prompts, checkpoint: Path | None, *, seed: int, entry: str | None
) -> Loaded:
    """Load the image tower, and compute the text features of the classes as the head.

    Args:
        model: A zero-shot classifier of :func:`ectool.models.registry.create`.
        prompts: Prompts of its classes.
        checkpoint: Weights of both towers, as open_clip writes them; None for random ones.
        seed: Seed of random weights.
        entry: Part of the file to load, as for
            :func:`ectool.models.checkpoints.checkpoint.load_weights`.

    Returns:
        What differs from the file.

    Raises:
        InputError: The weights do not fit both towers, or a prompt is too long for the text tower.

    Cost: both towers are made once, and the text tower runs on every prompt.
    """
    name = split_architecture(model.spec.architecture)[1]
    with seeded(seed):
        both = towers(name, model.input_size).eval()
    loaded = Loaded() if checkpoint is None else _load(both, checkpoint, entry)
    network = cast(ZeroShot, model.network)
    network.visual.load_state_dict(both.visual.state_dict())
    with torch.no_grad():
        network.head.weight.copy_(text_features(_tokens(name, prompts), both.encode_text))
        network.head.logit_scale.copy_(both.logit_scale.reshape(()))
        if network.head.bias is not None:
            network.head.bias.copy_(both.logit_bias.reshape(()))
    model.spec = replace(model.spec, prompts=prompts)
    return loaded


def _load(both: nn.Module, path: Path, entry: str | None) -> Loaded:
    """Load weights that fit both towers exactly."""
    expected = both.state_dict()
    found = select_weights(_tensors(path), expected, entry, path)
    state, grids = fit_positions(_scalars_as(found.state, expected), expected)
    check_numbers(state, expected, path)
    check_finite(state, path)
    if got := misfit(state, expected, found.others):
        fix = "give the weights of both towers, as open_clip saves them, and their --model"
        raise misfit_error(path, got, fix)
    both.load_state_dict(state, strict=False)
    return Loaded(found.prefix, grids=grids)


def _tensors(path: Path) -> StateDict:
    """Return the tensors of a file.

    Raises:
        InputError: It is unreadable, or a program, as OpenAI publishes its networks.
    """
    try:
        found = read_tensors(path)
    except InputError as error:
        if "TorchScript" not in error.got:
            raise
        raise InputError(
            error.subject, expected=error.expected, got=error.got, fix=_CONVERT
        ) from error
    return {name: value for name, value in found.items() if name not in _RECORDED}


def _scalars_as(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with scale and bias in the shape of the network: a number or a vector."""
    same = {n: state[n] for n in _SCALARS if n in state and n in expected}
    fitted = {n: v.reshape(expected[n].shape) for n, v in same.items() if v.numel() == 1}
    return {**state, **fitted}


def _tokens(name: str, prompts: Prompts) -> list[Tensor]:
    """Return the tokens of the sentences of each class.

    Raises:
        InputError: A sentence is too long, or the text tower has other tokens.
    """
    given = read(name).network["text_cfg"]
    length: int = given.get("context_length", 77)
    tokenizer = open_clip().SimpleTokenizer(
        context_length=length, **(given.get("tokenizer_kwargs") or {})
    )
    tokens = tokenizer.vocab_size
    if given.get("vocab_size", tokens) < tokens:
        raise InputError(
            f"model openclip:{shown(name)}",
            expected=f"a text tower of at least {tokens} tokens, as open_clip's tokenizer has",
            got=f"vocab_size {given['vocab_size']}",
            fix="correct the configuration",
        )
    texts = list(prompts.texts())
    for text in (text for sentences in texts for text in sentences):
        count = len(tokenizer.encode(text)) + 2  # a token before the text, and one after it
        if count > length:
            raise InputError(
                f"{prompts.where}: {text!r}",
                expected=f"at most {length} tokens",
                got=str(count),
                fix="shorten the template or the name",
            )
    return [tokenizer(sentences) for sentences in texts]
