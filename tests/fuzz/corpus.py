"""The valid inputs, made once with ectool itself."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from . import files, pointers
from .runner import Task, Workplace
from .zygotes import Command

DATA = f"--data imagefolder:base/images --size {files.SIDE}"
BASE = (
    f"train {DATA} --model smallcnn --epochs 2 --output base/model",
    f"train {DATA} --model smallcnn --epochs 2 --until-epoch 1 --output base/half",
    f"perturb {DATA} --model base/model --shard-size 8 --steps 1 --output base/adv.zarr",
    "explain --model base/model --samples base/adv.zarr --shard-size 8 --output base/cams.zarr",
    "score --heatmaps base/cams.zarr --output base/weights.zarr",
)
ARRAYS = (
    f"data materialize imagefolder:base/images --size {files.SIDE} --shard-size 8 "
    "--output base/stored.zarr",
    *(f"convert base/{name}.zarr base/{name}.h5" for name in ("adv", "cams", "weights", "stored")),
)
EVALUATE = f"evaluate {DATA} --split validation --suite classification"
EVALUATIONS = tuple(
    f"{EVALUATE} --model base/{model} --output base/{output}"
    for model, output in (("model", "eval"), ("half", "eval-half"))
)
STUDY = "validity base/toml/study.toml --output base/validity"
RUN = ("run base/toml/experiment.toml --output base/run",)
PERTURB = f"perturb {DATA} --model base/model --shard-size 4 --steps 1"
CUT = {
    "cut-adv": f"{PERTURB} --output base/cut-adv/x.zarr",
    "cut-h5": f"{PERTURB} --output base/cut-h5/x.h5",
    "cut-train": f"train {DATA} --model smallcnn --epochs 3 --output base/cut-train/x",
    "cut-eval": f"{EVALUATE},stability --subset 4 --model base/model --output base/cut-eval/x",
}
"""Commands that are killed before they end; each writes into a folder of its name."""
JOBS = tuple(f"{PERTURB} --shard {part}/2 --output base/jobs/x.zarr" for part in (1, 2))
MOMENTS = (20, 30, 45, 68, 101, 152, 228, 342)
UNFINISHED = ".partial-"
PATIENCE = 120
"""Time limit of a command that makes a valid input, in seconds."""


def command_lines(*lines: str) -> Callable[[Workplace], None]:
    return lambda place: run(place, lines)


def module(name: str) -> Callable[[Workplace], None]:
    """Return the call of a module of this package in a process of the zygote."""

    def call(place: Workplace) -> None:
        log = place.root / "module.log"
        with log.open("wb") as out:
            streams = (out.fileno(), out.fileno())
            place.base.mkdir(exist_ok=True)
            base = str(place.base)
            if Command(place.address, [base], streams, module=f"fuzz.{name}").wait():
                raise RuntimeError(log.read_text())

    return call


def cut(place: Workplace) -> None:
    """Kill commands at the latest moment at which they leave an unfinished output."""
    for name, line in CUT.items():
        folder = place.base / name
        for moment in MOMENTS:
            folder.mkdir()
            code = killed(place, line, folder, moment)
            if code == 0 or not any(UNFINISHED in path.name for path in folder.iterdir()):
                break
            files.replace(folder, folder.with_name(f"{name}-last"))
        files.replace(folder.with_name(f"{name}-last"), folder)


def killed(place: Workplace, line: str, folder: Path, moment: int) -> int:
    """Run a command that is killed before its Nth change in a folder; return its exit code."""
    here = making(place)
    with (place.root / "cut.log").open("wb") as log:
        return Command(
            place.address,
            [*shlex.split(line.replace("base/cut", f"{folder.parent}/cut")), "-q"],
            (log.fileno(), log.fileno()),
            cwd=str(here),
            environment=place.environment(here),
            folder=str(folder),
            crash_at=moment,
        ).wait()


def remote(place: Workplace) -> None:
    """Make the pointer of heatmaps that are served; the address is another one each time."""
    shutil.rmtree(place.base / "pointer.zarr", ignore_errors=True)
    address = f"{place.url}/base/cams.zarr"
    pointers.write_pointer(place.base / "cams.zarr", address, place.base / "pointer.zarr")


def basics(place: Workplace) -> None:
    """Make what all groups need: images, two models, and what was made with them."""
    for name in ("data", "matplotlib"):
        (place.base / name).mkdir(parents=True)
    files.write(place.base)
    run(place, BASE)


GROUPS: dict[str, Callable[[Workplace], None]] = {
    "base": basics,
    "light": module("light_corpus"),
    "arrays": command_lines(*ARRAYS),
    "evaluations": command_lines(*EVALUATIONS),
    "run": command_lines(*RUN),
    "cut": cut,
    "jobs": command_lines(*JOBS),
    "torch": module("torch_corpus"),
    "published": module("published"),
    "remote": remote,
    "validity": command_lines(STUDY),
}


def make_corpus(place: Workplace, groups: Collection[str]) -> None:
    """Make those valid inputs in the folder `base` of a workplace that are not there yet."""
    for name in groups:
        made = place.root / f"made-{name}"
        if name == "remote" or not made.exists():
            GROUPS[name](place)
            made.touch()


def run(place: Workplace, lines: Collection[str]) -> None:
    """Run command lines of ectool one after the other; all must succeed."""
    here = making(place)
    tasks = {str(n): Task(here, [*shlex.split(line), "-q"]) for n, line in enumerate(lines)}
    for number, outcome in place.run(tasks, PATIENCE).items():
        if outcome.code != 0:
            raise RuntimeError(f"{tasks[number].argv}: {outcome.err.decode(errors='replace')}")


def making(place: Workplace) -> Path:
    """Return the folder that commands run in to make inputs."""
    folder = place.root / "making"
    if not folder.exists():
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "base").symlink_to("../base")
    return folder
