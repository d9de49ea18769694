"""Forty checkpoints in small: three on thirty images, one of which is broken, or all are fine."""

from __future__ import annotations

import csv
import errno
import gc
import json
import os
import shutil
import subprocess
import sys

import pytest
import ranked

from ectool.artifacts.integrity.sealed_documents import document_problems, files_of
from ectool.artifacts.jobs import writers
from ectool.config import EvaluateConfig
from ectool.datasets import image_files as image_files
from ectool.errors import (
    BusyOutputError,
    FailedModelsError,
    OutputExistsError,
    QualityGateError,
    UsageError,
)
from ectool.models.checkpoints.checkpoint import save_weights
from ectool.models.registry import create
from ectool.stages import evaluate
from ectool.stages.evaluate import many_models as audit
from ectool.stages.evaluate.results import read_metrics, read_results

SEEDS = (0, 1, 2)
CODE = """
import errno

from ectool.models.sources.smallcnn import SmallCNN


class Broken(SmallCNN):
    def forward(self, images):
        if len(images) > 1:
            raise {error}
        return super().forward(images)


def network(num_classes):
    return Broken(num_classes)
"""


CYCLE = """
import weakref

from ectool.models.sources.smallcnn import SmallCNN

ALIVE, BEFORE = weakref.WeakSet(), []


def network(num_classes):
    BEFORE.append(len(ALIVE))
    made = SmallCNN(num_classes)
    made.cycle = [made]
    ALIVE.add(made)
    return made
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Return a list of three small networks, each with other weights."""
    root = tmp_path_factory.mktemp("zoo")
    lines = ["name,model,checkpoint,classes"]
    for seed in SEEDS:
        network = create("smallcnn", tuple("0123456789"), seed=seed, input_size=(32, 32))
        save_weights(network, root / f"{seed}.safetensors")
        lines.append(f"net {seed},smallcnn,{seed}.safetensors,10")
    (root / "models.csv").write_text("\n".join(lines))
    return root / "models.csv"


@pytest.fixture(scope="module")
def config(zoo, few_options):
    def make(output, **options):
        quick = {"suite": "classification", "bootstrap": 100, "models": str(zoo), "output": output}
        return EvaluateConfig(**{**few_options, **quick, **options})

    return make


@pytest.fixture(scope="module")
def audited(config, tmp_path_factory):
    return audit.run(config(tmp_path_factory.mktemp("audited") / "audit")).path


@pytest.fixture
def own(audited, zoo, tmp_path):
    """Return a copy that a test may change."""
    return shutil.copytree(audited, tmp_path / "audit")


@pytest.fixture
def broken(zoo, tmp_path):
    """Return a function that lists the three networks with another one in the middle."""

    def write(*cells):
        header, *rows = zoo.read_text().replace("smallcnn,", f"smallcnn,{zoo.parent}/").split("\n")
        rows.insert(1, ",".join(cells))
        path = tmp_path / "broken.csv"
        path.write_text("\n".join([header, *rows]))
        return str(path)

    return write


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def statuses(folder):
    return [(one["name"], one["status"]) for one in results_of(folder)["models"]]


def test_every_model_is_evaluated_as_if_it_were_the_only_one(audited, config, zoo, tree, tmp_path):
    single = config(
        tmp_path / "net 1",  # at the same distance from nothing: checkpoints are named by digest
        model="smallcnn",
        models="",
        checkpoint=zoo.parent / "1.safetensors",
        classes=10,
    )
    evaluate.run(single)
    ours, theirs = tree(audited / "net 1"), tree(tmp_path / "net 1")
    assert ours.keys() == theirs.keys()
    different = {name for name in ours if ours[name] != theirs[name]}
    assert all(name.endswith("manifest.json") for name in different)  # relative path of the model
    manifests = [json.loads(one["manifest.json"]) for one in (ours, theirs)]
    assert manifests[0]["key"] == manifests[1]["key"]
    assert manifests[0]["id"] == manifests[1]["id"]


def test_results_hold_every_models_own(audited, zoo):
    found = results_of(audited)
    assert (found["schema"], found["version"], found["data"]["split"]) == ("audit", 1, "all")
    assert found["configuration"]["bootstrap"] == 100
    assert not {"layer", "entry", "models"} & found["configuration"].keys()
    for seed, entry in zip(SEEDS, found["models"], strict=True):
        name = f"net {seed}"
        assert entry == {
            **{"name": name, "path": str(zoo.parent / f"{seed}.safetensors"), "status": "ok"},
            **{"error": None, "evaluation": name},
            "metrics": read_metrics(audited / name),
        }
    ids = [read_results(audited / one["evaluation"])["model"] for one in found["models"]]
    assert len({json.dumps(one) for one in ids}) == len(SEEDS)


def test_results_and_leaderboard_carry_digests(audited):
    results = audited / "results.json"
    assert files_of(results) == {audited / "leaderboard.csv"}
    assert document_problems(results) == []


def test_the_leaderboard_holds_the_same_numbers(audited):
    with (audited / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    models = results_of(audited)["models"]
    assert [(row["name"], row["status"]) for row in rows] == statuses(audited)
    for row, model in zip(rows, models, strict=True):
        assert len(row) == 2 + 3 * len(model["metrics"])
        for name, entry in model["metrics"].items():
            numbers = [float(row[name + suffix]) for suffix in ("", "_low", "_high")]
            assert numbers == [entry["value"], entry["low"], entry["high"]]


def test_again_computes_nothing_and_changes_no_file(audited, config, listener):
    paths = sorted(audited.rglob("*"))
    before = [path.stat().st_mtime_ns for path in paths]
    assert not audit.run(config(audited, batch_size=5), listener).is_new
    assert listener.notes == []
    assert listener.tasks == [("models", 3)]
    assert sorted(audited.rglob("*")) == paths
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_finding_that_out_needs_no_torch(audited, config):
    script = (
        "import sys; from ectool.config import EvaluateConfig; "
        "from ectool.stages.evaluate import many_models as audit; "
        "audit.run(EvaluateConfig.model_validate_json(sys.stdin.read())); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=config(audited).model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_images_are_decoded_once_for_all_models(config, few, tmp_path, monkeypatch):
    decoded, read = [], image_files.decoded
    monkeypatch.setattr(
        image_files, "decoded", lambda path, *given: decoded.append(path) or read(path, *given)
    )
    audit.run(config(tmp_path / "audit"))
    assert sorted(decoded) == sorted(few.glob("[0-9]/*.png"))


def test_a_network_in_a_cycle_is_gone_before_the_next_one(config, zoo, tmp_path, monkeypatch):
    (tmp_path / "audit_zoo.py").write_text(CYCLE)
    monkeypatch.syspath_prepend(tmp_path)
    rows = [f"{name},import:audit_zoo:network,{zoo.parent}/0.safetensors,10" for name in "abc"]
    models = tmp_path / "models.csv"
    models.write_text("\n".join(["name,model,checkpoint,classes", *rows]))
    gc.disable()
    try:
        audit.run(config(tmp_path / "audit", models=str(models), trust_code=True))
    finally:
        gc.enable()
    made = sys.modules.pop("audit_zoo")
    assert made.BEFORE == [0, 0, 0]
    assert (len(made.ALIVE), gc.get_freeze_count()) == (0, 0)


class TestFailures:
    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (
                ("bad", "smallcnn", "none.pth", "10"),
                "expected a state dict as safetensors or torch file",
            ),
            pytest.param(
                ("bad", "resnet18", "{}/0.safetensors", "10"),
                "0.safetensors",
                marks=pytest.mark.slow,
            ),
            (
                ("bad", "import:audit_zoo:network", "{}/0.safetensors", "10"),
                "RuntimeError: out of luck",
            ),
        ],
    )
    def test_a_model_that_fails_is_recorded_and_the_others_go_on(
        self, config, broken, zoo, tmp_path, monkeypatch, listener, cells, message
    ):
        self.write_broken_network(tmp_path, monkeypatch, "RuntimeError('out of luck')")
        models = broken(*(cell.format(zoo.parent) for cell in cells))
        with pytest.raises(FailedModelsError, match="got 1 that failed: bad; see their") as stop:
            audit.run(config(tmp_path / "audit", models=models, trust_code=True), listener)
        assert stop.value.exit_code == 3
        names = [("net 0", "ok"), ("bad", "failed"), ("net 1", "ok"), ("net 2", "ok")]
        assert statuses(tmp_path / "audit") == names
        entry = results_of(tmp_path / "audit")["models"][1]
        assert message in entry["error"]
        assert (entry["evaluation"], entry["metrics"]) == (None, {})
        assert f"bad failed: {entry['error']}" in listener.notes
        board = (tmp_path / "audit" / "leaderboard.csv").read_text().splitlines()
        assert set(board[2].removeprefix("bad,failed")) == {","}

    def test_code_that_a_list_names_does_not_run(self, config, broken, zoo, tmp_path, monkeypatch):
        self.write_broken_network(tmp_path, monkeypatch, "RuntimeError('it ran')")
        models = broken("bad", "import:audit_zoo:network", str(zoo.parent / "0.safetensors"), "10")
        with pytest.raises(FailedModelsError, match="got 1 that failed: bad"):
            audit.run(config(tmp_path / "audit", models=models))
        error = results_of(tmp_path / "audit")["models"][1]["error"]
        assert f"which would run {tmp_path / 'audit_zoo.py'}; look at this file" in error
        assert "audit_zoo" not in sys.modules

    def test_what_has_been_mended_is_all_that_is_computed(self, config, broken, zoo, own, listener):
        late = own.parent / "late.safetensors"
        models = broken("late", "smallcnn", str(late), "10")
        with pytest.raises(FailedModelsError, match="1 that failed: late"):
            audit.run(config(own, models=models))
        shutil.copy(zoo.parent / "0.safetensors", late)
        audit.run(config(own, models=models), listener)
        assert [status for _, status in statuses(own)] == ["ok"] * 4
        names = [name for name, _ in listener.tasks]
        assert names == ["models", "late: part 1 of 1: predictions"]

    def test_a_full_disk_goes_through_as_it_is(self, config, broken, zoo, tmp_path, monkeypatch):
        self.write_broken_network(tmp_path, monkeypatch, "OSError(errno.ENOSPC, 'No space left')")
        models = broken("bad", "import:audit_zoo:network", str(zoo.parent / "0.safetensors"), "10")
        with pytest.raises(OSError, match="No space left") as stop:
            audit.run(config(tmp_path / "audit", models=models, trust_code=True))
        assert stop.value.errno == errno.ENOSPC
        names = [("net 0", "ok"), ("bad", "pending"), ("net 1", "pending"), ("net 2", "pending")]
        assert statuses(tmp_path / "audit") == names

    def test_an_interrupt_loses_no_finished_model(
        self, config, broken, zoo, tmp_path, monkeypatch, tree, listener
    ):
        self.write_broken_network(tmp_path, monkeypatch, "KeyboardInterrupt")
        models = broken("bad", "import:audit_zoo:network", str(zoo.parent / "0.safetensors"), "10")
        with pytest.raises(KeyboardInterrupt):
            audit.run(config(tmp_path / "audit", models=models, trust_code=True))
        before = tree(tmp_path / "audit" / "net 0")
        audit.run(config(tmp_path / "audit"), listener)
        assert tree(tmp_path / "audit" / "net 0") == before
        parts = [f"net {number}: part 1 of 1: predictions" for number in (1, 2)]
        assert [name for name, _ in listener.tasks] == ["models", *parts]

    def test_an_evaluation_in_the_way_goes_through_as_it_is(self, config, own):
        shutil.rmtree(own / "net 1")
        shutil.copytree(own / "net 0", own / "net 1")
        with pytest.raises(OutputExistsError, match=r"net 1.*--force"):
            audit.run(config(own))

    def write_broken_network(self, folder, monkeypatch, error):
        (folder / "audit_zoo.py").write_text(CODE.format(error=error))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "audit_zoo", raising=False)


class TestOutput:
    def test_an_artifact_is_no_place_for_many_models(self, config, own):
        with pytest.raises(OutputExistsError, match="got an artifact of its own; choose another"):
            audit.run(config(own / "net 0"))

    def test_another_process_is_at_work(self, config, tmp_path):
        lock = writers.open_lock(writers.lock_of(tmp_path / "audit"))
        assert writers.try_lock(lock)
        with pytest.raises(BusyOutputError, match="expected one process writing it"):
            audit.run(config(tmp_path / "audit"))
        os.close(lock)

    def test_nothing_is_left_beside_it(self, audited):
        assert [path.name for path in audited.parent.iterdir()] == ["audit"]

    def test_a_lost_leaderboard_is_written_again(self, config, own, listener):
        before = (own / "leaderboard.csv").read_bytes()
        (own / "leaderboard.csv").unlink()
        assert audit.run(config(own), listener).is_new
        assert (own / "leaderboard.csv").read_bytes() == before
        assert listener.notes == []

    def test_further_metrics_are_all_that_is_computed(self, config, own, listener):
        assert audit.run(config(own, bootstrap=200), listener).is_new
        assert [name for name, _ in listener.tasks] == ["models"]
        assert results_of(own)["configuration"]["bootstrap"] == 200


class TestGates:
    def test_bounds_that_all_models_meet(self, config, audited):
        assert audit.run(config(audited, require=("accuracy>=0", "nll>=0"))).path == audited

    def test_the_first_model_that_misses_a_bound_is_named(self, config, audited):
        values = [one["metrics"]["nll"]["value"] for one in results_of(audited)["models"]]
        bound = f"nll<={(values[0] + min(values[1:])) / 2}"
        first = next(seed for seed in SEEDS if values[seed] > float(bound[5:]))
        with pytest.raises(QualityGateError, match=rf"^net {first}: nll: expected <= ") as stop:
            audit.run(config(audited, require=("accuracy>=0", bound)))
        assert stop.value.exit_code == 6
        assert f"net {first}" in stop.value.fix

    @pytest.mark.parametrize("bound", ["beauty>=1", "deletion<=10"])
    def test_a_bound_that_cannot_be_is_refused_before_anything_is_computed(
        self, config, tmp_path, bound
    ):
        with pytest.raises(UsageError, match="--require: expected a metric of"):
            audit.run(config(tmp_path / "audit", require=(bound,)))
        assert list(tmp_path.iterdir()) == []


def test_processes_share_the_models(config, audited, zygote_socket, tmp_path, tree):
    options = config(tmp_path / "audit").model_dump(exclude_unset=True)
    argv = [
        word
        for name, value in options.items()
        for word in (f"--{name}", value[0] if isinstance(value, tuple) else str(value))
    ]
    job = ranked.start(zygote_socket, ["evaluate", *argv, "--quiet"], 2, tmp_path)
    assert ranked.finish(job, tmp_path) == f"{tmp_path / 'audit'}\n"
    found, expected = tree(tmp_path / "audit"), tree(audited)
    assert sorted(found) == sorted(expected)
    assert [name for name in found if found[name] != expected[name]] == []
