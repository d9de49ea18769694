from __future__ import annotations

import pytest
import torch

from ectool.models.checkpoints.fit import NAME_IT, fix_of, misfit

OWN = {
    "conv.weight": torch.ones(2, 3),
    "fc.bias": torch.ones(3),
    "bn.num_batches_tracked": torch.ones(()),
}


@pytest.mark.parametrize(
    ("change", "others", "text"),
    [
        ({}, (), None),
        ({"bn.num_batches_tracked": None}, (), None),
        ({"fc.bias": None}, (), "1 (fc.bias) missing, none unexpected"),
        ({"a": 1}, ("b",), "none missing, 1 (a) unexpected, 1 (b) elsewhere in the file"),
        (
            {"conv.weight": torch.ones(2, 3, 1), "fc.bias": torch.tensor(1.0)},
            (),
            "none missing, none unexpected, 2 (conv.weight 2x3x1 for 2x3, fc.bias a number for 3) "
            "of another shape",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, others, text):
    state = {name: value for name, value in {**OWN, **change}.items() if value is not None}
    assert misfit(state, OWN, others) == text


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("blocks.0.attn.qkv.weight", "give --model timm:NAME"),
        ("vit.encoder.layer.0.attention.attention.query.weight", "names of transformers"),
        ("resnet.encoder.stages.0.layers.0.layer.0.convolution.weight", "names of transformers"),
        ("conv9.weight", NAME_IT),
    ],
)
def test_names_of_other_libraries_are_recognised(name, fix):
    assert fix in fix_of({name: torch.ones(1)}, OWN)
    assert fix_of({name: torch.ones(1)}, {name: torch.ones(1)}) == NAME_IT
