"""Networks that come as a program with its weights: TorchScript and exported programs.

They can be asked and differentiated with respect to the images. Hooks do not reach inside, so no
heatmaps can be drawn from them.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.layers.probe import check_head, first_line, format_size, random_images
from ectool.models.sources.base import Defaults, Size

_NO_PICKLE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_COMPILED_CODE = "/data/aotinductor/"
_BATCH = 3
_SEED = 0
_TOLERANCE = 1e-3
"""Greatest difference of an answer with and without neighbours, relative to the greatest logit."""


class Program(nn.Module):
    """Hold a program in the mode it was made in, which is evaluation mode.

    Args:
        program: Maps normalised images to logits.
    """

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def train(self, mode: bool = True) -> Program:
        """Set this module's own flag: exported programs refuse to change theirs."""
        self.training = mode
        return self

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Return logits.

        Args:
            images: Normalised images, in any memory format: inside, views were fixed when the
                program was made, and most fit the contiguous one only.

        Returns:
            One logit per class.
        """
        return cast(Tensor, self.program(images.contiguous()))


def torchscript_network(path: str, classes: int, size: Size) -> nn.Module:
    """Load what ``torch.jit.save`` wrote.

    ``torch.jit.load`` reads it in C++ and unpickles no Python objects. The file is nevertheless a
    program: its code runs, and may read and write files. Load none from people you do not trust.

    Args:
        path: The file.
        classes: Number of logits it has to put out.
        size: (height, width) of the images it is asked about.

    Returns:
        The network, on the CPU.

    Raises:
        InputError: It cannot be read or be asked about batches of such images.

    Cost: two forward passes and one backward pass of three images.
    """
    with _readable(path, "torchscript"):
        program = Program(cast(Any, torch.jit).load(path, map_location="cpu").eval())
    return _checked(program, f"torchscript:{path}", classes, size)


def exported_network(path: str, classes: int, size: Size) -> nn.Module:
    """Load what ``torch.export.save`` wrote.

    ``torch.export.load`` unpickles where the file asks for it, which could run any code; here it is
    held to tensors, so such files are refused, and so are those with machine code inside. What is
    left still is a program whose code runs. Load none from people you do not trust.

    Args:
        path: The file.
        classes: Number of logits it has to put out.
        size: (height, width) of the images it is asked about.

    Returns:
        The network, on the device it was exported on.

    Raises:
        InputError: It cannot be read or be asked about batches of such images.

    Cost: two forward passes and one backward pass of three images.
    """
    return _checked(Program(_exported(path).module()), f"exported:{path}", classes, size)


def torchscript_defaults(_path: str) -> Defaults:
    """Return ImageNet's size and normalisation: such a file says nothing of its images."""
    return Defaults()


def exported_defaults(path: str) -> Defaults:
    """Return ImageNet's normalisation, and the size and number of classes the program is for.

    Raises:
        InputError: It cannot be read.
    """
    program = _exported(path)
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    signature = program.graph_signature
    (images, *_), (logits, *_) = signature.user_inputs, signature.user_outputs
    size, classes = _fixed(values[images], 2), _fixed(values[logits], 1)
    return Defaults(
        input_size=(size[0], size[1]) if len(size) == 2 else Defaults.input_size,
        classes=classes[0] if classes else None,
    )


def _fixed(value: object, first: int) -> list[int]:
    """Return the sides of a recorded tensor from an axis on, without those that may vary."""
    shape = getattr(value, "shape", ())
    return [side for side in shape[first:] if isinstance(side, int)]


def _exported(path: str) -> torch.export.ExportedProgram:
    with _readable(path, "exported"), _tensors_only():
        # Asked first, because torch logs a traceback for every file of another kind.
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if not any(name.endswith("/archive_format") for name in names):
            raise ValueError("no program inside")
        if any(_COMPILED_CODE in name for name in names):
            raise ValueError("machine code inside")
        return torch.export.load(path)


@contextmanager
def _readable(path: str, source: str) -> Iterator[None]:
    subject = f"model {source}:{path}"
    made_by = {"torchscript": "torch.jit.save", "exported": "torch.export.save"}[source]
    if not Path(path).is_file():
        raise InputError(
            subject, expected="a file", got="no such file", fix="check the path behind the colon"
        )
    try:
        with warnings.catch_warnings():
            # torch calls TorchScript deprecated, and complains of its own read-only buffers.
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # damaged files raise anything
        raise InputError(
            subject,
            expected=f"a file that {made_by} wrote",
            got=f"{type(error).__name__}: {first_line(error).partition('. ')[0]}",
            fix="save it anew with this version of torch",
        ) from error


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Let torch unpickle nothing but tensors; it takes no argument that would say so."""
    before = os.environ.get(_NO_PICKLE)
    os.environ[_NO_PICKLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_PICKLE]
        else:
            os.environ[_NO_PICKLE] = before


def _checked(program: Program, model: str, classes: int, size: Size) -> Program:
    """Check that a program answers each image of a batch on its own, with a gradient."""
    generator = torch.Generator().manual_seed(_SEED)
    images = random_images(program, _BATCH, size, generator).requires_grad_()
    logits, alone = _answers(program, images, model)
    check_head(program, size, classes, model)
    if not _has_gradient(logits, images):
        raise InputError(
            f"model {model}",
            expected="a gradient with respect to the images",
            got="none",
            fix="make the program without torch.no_grad() or detach() on the way",
        )
    if (logits[:1] - alone).abs().max() > _TOLERANCE * logits.abs().max():
        raise InputError(
            f"model {model}",
            expected="a program in evaluation mode",
            got="answers that change with the rest of the batch, or each time",
            fix="call .eval() on the network before making the program of it",
        )
    return program


def _answers(program: Program, images: Tensor, model: str) -> tuple[Tensor, Tensor]:
    """Return what the program says of a batch, and of its first image alone."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            return program(images), program(images[:1])
    except Exception as error:  # programs may raise anything
        raise InputError(
            f"model {model}",
            expected=f"a program for any number of {format_size(images.shape[2:])} images",
            got=str(error).strip().rpartition("\n")[2] or type(error).__name__,
            fix="export it with a dynamic batch dimension, and keep to the size it was made for",
        ) from error


def _has_gradient(logits: Tensor, images: Tensor) -> bool:
    if not logits.requires_grad:
        return False
    try:
        # Any weights but equal ones, for which the gradient of probabilities is zero.
        weights = torch.linspace(-1, 2, logits.numel()).reshape(logits.shape).to(logits)
        (gradient,) = torch.autograd.grad((logits * weights).sum(), images, allow_unused=True)
    except RuntimeError:  # some steps have no derivative
        return False
    return gradient is not None and bool(gradient.any())
