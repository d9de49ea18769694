"""Parts of a work, as jobs of an array name them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.config import ExplainConfig, PerturbConfig
from ectool.config.parts import Part, parse_part
from ectool.errors import UsageError
from ectool.settings import validate

GIVEN = {"model": "m", "output": "a.zarr"}


@given(st.integers(1, 20), st.integers(0, 200))
def test_parts_are_equal_runs_that_cover_everything(count, total):
    parts = [Part(number, count).of(total) for number in range(1, count + 1)]
    assert [item for part in parts for item in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_text_and_part():
    assert parse_part("02/8") == Part(2, 8)
    assert str(Part(2, 8)) == "2/8"


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_what_is_no_part(text):
    with pytest.raises(UsageError, match=r"--shard: expected I/N with 1 <= I <= N, such as 2/8"):
        validate(PerturbConfig, {**GIVEN, "shard": text}, "perturb")


@pytest.mark.parametrize("model", [PerturbConfig, ExplainConfig])
def test_neither_part_nor_number_of_processes_is_in_the_key(model):
    whole = model(model="m", output=Path("a.zarr"))
    part = model(model="m", output=Path("a.zarr"), shard="1/2", nproc=3)
    assert part.keyed() == whole.keyed()
    assert (whole.part, part.part) == (None, Part(1, 2))


def test_jobs_that_could_disagree_are_refused():
    with pytest.raises(UsageError, match="--resume: expected a command without --shard, got both"):
        PerturbConfig(**GIVEN, shard="1/2", resume=True)
    with pytest.raises(UsageError, match="--precision auto: expected a command without --shard"):
        ExplainConfig(**GIVEN, shard="1/2", precision="auto")
