"""The experiment file, the shell script and the Makefile are one training: equal bytes."""

import json
import resource

import pytest
from cut_experiment import CUT, ROOT, check_same, run
from recorded_ids import recorded


@pytest.fixture(scope="module")
def place(data_root, forked, tmp_path_factory):
    """A folder with the cut-down experiment file and its result from `ectool run`."""
    folder = tmp_path_factory.mktemp("chains")
    (folder / "cut.toml").write_text(CUT)
    run(folder, "ectool", "run", "cut.toml", "--output", "toml", programs=forked)
    return folder


def test_second_run_does_nothing_and_says_so_in_two_seconds(place):
    before = {path: path.stat().st_mtime_ns for path in (place / "toml").rglob("*.safetensors")}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(place, "ectool", "run", "cut.toml", "--output", "toml")
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, because the time on the clock depends on what else the machine is doing.
    assert now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime < 2
    assert "up to date" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in (place / "toml").rglob("*.safetensors")} == before


def test_shell_script_gives_the_same_bytes(place, forked):
    script = str(ROOT / "pipelines/digits.sh")
    run(place, "sh", script, "cut.toml", "shell", programs=forked)
    check_same(place, "shell")
    results = "seed-0/consistency/eval/results.json"
    assert json.loads((place / "shell" / results).read_text()) == json.loads(
        (place / "toml" / results).read_text()
    )


@pytest.mark.slow
def test_makefile_gives_the_same_bytes(place, forked):
    mk = str(ROOT / "pipelines/digits.mk")
    run(place, "make", "-f", mk, "models", "CONFIG=cut.toml", "OUT=make", programs=forked)
    check_same(place, "make")


class TestRecordedIds:
    """The artifacts are those that an earlier version wrote: nothing is computed anew."""

    recorded = json.loads((ROOT / "tests/pipelines/digits_ids.json").read_text())

    def parts(self, found, what):
        return {name: artifact[what] for name, artifact in found["artifacts"].items()}

    def test_recipes(self, place):
        found = recorded(place / "toml")
        assert self.parts(found, "recipe") == self.parts(self.recorded, "recipe")

    def test_ids(self, place):
        found = recorded(place / "toml")
        if found["arithmetic"] != self.recorded["arithmetic"]:
            pytest.skip(f"recorded with other arithmetic: {self.recorded['arithmetic']}")
        assert self.parts(found, "id") == self.parts(self.recorded, "id")
