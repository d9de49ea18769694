"""Hostile inputs that were found once: each ends with the exit code that it should end with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fuzz.cases import case_folder, tasks_of
from fuzz.corpus import make_corpus
from fuzz.model import Variant, step
from fuzz.runner import Workplace
from fuzz.verdicts import judge

FOLDER = Path(__file__).with_name("found")


class Found(NamedTuple):
    """A file in `found/`, a command that reads it as `{x}`, and its exit code."""

    name: str
    command: str
    code: int


CONFIG = "score --config {x} --heatmaps base/light.zarr --output out/weights.zarr"
CHECK = "data check csv:{x} --json"
FOUND = (
    Found("deep.toml", CONFIG, 3),
    Found("digits.toml", CONFIG, 3),
    Found("trust.toml", CONFIG, 2),
    Found("escape.toml", CONFIG, 2),
    Found("null.zarr", "inspect {x}", 3),
    Found("latin.csv", CHECK, 5),
    Found("names.csv", CHECK, 5),
    Found("names.csv", "data info csv:{x}", 3),
)


def test_found_inputs(zygote_socket, tmp_path):
    place = Workplace(tmp_path, zygote_socket)
    make_corpus(place, ["light"])
    for number, found in enumerate(FOUND):
        variant = Variant(str(FOLDER / found.name), (step(found.command),))
        with case_folder(place, f"found-{number}", variant) as folder:
            outcome = place.run(tasks_of(place, folder, variant))["0"]
        assert (found.name, outcome.code, judge(variant.steps[0], outcome, None)) == (
            found.name,
            found.code,
            [],
        )


def test_every_file_is_read():
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {found.name for found in FOUND}
