"""Valid inputs that need torch: checkpoints and programs. Runs in a process of the zygote."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

SIDE = 16


class Hostile:
    """An object whose unpickling writes a file into the canary folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("open('canary/executed', 'w').close()",)


def main(argv: list[str]) -> None:
    base = Path(argv[0])
    for make in (checkpoints, programs, code, clip):
        make(base)
    sys.exit(0)


def checkpoints(base: Path) -> None:
    """Write the weights of a network in every container."""
    import torch
    from safetensors.torch import save_file

    from ectool.models.registry import create

    network = create("smallcnn", ["dark", "light"], seed=0, input_size=(SIDE, SIDE)).network
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    folder = base / "weights"
    folder.mkdir()
    torch.save(state, folder / "plain.pt")
    torch.save({"state_dict": state, "epoch": 3}, folder / "nested.ckpt")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(state, folder / "new.pt", pickle_protocol=5)
    torch.save({"state_dict": state, "more": Hostile()}, folder / "hostile.pt")
    (folder / "hostile.bin").write_bytes(pickle.dumps(Hostile()))
    save_file(state, folder / "plain.safetensors")
    shards = folder / "shards"
    shards.mkdir()
    names = sorted(state)
    halves = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: state[name] for name in part}, shards / file)
    places = {name: file for file, part in halves.items() for name in part}
    index = {"metadata": {}, "weight_map": places}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))


def programs(base: Path) -> None:
    """Write a tiny network as TorchScript and as an exported program."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()  # fmt: skip
    images = torch.zeros(2, 3, SIDE, SIDE)
    folder = base / "programs"
    folder.mkdir()
    torch.jit.trace(network, images).save(folder / "script.pt")
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "program.pt2")


CODE = """
from torch import nn


def network(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, num_classes),
    )
"""


def clip(base: Path) -> None:
    """Write a small network of open_clip, with its weights and prompts."""
    from small_clips import written

    (base / "clip").mkdir()
    written(base / "clip", "vit")


def code(base: Path) -> None:
    (base / "code").mkdir()
    (base / "code/net.py").write_text(CODE)
