from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_transformers import GRID, OTHERS, SIZE, TRANSFORMERS, PlainTransformer, transformer

from ectool.errors import InputError
from ectool.explainers.attention.token_readout import find_readout
from ectool.models.classifier import Classifier

# Tokens before the grid, and which of all are read.
READ = {
    "torchvision": (1, range(1)),
    "timm": (1, range(1)),
    "openclip": (1, range(1)),
    "distilled": (2, range(2)),
    "registers": (5, range(1)),
    "average": (0, range(16)),
    "average beside a class token": (1, range(1, 17)),
    "position bias": (1, range(1, 17)),
    "encoder layers": (0, range(16)),
    "asked for weights": (0, range(16)),
    "written out": (0, range(16)),
}


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_finds_the_tokens_that_are_read(kind):
    prefix, read = READ[kind]
    readout = find_readout(transformer(TRANSFORMERS[kind]), SIZE)
    expected = torch.zeros(prefix + 16)
    expected[list(read)] = 1 / len(read)
    torch.testing.assert_close(readout.weights, expected[None])
    row = torch.arange(-prefix, 16).float()[None, None]
    assert torch.equal(readout.to_map(row)[0], torch.arange(16.0).view(GRID))


def test_a_head_of_zeros_hides_no_token():
    model = transformer(TRANSFORMERS["torchvision"])
    expected = find_readout(model, SIZE)
    torch.nn.init.zeros_(model.network.heads.head.weight)
    assert torch.equal(find_readout(model, SIZE).weights, expected.weights)


@pytest.mark.parametrize("kind", OTHERS)
def test_other_networks_are_refused(kind):
    make, message = OTHERS[kind]
    model = transformer(make)
    with pytest.raises(InputError, match=rf"every attention spans all tokens, {message}.*gradcam"):
        find_readout(model, SIZE)


def test_programs_are_refused():
    model = transformer(TRANSFORMERS["timm"])
    program = Classifier(
        model.network,
        replace(model.spec, architecture="torchscript:net.pt", target_layer=None, layout=None),
    )
    with pytest.raises(InputError, match="got a program, which does not show its layers"):
        find_readout(program, SIZE)


def test_tokens_that_lie_on_no_grid_are_refused():
    model = transformer(TRANSFORMERS["written out"])
    with pytest.raises(InputError, match="got 20 tokens for an image of 32x47"):
        find_readout(model, (32, 47))


def test_attention_that_goes_nowhere_is_refused():
    class Aside(torch.nn.Module):
        def forward(self, tokens):
            (tokens @ tokens.mT).softmax(-1)
            return tokens

    model = transformer(lambda: PlainTransformer(Aside()))
    with pytest.raises(InputError, match="got attention that does not reach the logits"):
        find_readout(model, SIZE)
