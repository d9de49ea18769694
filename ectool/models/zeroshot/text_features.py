"""Text features of classes: the head of a zero-shot classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

_BATCH = 64

EncodeText = Callable[[Int[Tensor, "n t"]], Float[Tensor, "n d"]]
"""Maps tokens to text features."""


def text_features(tokens: Sequence[Int[Tensor, "_ t"]], encode: EncodeText) -> Float[Tensor, "c d"]:
    """Return the features of each class: the mean of those of its sentences.

    ``w_c = normalise(mean_s normalise(encode(tokens_cs)))``, the prompt ensemble of Radford et al.
    2021 (arXiv 2103.00020, section 3.1.4), each class with any number of sentences.

    Args:
        tokens: For each class, the tokens of its sentences.
        encode: The text tower.

    Returns:
        One row of length 1 per class.

    Cost: one forward pass of the text tower per sentence.
    """
    counts = [len(own) for own in tokens]
    sentences = torch.cat(list(tokens))
    batches = (sentences[first : first + _BATCH] for first in range(0, len(sentences), _BATCH))
    with torch.no_grad():
        parts = [F.normalize(encode(batch), dim=1) for batch in batches]
    rows = iter(torch.cat(parts))
    means = [torch.stack(list(islice(rows, count))).mean(0) for count in counts]
    return F.normalize(torch.stack(means), dim=1)
