"""A network that comes as a program with its weights: what TorchScript and exported files share.

A program predicts, and has gradients with respect to the images. Hooks do not reach inside, so it
has no target layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.blame import has_run
from ectool.models.layers.probe import check_head, first_line, format_size, random_images
from ectool.models.sources.base import Size

_BATCH = 3
_SEED = 0
_TOLERANCE = 1e-3
"""Maximum difference of logits with and without neighbours, relative to the largest logit."""


class Program(nn.Module):
    """Hold a program in the mode that it was saved in, which is evaluation mode.

    Args:
        program: Maps normalised images to logits.
    """

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def train(self, mode: bool = True) -> Program:
        """Set the flag of this module only: exported programs cannot change theirs."""
        self.training = mode
        return self

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Return logits.

        Args:
            images: Normalised images, in any memory format. They are made contiguous, because the
                views inside most programs are fixed to that format.

        Returns:
            One logit per class.
        """
        return cast(Tensor, self.program(images.contiguous()))


def checked(program: Program, model: str, classes: int, size: Size) -> Program:
    """Return a program after a check that it predicts each image independently, with a gradient.

    Args:
        program: On any device.
        model: Name of the model, for errors.
        classes: Number of logits it must return.
        size: (height, width) of the images.

    Raises:
        InputError: It takes no batch of such images, returns other numbers of logits, has no
            gradient, or is not in evaluation mode.

    Cost: three forward passes and one backward pass of at most three images.
    """
    generator = torch.Generator().manual_seed(_SEED)
    images = random_images(program, _BATCH, size, generator).requires_grad_()
    logits, alone = _logits(program, images, model)
    check_head(program, size, classes, model)
    if not _has_gradient(logits, images):
        raise InputError(
            f"model {model}",
            expected="a gradient with respect to the images",
            got="none",
            fix="make the program without torch.no_grad() and detach()",
        )
    if (logits[:1] - alone).abs().max() > _TOLERANCE * logits.abs().max():
        raise InputError(
            f"model {model}",
            expected="a program in evaluation mode",
            got="logits that change with the other images of the batch, or with each call",
            fix="call .eval() on the network before you make the program",
        )
    return program


@contextmanager
def readable(path: str, source: str, made_by: str) -> Iterator[None]:
    """Convert all errors of torch for a file into one error.

    Args:
        path: The file.
        source: What stands before the colon in the name of the model.
        made_by: Function that writes such files.

    Raises:
        InputError: There is no such file, or the block fails to read it.
    """
    subject = f"model {source}:{path}"
    has_run(subject.removeprefix("model "), None)
    if not Path(path).is_file():
        raise InputError(
            subject, expected="a file", got="no such file", fix="check the path after the colon"
        )
    try:
        with warnings.catch_warnings():
            # torch warns that TorchScript is deprecated, and about its own read-only buffers.
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:  # damaged files raise anything
        raise InputError(
            subject,
            expected=f"a file from {made_by}",
            got=f"{type(error).__name__}: {first_line(error).partition('. ')[0]}",
            fix="save it again with this version of torch",
        ) from error


def _logits(program: Program, images: Tensor, model: str) -> tuple[Tensor, Tensor]:
    """Return the logits of a batch, and of its first image alone."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            return program(images), program(images[:1])
    except Exception as error:  # programs may raise anything
        raise InputError(
            f"model {model}",
            expected=f"a program for any number of {format_size(images.shape[2:])} images",
            got=str(error).strip().rpartition("\n")[2] or type(error).__name__,
            fix="export it with a dynamic batch dimension, and use the image size it was made for",
        ) from error


def _has_gradient(logits: Tensor, images: Tensor) -> bool:
    if not logits.requires_grad:
        return False
    try:
        # Not equal weights: with them the gradient of a sum of probabilities is zero.
        weights = torch.linspace(-1, 2, logits.numel()).reshape(logits.shape).to(logits)
        (gradient,) = torch.autograd.grad((logits * weights).sum(), images, allow_unused=True)
    except RuntimeError:  # some steps have no derivative
        return False
    return gradient is not None and bool(gradient.any())
