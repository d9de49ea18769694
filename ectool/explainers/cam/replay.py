"""Run what follows the target layer again and again, without what comes before it."""

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

# Two rows tell what has one for each image from what has a first axis of length one anyway.
_COPIES = 2


@dataclass
class _Call:
    """One call of a module on the way to the target layer.

    Attributes:
        module: Who was called.
        output: What came out, which later steps may overwrite.
        row: What came out for one image.
        version: How often `output` had been overwritten when last seen.
        is_overwritten: Whether code between the modules did so.
    """

    module: nn.Module
    output: Tensor
    row: Float[Tensor, "1 ..."]
    version: int
    is_overwritten: bool = False


@dataclass
class _Recorder:
    """Notes the outermost calls that are over before the target layer has answered.

    Attributes:
        calls: Those that gave a row for each image, in order.
        is_inside: Whether such a call is running, whose own calls do not matter.
        is_over: Whether the target layer has answered.
    """

    calls: list[_Call] = field(default_factory=list)
    is_inside: bool = False
    is_over: bool = False

    def watch(self, module: nn.Module) -> Forward:
        """Return the module's forward, noting what it returns."""
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
            for call in self.calls:  # what a module overwrites, its own record makes good for
                call.version = call.output._version
            return output

        return watched

    def look_for_changes(self) -> None:
        """Mark the outputs that were overwritten since the last module returned."""
        for call in self.calls:
            call.is_overwritten |= call.output._version != call.version


@dataclass(frozen=True)
class Replay:
    """A model that has seen one image and answers for other outputs of its target layer.

    Attributes:
        model: The classifier.
        image: What it has seen.
        output: Output of the target layer, in the layer's own layout; the head cannot spoil it.
        logits: What the model answered.
        calls: The calls that need no repetition.
    """

    model: Classifier
    image: Float[Tensor, "1 ch h w"]
    output: Float[Tensor, "1 ..."]
    logits: Float[Tensor, "1 classes"]
    calls: list[_Call]

    def run_head(self, outputs: Float[Tensor, "m ..."]) -> Float[Tensor, "m classes"]:
        """Answer as if the target layer had put out something else.

        Args:
            outputs: In the layer's own layout, of the type of ``output``; the head may overwrite
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
    """Run a model on one image and hold it ready to run its head on other activations.

    The head is run by calling the model once more while every module that was done before the
    target layer only returns what it returned then, repeated for the batch. So a head may be any
    code that can stand in a forward: skip connections around the target layer, shapes taken from
    the input and branches beside it all see what they would see in a whole pass.

    Args:
        model: The classifier; held in evaluation mode inside the block, left as found.
        image: RGB in [0, 1].

    Yields:
        Output of the target layer, logits and what it takes to run the head.

    Cost: one forward pass of the image, twice in a batch, without a graph. Held in memory: what
    the modules before the target layer put out for it.
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
    """Return the modules that may be over before the target layer is: all but those around it."""
    names = model.target_layer.name.split(".")
    around = {model.network.get_submodule(".".join(names[:end])) for end in range(len(names))}
    return [
        module
        for module in model.network.modules()
        # A scripted module's forward is compiled and cannot be replaced; it just runs again.
        if module not in around and not isinstance(module, torch.jit.ScriptModule)
    ]


def _stubs(calls: list[_Call], rows: int) -> dict[nn.Module, Forward]:
    """Return forwards that answer the recorded calls in order, and compute all later ones."""
    waiting: defaultdict[nn.Module, list[_Call]] = defaultdict(list)
    for call in reversed(calls):
        waiting[call.module].append(call)

    def stub(module: nn.Module) -> Forward:
        forward, answers = module.forward, waiting[module]

        def answer(*arguments: object, **options: object) -> object:
            if not answers:
                return forward(*arguments, **options)
            call = answers.pop()
            repeated = call.row.expand(rows, *call.row.shape[1:])
            # A view costs nothing, but cannot be overwritten.
            return repeated.clone() if call.is_overwritten else repeated

        return answer

    return {module: stub(module) for module in waiting}


@contextmanager
def _overridden(forwards: Mapping[nn.Module, Forward]) -> Iterator[None]:
    """Let modules compute something else; hooks and what comes with a call stay as they are."""
    with ExitStack() as stack:
        for module, forward in forwards.items():
            stack.callback(_restore, vars(module), vars(module).get("forward"))
            vars(module)["forward"] = forward
        yield


def _restore(attributes: dict[str, Any], forward: Forward | None) -> None:
    """Put back the forward an instance had of its own, or let the class's show again."""
    del attributes["forward"]
    if forward is not None:
        attributes["forward"] = forward
