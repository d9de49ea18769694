from __future__ import annotations

import pytest
import torch
from tiny_transformers import (
    HEADS,
    SIZE,
    TRANSFORMERS,
    WIDTH,
    PlainTransformer,
    Weighing,
    WrittenOut,
    slowly,
    transformer,
)
from torch import nn
from torch.nn import functional as F

from ectool.explainers.attention.matrices import AttentionRecorder, mean_over_heads


@pytest.fixture
def images():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["torchvision", "timm", "openclip"])
def test_records_every_layer_as_defined(kind, images):
    model = transformer(TRANSFORMERS[kind]).eval()
    with torch.no_grad(), AttentionRecorder() as recorder:
        logits = model(images)
    for number, image in enumerate(images):
        layers, expected = slowly(model, image)
        torch.testing.assert_close(logits[number], expected)
        assert len(recorder.kept) == len(layers)
        for matrix, heads in zip(recorder.kept, layers, strict=True):
            torch.testing.assert_close(matrix[number], torch.stack(heads))


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_logits_are_unchanged_and_rows_are_probabilities(kind, images):
    model = transformer(TRANSFORMERS[kind]).eval()
    with torch.no_grad():
        expected = model(images)
        with AttentionRecorder() as recorder:
            logits = model(images)
    torch.testing.assert_close(logits, expected)
    for matrix in recorder.kept:
        torch.testing.assert_close(matrix.sum(-1), torch.ones(matrix.shape[:-1]))


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_matrices_are_where_the_graph_of_a_frozen_network_begins(kind, images):
    model = transformer(TRANSFORMERS[kind]).eval().requires_grad_(False)
    with AttentionRecorder() as recorder:
        logits = model(images)
    assert recorder.kept[0].is_leaf
    gradients = torch.autograd.grad(logits[:, 0].sum(), recorder.kept)
    assert all(gradient.any() for gradient in gradients)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.3},
        {"is_causal": True},
        {"attn_mask": torch.arange(36).view(6, 6) % 5 > 0},
        {"attn_mask": torch.linspace(-1, 1, 36).view(6, 6)},
    ],
)
def test_fused_attention_keeps_its_options(options):
    query, key, value = torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    expected = F.scaled_dot_product_attention(query, key, value, **options)
    with AttentionRecorder() as recorder:
        output = F.scaled_dot_product_attention(query, key, value, **options)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(recorder.kept[0].detach() @ value, expected)


def test_heads_may_share_keys():
    query, key = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)
    expected = F.scaled_dot_product_attention(query, key, key, enable_gqa=True)
    with AttentionRecorder():
        output = F.scaled_dot_product_attention(query, key, key, enable_gqa=True)
    torch.testing.assert_close(output, expected)


def test_multi_head_attention_returns_the_requested_weights():
    attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    tokens = torch.rand(2, 7, WIDTH)
    for average in (True, False):
        expected = attention(tokens, tokens, tokens, average_attn_weights=average)
        with AttentionRecorder() as recorder:
            output, weights = attention(tokens, tokens, tokens, average_attn_weights=average)
        torch.testing.assert_close((output, weights), expected)
        assert recorder.kept[0].shape == (2, HEADS, 7, 7)


@pytest.mark.parametrize("fused", [True, False])
def test_timm_with_and_without_fused_attention(fused, images):
    model = transformer(TRANSFORMERS["timm"]).eval()
    with torch.no_grad(), AttentionRecorder() as expected:
        model(images)
    for block in model.network.blocks:
        block.attn.fused_attn = fused
    with torch.no_grad(), AttentionRecorder() as recorder:
        model(images)
    torch.testing.assert_close(recorder.kept, expected.kept)


def test_softmax_over_other_axes_is_not_attention():
    with AttentionRecorder() as recorder:
        torch.rand(2, 3, 4).softmax(1)
        torch.rand(2, 3).softmax(-1)
        F.softmax(torch.rand(2, 3, 4, 4), dim=2)
        assert not recorder.kept
        F.softmax(torch.rand(2, 3, 4, 4), dim=3)
    assert len(recorder.kept) == 1


def test_what_is_recorded_stays_when_the_network_overwrites_it(images):
    model = transformer(lambda: PlainTransformer(WrittenOut())).eval()
    with torch.no_grad(), AttentionRecorder() as recorder:
        model(images)
    torch.testing.assert_close(recorder.kept[0].sum(-1), torch.ones(3, 16))


def test_only_what_runs_inside_the_block_is_recorded(images):
    model = transformer(lambda: PlainTransformer(Weighing())).eval()
    with AttentionRecorder(mean_over_heads) as recorder:
        pass
    model(images)
    model.network.head.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), recorder:
        model(images)
    with pytest.raises(ZeroDivisionError):
        model(images)
    assert [matrix.shape for matrix in recorder.kept] == [(3, 16, 16)]
    assert torch.backends.mha.get_fastpath_enabled()
