"""Loggers: every epoch once, with the artifact's own numbers, and no other bytes in the model."""

import json
import math
import struct
import sys

import pytest

from ectool.artifacts.folder import open_folder
from ectool.config import TrainConfig
from ectool.config.stages import LOGGERS as NAMES
from ectool.errors import InputError
from ectool.stages import train
from ectool.stages.train.loggers import LOGGERS, SUFFIX, Log, check_installed
from ectool.types import SilentReporter

STATE = ("model.safetensors", "trainer.safetensors", "history.json")
MEASURES = {"loss", "accuracy", "learning_rate", "effective_sample_size"}


@pytest.fixture(scope="module")
def fit(images, data_root):
    """Train on forty tiny images for three epochs, by default."""

    def run(output, reporter=None, **given):
        options = {"data": f"imagefolder:{images}", "size": 16, "epochs": 3, "batch_size": 16}
        config = TrainConfig(output=output, device="cpu", **{**options, **given})
        return train.run(config, reporter or SilentReporter()).path

    return run


@pytest.fixture(scope="module")
def plain(fit, tmp_path_factory):
    """The model without any logger."""
    return fit(tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture
def interrupted(fit, tmp_path):
    """Return a function that trains with a logger, stopped in epoch 2 and called again."""

    class Stopping(SilentReporter):
        def note(self, message):
            if ": epoch 2 of " in message:
                raise KeyboardInterrupt

    def run(logger):
        output = tmp_path / "model"
        with pytest.raises(KeyboardInterrupt):
            fit(output, Stopping(), log=(logger,))
        return fit(output, log=(logger,))

    return run


def check(model, plain, found, artifact):
    """Check the measures by name and epoch against the artifact, and its bytes against `plain`."""
    history = json.loads((model / "history.json").read_text())
    assert found.keys() == MEASURES
    for name in ("loss", "accuracy"):
        assert found[name] == pytest.approx({e["epoch"]: e[name] for e in history}, rel=1e-6)
    assert found["effective_sample_size"] == {1: 40, 2: 40, 3: 40}
    assert found["learning_rate"][1] > found["learning_rate"][2] > found["learning_rate"][3] > 0
    assert artifact == open_folder(model, "model").id
    assert [(model / n).read_bytes() for n in STATE] == [(plain / n).read_bytes() for n in STATE]


def test_tensorboard(interrupted, plain):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = interrupted("tensorboard")
    events = EventAccumulator(str(model) + SUFFIX).Reload()
    found = {}
    for name in events.Tags()["scalars"]:
        points = events.Scalars(name)
        found[name] = {point.step: point.value for point in points}
        assert len(points) == 3
    texts = {
        name: events.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode()
        for name in ("configuration", "artifact")
    }
    check(model, plain, found, texts["artifact"])
    assert "epochs = 3" in texts["configuration"]


@pytest.mark.slow
def test_mlflow(interrupted, plain, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "curves")
    model = interrupted("mlflow")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("curves").experiment_id])
    found = {}
    for name in run.data.metrics:
        points = client.get_metric_history(run.info.run_id, name)
        found[name] = {point.step: point.value for point in points}
        assert len(points) == 3
    check(model, plain, found, run.data.tags["ectool.artifact"])
    assert run.data.params["epochs"] == "3"
    assert run.info.status == "FINISHED"


def test_store_that_mlflow_cannot_write_is_one_line(fit, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://nowhere")
    with pytest.raises(InputError, match=r"--log mlflow: .*ftp.*set MLFLOW_TRACKING_URI") as error:
        fit(tmp_path / "model", log=("mlflow",))
    assert "\n" not in str(error.value)


@pytest.mark.slow  # its service takes seconds to start
def test_wandb(fit, plain, tmp_path, monkeypatch, capfd):
    wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    model = fit(tmp_path / "model", log=("wandb",))
    wandb.teardown()
    assert capfd.readouterr().out == ""
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    found, summary, config = read_wandb(file)
    check(model, plain, found, summary["artifact"])
    assert config["epochs"] == 3


def read_wandb(file):
    """Return measures by name and step, summary and configuration of an offline run."""
    from wandb.proto.wandb_internal_pb2 import Record

    found, summary, config = {}, {}, {}
    for data in log_records(file.read_bytes()):
        record = Record.FromString(data)
        for item in record.history.item:
            name = item.key or item.nested_key[0]
            if not name.startswith("_"):
                found.setdefault(name, {})[record.history.step.num] = json.loads(item.value_json)
        summary |= {i.key: json.loads(i.value_json) for i in record.summary.update}
        config |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
    return found, summary, config


def log_records(data, block=32768, header=7, last=(1, 4)):
    """Yield the records of a file in LevelDB's log format, behind a header of seven bytes."""
    place, record = header, b""
    while place < len(data):
        if block - place % block < header:
            place += block - place % block
        _, length, kind = struct.unpack_from("<IHB", data, place)
        record += data[place + header : place + header + length]
        place += header + length
        if kind in last:
            yield record
            record = b""


def test_epochs_of_a_resumed_model_are_its_own(fit, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = fit(tmp_path / "0", until_epoch=1)
    model = fit(tmp_path / "1", resume=first, log=("tensorboard",))
    events = EventAccumulator(str(model) + SUFFIX).Reload()
    assert [point.step for point in events.Scalars("loss")] == [2, 3]


class ListLogger:
    """Logger that keeps its records."""

    def __init__(self, logged=()):
        self.logged = frozenset(logged)
        self.records = []
        self.ended = "open"

    def scalars(self, epoch, values):
        self.records.append((epoch, values))

    def close(self, artifact):
        self.ended = artifact


def test_each_logger_receives_the_epochs_that_it_lacks():
    fresh, half = ListLogger(), ListLogger({2, 3})
    log = Log(first=1)
    log.add(fresh)
    log.add(half)
    history = [{"epoch": epoch, "loss": 1 / epoch, "accuracy": math.nan} for epoch in range(1, 5)]
    log.record(history[:3])
    log.record(history)
    assert fresh.records == [(epoch, {"loss": 1 / epoch}) for epoch in (2, 3, 4)]
    assert half.records == [(4, {"loss": 1 / 4})]


@pytest.mark.parametrize("fails", [False, True])
def test_loggers_are_closed_however_training_ends(fails, monkeypatch):
    from ectool.stages.train.loggers import LoggedRun, logging

    logger = ListLogger()
    monkeypatch.setitem(LOGGERS, "list", lambda run: logger)
    try:
        with logging(["list", "list"], LoggedRun(None, "key", {})) as log:
            log.record([{"epoch": 1, "loss": 1.0}])
            assert not fails or 1 / 0
            log.artifact = "id"
    except ZeroDivisionError:
        assert fails
    assert logger.ended == (None if fails else "id")
    assert len(logger.records) == 1


def test_names_are_those_of_the_option():
    assert tuple(LOGGERS) == NAMES
    with pytest.raises(ValueError, match="any of tensorboard, mlflow, wandb"):
        TrainConfig(output="model", log="tensorbord")
    assert TrainConfig(output="model", log="wandb,mlflow,wandb").log == ("wandb", "mlflow")


def test_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "offline_runs").mkdir()  # what a logger leaves behind is no package
    for name in ("no_such_logger", "offline_runs"):
        with pytest.raises(InputError, match=rf"--log {name}: .* pip install 'ectool\[{name}\]'"):
            check_installed([name])
