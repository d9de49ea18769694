"""A miniature experiment on forty tiny images, and the files that are refused at once."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.folder import open_folder
from ectool.config import PerturbConfig, RunConfig, ScoreConfig, TrainConfig, VerifyConfig
from ectool.errors import InputError, OutputExistsError, UsageError
from ectool.stages import run as experiment
from ectool.stages.common.layout import EXPERIMENT_FILE, ExperimentRecord
from ectool.stages.run import plan
from ectool.stages.tools import verify

FILE = """
[defaults]
data = "imagefolder:{images}"
size = 16

[experiment]
title = "Miniature"
seeds = [3]
warmup = 0.5

[experiment.arms.plain]

[experiment.arms.consistency]
reweight = "consistency"

[experiment.arms.weights_only]
reweight = "consistency"
samples = false
perturb = {{ eps = "2/255" }}
explain = {{ targets = "prediction" }}
score = {{ gamma = 2.0 }}

[train]
epochs = 2
batch_size = 16

[perturb]
steps = 1
eps = "8/255"

[evaluate]
split = "train"
suite = ["classification", "robustness", "stability"]
attacks = ["pgd"]
steps = 1
eps = "2/255"
eps_l2 = []
corruptions = []
explainers = []
subset = 4
bootstrap = 100
"""


class Recorder:
    """Reporter that keeps tasks, notes and warnings."""

    def __init__(self):
        self.tasks, self.notes, self.warnings = [], [], []

    @contextmanager
    def task(self, description, total):
        self.tasks.append(description)
        yield lambda _: None

    def note(self, message):
        self.notes.append(message)

    def warn(self, message):
        self.warnings.append(message)


@pytest.fixture(scope="module")
def file(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "mini.toml"
    path.write_text(FILE.format(images=images))
    return path


def start(file, reporter, **given):
    config = RunConfig(
        file=file, output=file.parent / "out", device="cpu", threads=1, report=False, **given
    )
    return experiment.run(config, reporter)


@pytest.fixture(scope="module")
def first(file, data_root):
    """Outcome of the first call; its folder is `done`."""
    return start(file, Recorder())


@pytest.fixture(scope="module")
def done(first, file):
    return file.parent / "out"


def opened(tmp_path, text, **given):
    path = tmp_path / "e.toml"
    path.write_text(text)
    return plan.open_experiment(RunConfig(file=path, **given))


def recipe(path):
    if path.suffix == ".zarr":
        with Artifact(path) as artifact:
            return artifact.manifest.recipe
    return open_folder(path, None).recipe


def roles(path):
    return {parent.role: parent.path for parent in recipe(path).parents}


class TestRun:
    def test_layout(self, done):
        found = {
            path.parent.relative_to(done).as_posix()
            for path in done.rglob("manifest.json")
            if "/eval/" not in path.as_posix()
        }
        rounds = [
            f"seed-3/{arm}/1/{name}"
            for arm in ("consistency", "weights_only")
            for name in ("adv.zarr", "cams.zarr", "weights.zarr", "model")
        ]
        evaluations = [f"seed-3/{arm}/eval" for arm in ("plain", "consistency", "weights_only")]
        expected = ["seed-3/warmup/model", "seed-3/plain/model", *rounds, *evaluations]
        assert found | set(evaluations) == set(expected)
        assert all((done / path / "results.json").exists() for path in evaluations)
        assert not list(done.rglob("*.partial-*"))

    def test_all_of_it_is_verified(self, done):
        found = verify.run(VerifyConfig(paths=(done,))).document["artifacts"]
        assert {one["state"] for one in found} == {"intact"}
        assert {"experiment", "evaluation", "model", "weights"} <= {one["kind"] for one in found}

    def test_record(self, done):
        record = ExperimentRecord.model_validate_json((done / EXPERIMENT_FILE).read_bytes())
        assert (record.title, record.reference) == ("Miniature", "plain")
        assert (record.epochs, record.warmup_epochs, record.every) == (2, 1, 1)
        assert record.seeds == (3,)
        assert record.arms["weights_only"]["score"] == {"gamma": 2.0}
        assert [(run.seed, run.arm, len(run.rounds)) for run in record.runs] == [
            (3, "plain", 0),
            (3, "consistency", 1),
            (3, "weights_only", 1),
        ]
        for run in record.runs:
            assert recipe(done / run.model).kind == "model"
            assert recipe(done / run.evaluation).kind == "evaluation"
            assert all((done / path / "weights.zarr").exists() for path in run.rounds)

    def test_arms_share_the_warm_up(self, done):
        assert recipe(done / "seed-3/warmup/model").config["until_epoch"] == 1
        for arm in ("consistency/1", "weights_only/1"):
            assert roles(done / "seed-3" / arm / "model")["resume"] == "../../warmup/model"
        assert roles(done / "seed-3/plain/model") == {"resume": "../warmup/model"}

    def test_arms_differ_in_what_training_sees(self, done):
        both = {"resume", "weights", "samples"}
        assert set(roles(done / "seed-3/consistency/1/model")) == both
        assert set(roles(done / "seed-3/weights_only/1/model")) == both - {"samples"}

    def test_every_model_is_trained_to_the_end_and_evaluated(self, done):
        for model in ("plain", "consistency/1", "weights_only/1"):
            history = json.loads((done / "seed-3" / model / "model/history.json").read_text())
            assert [record["epoch"] for record in history] == [1, 2]
        assert roles(done / "seed-3/weights_only/eval") == {"model": "1/model"}

    def test_tables_and_overrides_reach_the_stages(self, done):
        base = done / "seed-3"
        names = ("adv.zarr", "cams.zarr", "weights.zarr")
        plain = [recipe(base / "consistency/1" / name).config for name in names]
        other = [recipe(base / "weights_only/1" / name).config for name in names]
        assert (plain[0]["eps"], other[0]["eps"]) == (8 / 255, 2 / 255)
        assert (plain[1]["targets"], other[1]["targets"]) == ("label", "prediction")
        assert (plain[2]["gamma"], other[2]["gamma"]) == (1.0, 2.0)
        assert plain[0]["steps"] == other[0]["steps"] == 1
        assert {config["seed"] for config in (plain[0], other[0])} == {3}
        assert recipe(base / "warmup/model").config["batch_size"] == 16

    def test_again_computes_nothing(self, done, file, tree, first):
        before, recorder = tree(done), Recorder()
        again = start(file, recorder)
        assert recorder.tasks == ["run"]
        assert (again.path, again.is_new) == (done, False)
        assert recorder.notes == []
        told = [text for text in recorder.warnings if "without debiasing" not in text]
        assert len(told) == len(again.findings) == len({one.name for one in again.findings})
        assert tree(done) == before
        assert first.is_new

    def test_another_configuration_stops_at_what_is_there(self, done, file, tree):
        before = tree(done)
        changed = file.with_name("changed.toml")
        changed.write_text(file.read_text().replace("batch_size = 16", "batch_size = 8"))
        with pytest.raises(OutputExistsError, match="warmup/model"):
            start(changed, Recorder())
        assert tree(done) == before


MINIMAL = '[experiment.arms.plain]\n[experiment.arms.weighted]\nreweight = "consistency"\n'


class TestRefused:
    """Before anything is computed."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[train]\nepochs = 2\n", r"expected a table \[experiment\], got none"),
            ("[experiment]\nseeds = [0]\n", r"\[experiment\] arms: expected a value, got none"),
            (MINIMAL + "[experiments]\n", "experiments: expected a table named"),
            (MINIMAL + "[experiment]\nwarm = 1\n", r"\[experiment\] warm: expected one of title"),
            (MINIMAL + "sample = false\n", r"arms.weighted.sample: expected one of reweight"),
            (MINIMAL + "score = { gama = 1 }\n", "gama: expected one of .*gamma"),
            (MINIMAL + "score = { gamma = -1 }\n", "--gamma: expected greater than or equal to 0"),
            (MINIMAL + "perturb = { eps = 2 }\n", "--eps: expected less than or equal to 1"),
            (MINIMAL + "explain = { seed = 2 }\n", r"arms.weighted.explain\] seed: expected opt"),
            (MINIMAL + "perturb = { seed = 2 }\n", r"arms.weighted.perturb\] seed: expected opt"),
            (MINIMAL + "score = { output = 'x' }\n", r"weighted.score\] output: expected options"),
            (MINIMAL + "[evaluate]\nsteps = 0\n", "--steps: expected greater than or equal to 1"),
            (MINIMAL + "[evaluate]\nmd = 'a.md'\n", r"\[evaluate\] md: expected no file, because"),
            (MINIMAL + "[train]\nepoch = 3\n", "epoch: expected one of"),
            (MINIMAL + "[defaults]\nepoch = 3\n", r"\[defaults\] epoch: expected an option"),
            (MINIMAL + "[train]\nepochs = 1\n", r"\[experiment\] warmup: expected at least one of"),
            (MINIMAL + "[experiment]\nwarmup = 0.99\n", "got 30 of warm-up; shorten the warm-up"),
        ],
    )
    def test_is_one_line_that_names_the_place(self, text, message, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError, match=message):
            opened(tmp_path, text)
        assert [path.name for path in tmp_path.iterdir()] == ["e.toml"]

    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match="expected a TOML file"):
            plan.open_experiment(RunConfig(file=tmp_path / "no.toml"))


class TestOpen:
    def test_writes_into_a_folder_of_the_files_name(self, tmp_path):
        assert opened(tmp_path, MINIMAL).folder == Path("run/e")
        assert opened(tmp_path, MINIMAL, output=tmp_path / "x").folder == tmp_path / "x"

    @pytest.mark.parametrize(
        ("epochs", "share", "warmup"),
        [(30, 0.2, 6), (10, 0.25, 3), (2, 0.5, 1), (5, 0.0, 1), (25, 0.28, 7), (3, 0.34, 2)],
    )
    def test_warm_up_is_rounded_up_to_whole_epochs(self, epochs, share, warmup, tmp_path):
        text = MINIMAL + f"[experiment]\nwarmup = {share}\n[train]\nepochs = {epochs}\n"
        assert opened(tmp_path, text).schedule == (epochs, warmup)

    def test_machine_of_the_command_line_goes_before_the_file(self, tmp_path):
        text = MINIMAL + '[defaults]\ndevice = "cuda"\nthreads = 3\n'
        found = opened(tmp_path, text, device="cpu")
        config = found.stage(TrainConfig, "train", output="o")
        assert (config.device, config.threads, config.force) == ("cpu", 3, False)

    def test_an_arm_of_another_attack_drops_what_that_does_not_listen_to(self, tmp_path):
        text = MINIMAL + "[perturb]\neps = 0.1\nsteps = 4\nmask = 'otsu'\n"
        arm = "[experiment.arms.blurred]\nreweight = 'consistency'\nperturb.attack = 'blur'\n"
        found = opened(tmp_path, text + arm)
        changed = found.config.arms["blurred"].perturb
        config = found.stage(PerturbConfig, "perturb", model="m", output="o", **changed)
        assert (config.attack, config.steps, config.mask) == ("blur", None, "otsu")
        table = found.stage(PerturbConfig, "perturb", model="m", output="o")
        assert (table.attack, table.steps, table.eps) == ("pgd", 4, 0.1)

    def test_force_reaches_the_stages(self, tmp_path):
        found = opened(tmp_path, MINIMAL, force=True)
        assert found.stage(ScoreConfig, "score", heatmaps="h").force


@pytest.mark.parametrize(
    ("warmup", "epochs", "every", "stops"),
    [
        (0.25, 4, 1, [2, 3, 4]),
        (0.1, 6, 2, [3, 5, 6]),
        (0.3, 6, 2, [4, 6]),
        (0.3, 3, 10, [3]),
    ],
)
def test_the_last_round_is_as_long_as_what_is_left(tmp_path, warmup, epochs, every, stops):
    text = f"[experiment]\nwarmup = {warmup}\nevery = {every}\n[experiment.arms.a]\n"
    found = opened(tmp_path, f"{text}[train]\nepochs = {epochs}\n")
    assert found.stops == stops


def test_an_arm_has_an_objective_of_its_own(images, data_root, tmp_path):
    text = FILE.format(images=images)
    kept, _, others = text.partition("[experiment.arms.plain]")
    rest = others[others.index("\n[train]") :].replace(', "robustness", "stability"', "")
    arm = '[experiment.arms.online.train]\nobjective = "ec"\n'
    (tmp_path / "online.toml").write_text(kept + arm + rest)
    done = start(tmp_path / "online.toml", Recorder()).path
    model = recipe(tmp_path / "out/seed-3/online/model")
    assert done == tmp_path / "out"
    assert (model.config["objective"], model.config["mix"]) == ("ec", 1.0)
    assert model.parents == ()
    assert not (tmp_path / "out/seed-3/warmup").exists()
