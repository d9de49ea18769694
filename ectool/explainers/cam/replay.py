"""Run the head of a model repeatedly on other activations, without rerunning the trunk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.explainers.cut import only_output
from ectool.models.classifier import Classifier
from ectool.models.modes import forward_hooks, frozen, graph_free

Forward = Callable[..., Any]

# With two rows, outputs per image differ from outputs whose first axis always has length 1.
_COPIES = 2


@dataclass
class _Call:
    """One call of a module before the target layer.

    Attributes:
        module: The module.
        output: Its output, which later steps may overwrite.
        row: A copy of the output for one image.
        version: Version counter of `output` at the last check.
        is_overwritten: Whether code between the modules has overwritten `output`.
    """

    module: nn.Module
    output: Tensor
    row: Float[Tensor, "1 ..."]
    version: int
    is_overwritten: bool = False


@dataclass
class _Recorder:
    """Records the outermost calls that finish before the target layer.

    Attributes:
        calls: Calls with one output row per image, in order.
        is_inside: Whether an outermost call is running; nested calls are not recorded.
        is_over: Whether the target layer has finished.
    """

    calls: list[_Call] = field(default_factory=list)
    is_inside: bool = False
    is_over: bool = False

    def watch(self, module: nn.Module) -> Forward:
        """Return the module's forward, which also records its output."""
        forward = module.forward

        def watched(*arguments: object, **options: object) -> object:
            if self.is_inside or self.is_over:
                return forward(*arguments, **options)
            self.look_for_changes()
            self.is_inside = True
            output = forward(*arguments, **options)
            self.is_inside = False
            if not self.is_over and isinstance(output, Tensor) and output.shape[:1] == (_COPIES,):
                self.calls.append(_Call(module, output, output[:1].clone(), output._version))
            for call in self.calls:  # overwriting inside a module is covered by its own record
                call.version = call.output._version
            return output

        return watched

    def look_for_changes(self) -> None:
        """Mark the outputs that were overwritten since the last module returned."""
        for call in self.calls:
            call.is_overwritten |= call.output._version != call.version


@dataclass(frozen=True)
class Replay:
    """A model after one image; its head can run on other outputs of the target layer.

    Attributes:
        model: The classifier.
        image: The image.
        output: Output of the target layer, in the layer's own layout; a copy.
        logits: Logits of the image.
        calls: The calls that are not repeated.
    """

    model: Classifier
    image: Float[Tensor, "1 ch h w"]
    output: Float[Tensor, "1 ..."]
    logits: Float[Tensor, "1 classes"]
    calls: list[_Call]

    def run_head(self, outputs: Float[Tensor, "m ..."]) -> Float[Tensor, "m classes"]:
        """Run the head on other outputs of the target layer.

        Args:
            outputs: In the layer's own layout and the dtype of ``output``; the head may overwrite
                them.

        Returns:
            Logits.

        Cost: a forward pass of m images through the head.
        """
        forwards = _stubs(self.calls, len(outputs))
        target = self.model.target_module
        with _overridden(forwards), forward_hooks([target], lambda *_: outputs):
            return cast(Tensor, self.model(self.image.expand(len(outputs), -1, -1, -1)))


@contextmanager
def open_replay(model: Classifier, image: Float[Tensor, "1 ch h w"]) -> Iterator[Replay]:
    """Run a model on one image, then allow runs of its head on other activations.

    To run the head, the model is called again, while every module that finished before the target
    layer returns its recorded output, repeated for the batch. So the head may be any code of a
    forward method: skip connections around the target layer, shapes of the input and parallel
    branches get the same values as in a complete pass.

    Args:
        model: The classifier; in evaluation mode inside the block, restored afterwards.
        image: RGB in [0, 1].

    Yields:
        The output of the target layer, the logits, and a method that runs the head.

    Cost: one forward pass of a batch with the image twice, without a graph. Memory: the outputs of
    the modules before the target layer.
    """
    recorder = _Recorder()
    outputs: list[Tensor] = []

    def finish(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            recorder.look_for_changes()
            recorder.is_over = True
            outputs.append(output[:1].clone())

    watched = {module: recorder.watch(module) for module in _beside_target(model)}
    with graph_free(), frozen(model):
        with _overridden(watched), forward_hooks([model.target_module], finish):
            logits = model(image.expand(_COPIES, -1, -1, -1))
        output = only_output(outputs, model)
        yield Replay(model, image, output, logits[:1], recorder.calls)


def _beside_target(model: Classifier) -> list[nn.Module]:
    """Return the modules that may finish before the target layer: all that do not contain it."""
    names = model.target_layer.name.split(".")
    around = {model.network.get_submodule(".".join(names[:end])) for end in range(len(names))}
    return [
        module
        for module in model.network.modules()
        # The forward of a scripted module is compiled and cannot be replaced; it runs again.
        if module not in around and not isinstance(module, torch.jit.ScriptModule)
    ]


def _stubs(calls: list[_Call], rows: int) -> dict[nn.Module, Forward]:
    """Return forwards that replay the recorded calls in order, and compute all later calls."""
    waiting: defaultdict[nn.Module, list[_Call]] = defaultdict(list)
    for call in reversed(calls):
        waiting[call.module].append(call)

    def stub(module: nn.Module) -> Forward:
        forward, recorded = module.forward, waiting[module]

        def replayed(*arguments: object, **options: object) -> object:
            if not recorded:
                return forward(*arguments, **options)
            call = recorded.pop()
            repeated = call.row.expand(rows, *call.row.shape[1:])
            # A view needs no memory, but cannot be overwritten.
            return repeated.clone() if call.is_overwritten else repeated

        return replayed

    return {module: stub(module) for module in waiting}


@contextmanager
def _overridden(forwards: Mapping[nn.Module, Forward]) -> Iterator[None]:
    """Replace the forward of modules; hooks and everything else of a call stay."""
    with ExitStack() as stack:
        for module, forward in forwards.items():
            stack.callback(_restore, vars(module), vars(module).get("forward"))
            vars(module)["forward"] = forward
        yield


def _restore(attributes: dict[str, Any], forward: Forward | None) -> None:
    """Restore the forward of an instance, or remove it if only the class had one."""
    del attributes["forward"]
    if forward is not None:
        attributes["forward"] = forward
