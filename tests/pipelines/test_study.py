"""The study: its grids are valid, its jobs resume, and its numbers are those of the definitions."""

import itertools
import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.study import code, collect, grid, job, plots, pool, tuning
from docs import make_study
from ectool.config import EvaluateConfig, RunConfig
from ectool.config.objectives import OBJECTIVE_OPTIONS
from ectool.errors import InputError, UsageError
from ectool.settings import validate
from ectool.stages.run.plan import open_experiment

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "pipelines/study").glob("*.toml"))
GRIDS = [path for path in FILES if "cells" in tomllib.loads(path.read_text())]
OBJECTIVES = """
[erm]
role = "reference"
settings = [{}, { train = { lr = 0.1 } }]
[focal]
role = "rival"
train = { objective = "focal" }
settings = [{ train = { gamma = 1.0 } }, { train = { gamma = 4.0 } }]
[published]
role = "ours"
reweight = "consistency"
warmup = 0.5
settings = [{}]
"""
GRID = """
[study]
title = "Miniature"
objectives = "objectives.toml"
tuned = "tuned.json"
writes = "tuned.json"
cut = "Cut to a miniature."
metrics = ["accuracy@original", "accuracy@mixed_rand", "explanation_consistency", "ece"]
headline = ["accuracy@mixed_rand", "ece"]
main = ["erm", "rival", "published"]
[study.quick]
cells = ["tiny-16"]
arms = ["erm"]
seeds = [0]
[tables.defaults]
data = "imagefolder:{images}"
rho = 0.5
[tables.train]
model = "smallcnn"
epochs = 2
batch_size = 16
[tables.perturb]
steps = 1
[tables.evaluate]
split = "train"
suite = ["classification", "stability"]
explainers = []
subset = 4
bootstrap = 100
steps = 1
[tables.strong]
suite = ["classification"]
limit = 8
[[cells]]
name = "tiny"
over = {{ "defaults.size" = [16, 24] }}
arms = "all"
seeds = [0, 1]
"""


@pytest.fixture
def tiny(images, tmp_path):
    """A grid of three arms on forty tiny images."""
    return written(images, tmp_path)


def written(images, folder):
    (folder / "objectives.toml").write_text(OBJECTIVES)
    (folder / "grid.toml").write_text(GRID.format(images=images))
    return grid.read_grid(folder / "grid.toml")


@pytest.fixture(scope="module")
def finished(images, data_root, tmp_path_factory):
    """Grid, folder and result of a finished job with rounds."""
    folder = tmp_path_factory.mktemp("study")
    found = written(images, folder)
    one = find(found, arm="published", cell="tiny-16", seed=0)
    return found, one, folder / "out", job.run_job(one, folder / "out")


def find(of, **wanted):
    (one,) = (j for j in of.jobs() if all(getattr(j, k) == v for k, v in wanted.items()))
    return one


class TestFiles:
    @pytest.mark.parametrize(
        "path",
        [pytest.param(p, marks=pytest.mark.slow if p.stem == "whole" else ()) for p in GRIDS],
        ids=lambda path: path.stem,
    )
    def test_every_arm_and_every_cell_is_valid(self, path, tmp_path):
        jobs = grid.read_grid(path).jobs()
        arms, cells = ({getattr(one, key): one for one in jobs} for key in ("arm", "cell"))
        for one in (*arms.values(), *cells.values()):
            (tmp_path / "e.toml").write_text(grid.to_toml(one.document))
            open_experiment(RunConfig(file=tmp_path / "e.toml", output=tmp_path, trust_code=True))
            for table in one.evaluations.values():
                values = {**job.known(table), "model": "m", "output": tmp_path}
                validate(EvaluateConfig, values, "evaluate")

    def test_every_arm_has_the_same_budget_at_most(self):
        arms = grid.read_toml(ROOT / "pipelines/study/objectives.toml")
        assert all(1 <= len(arm["settings"]) <= 6 for arm in arms.values())

    def test_every_objective_has_an_arm(self):
        arms = grid.read_toml(ROOT / "pipelines/study/objectives.toml")
        named = {arm.get("train", {}).get("objective", "erm") for arm in arms.values()}
        assert named == set(OBJECTIVE_OPTIONS)

    def test_the_quick_study_is_a_part_of_the_whole(self):
        whole = grid.read_grid(ROOT / "pipelines/study/study.toml")
        digests = {one.digest for one in whole.jobs()}
        assert len(whole.quick()) >= 4
        assert all(one.digest in digests for one in whole.quick())


class TestGrid:
    def test_one_job_for_each_cell_seed_and_arm(self, tiny):
        jobs = tiny.jobs()
        cells, arms = ("tiny-16", "tiny-24"), ("erm", "focal", "published")
        expected = itertools.product(cells, (0, 1), arms)
        assert [(one.cell, one.seed, one.arm) for one in jobs] == list(expected)
        assert len({one.digest for one in jobs}) == len({one.folder for one in jobs}) == 12
        assert [one.folder for one in tiny.quick()] == [Path("tiny-16/erm/seed-0")]

    def test_documents_merge_tables_and_schedule(self, tiny):
        one = find(tiny, arm="published", cell="tiny-24", seed=1)
        experiment = one.document["experiment"]
        assert one.document["defaults"]["size"] == 24
        assert one.document["defaults"]["rho"] == 0.5
        assert (experiment["warmup"], experiment["seeds"]) == (0.5, [1])
        assert experiment["arms"] == {"published": {"reweight": "consistency"}}
        assert set(one.evaluations) == {"eval", "strong"}
        assert one.evaluations["strong"]["limit"] == 8
        assert one.evaluations["strong"]["split"] == "train"

    def test_toml_is_read_back(self, tiny):
        for one in tiny.jobs():
            assert tomllib.loads(grid.to_toml(one.document)) == one.document

    def test_a_tuning_has_one_arm_for_each_setting(self, tiny):
        tiny.study["tuning"] = True
        found = {one.arm: one for one in tiny.jobs() if one.seed == 0}
        assert list(found) == ["erm-0", "erm-1", "focal-0", "focal-1", "published-0"]
        arm = found["focal-1"].document["experiment"]["arms"]["focal-1"]
        assert arm == {"train": {"objective": "focal", "gamma": 4.0}}

    def test_chosen_settings_are_used(self, images, tmp_path):
        chosen = {"arms": {"focal": {"setting": {"train": {"gamma": 4.0}}}}}
        (tmp_path / "tuned.json").write_text(json.dumps(chosen))
        one = find(written(images, tmp_path), arm="focal", cell="tiny-16", seed=0)
        options = one.document["experiment"]["arms"]["focal"]["train"]
        assert options == {"objective": "focal", "gamma": 4.0}

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('arms = "all"', 'arms = "some"', "arms of tiny-16: expected any of all"),
            ('arms = "all"', 'arms = ["erm", "mixup"]', "got mixup"),
            ("[tables.train]", "[tables.training]", "tables: expected any of"),
        ],
    )
    def test_unknown_names_are_refused(self, images, tmp_path, old, new, message):
        (tmp_path / "objectives.toml").write_text(OBJECTIVES)
        (tmp_path / "g.toml").write_text(GRID.format(images=images).replace(old, new))
        with pytest.raises(UsageError, match=message):
            grid.read_grid(tmp_path / "g.toml")


class TestJob:
    def test_the_result_holds_numbers_versions_and_cost(self, finished):
        _, one, _, result = finished
        assert (result["cell"], result["arm"], result["seed"]) == ("tiny-16", "published", 0)
        assert result["code"] == job.versions_of(one)
        assert {"accuracy@original", "heatmap_similarity", "ece"} <= set(result["metrics"])
        assert 0 < result["seconds"]["train"] < 60
        assert result["passes"]["forward"] > result["passes"]["backward"] > 2 * 24

    def test_only_the_model_and_results_are_kept(self, finished):
        _, one, root, _ = finished
        folder = root / one.folder
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert not any("zarr" in name for name in files)
        assert {"result.json", "eval/results.json", "strong/results.json"} <= files
        assert "model/model.safetensors" in files
        assert not (folder / "run").exists()

    def test_finished_jobs_are_skipped(self, finished):
        found, one, root, _ = finished
        left = pool.unfinished(found.jobs(), root, replace=False)
        assert one not in left
        assert len(left) == 11

    def test_a_job_of_other_options_begins_anew(self, finished, tmp_path):
        _, one, root, _ = finished
        shutil.copytree(root / one.folder, tmp_path / one.folder)
        job._begin(one, tmp_path / one.folder)
        assert (tmp_path / one.folder / "result.json").exists()
        (tmp_path / one.folder / job.DIGEST).write_text("of other options")
        job._begin(one, tmp_path / one.folder)
        assert sorted(p.name for p in (tmp_path / one.folder).iterdir()) == [job.DIGEST, job.FILE]

    def test_results_of_another_version_are_refused_until_replaced(self, finished, tmp_path):
        found, one, root, result = finished
        shutil.copytree(root / one.folder, tmp_path / one.folder)
        older = {**result, "code": {**result["code"], "shared": "older"}}
        (tmp_path / one.folder / job.RESULT).write_text(json.dumps(older))
        with pytest.raises(InputError, match=r"1 of another, the first tiny-16/published/seed-0"):
            pool.unfinished(found.jobs(), tmp_path, replace=False)
        assert one in pool.unfinished(found.jobs(), tmp_path, replace=True)
        assert not (tmp_path / one.folder / job.DIGEST).exists()

    def test_an_error_of_one_job_is_its_result(self, tiny, tmp_path):
        one = find(tiny, arm="erm", cell="tiny-16", seed=0)
        one.document["defaults"]["data"] = "imagefolder:missing"
        assert "missing" in pool.attempt(one, tmp_path)["error"]
        assert "missing" in job.read_error(tmp_path / one.folder)
        assert pool.unfinished([one], tmp_path, replace=False) == [one]

    def test_one_call_at_a_time(self, tmp_path):
        with (
            pool.locked(tmp_path),
            pytest.raises(InputError, match="another at work"),
            pool.locked(tmp_path),
        ):
            pass


class TestCode:
    def test_an_objective_has_its_own_version(self):
        versions = {name: code.objective_version(name) for name in ("erm", "focal", "adversarial")}
        assert len(set(versions.values())) == 3
        files = code._with_imports(code.OWN / "adversarial_background.py")
        assert code.OWN / "adversarial.py" in files

    def test_options_are_compared_with_their_defaults(self):
        default = code.options_version({"objective": "focal", "lr": 0.1})
        assert default == code.options_version({"objective": "focal", "gamma": 2.0})
        assert default != code.options_version({"objective": "focal", "gamma": 1.0})


def results(of, values):
    """Return synthetic results: values by arm, metric and seed."""
    code = {"shared": "s", "objective": "o", "options": "p"}
    for one in of.jobs():
        metrics = {name: by_seed[one.seed] for name, by_seed in values[one.arm].items()}
        yield {
            **{"cell": one.cell, "arm": one.arm, "seed": one.seed, "objective": one.arm},
            **{"digest": one.digest, "code": code, "commit": "c", "machine": "m"},
            "versions": dict.fromkeys(("ectool", "torch", "torchvision", "numpy"), "1"),
            "seconds": {"train": 10.0, "evaluate": 2.0},
            "passes": {"forward": 1000, "backward": 1000},
            "metrics": metrics,
        }


@pytest.fixture
def collected(tiny, tmp_path):
    """Grid, folder and synthetic values of four seeds; written as results."""
    for cell in tiny.cells:
        cell["seeds"] = [0, 1, 2, 3]
    draw = np.random.default_rng(0).random
    names = tiny.study["metrics"]
    values = {arm: {name: draw(4).round(5) for name in names} for arm in tiny.arms}
    for result in results(tiny, values):
        path = tmp_path / "out" / Path(result["cell"], result["arm"], f"seed-{result['seed']}")
        path.mkdir(parents=True)
        (path / job.RESULT).write_text(json.dumps(result))
    return tiny, tmp_path / "out", values


class TestCollect:
    def test_means_intervals_and_worst_seeds(self, collected):
        of, root, values = collected
        document = collect.collect(of, root)
        found = document["cells"]["tiny-16"]["arms"]["focal"]["summary"]
        for name, worst in (("accuracy@mixed_rand", min), ("ece", max)):
            runs = values["focal"][name]
            low, high = stats.t.interval(0.95, 3, runs.mean(), stats.sem(runs))
            expected = [runs.mean(), low, high, worst(runs)]
            row = [found[name][key] for key in ("mean", "low", "high", "worst")]
            assert row == pytest.approx(expected, abs=1e-5)
        assert document["finished"] == document["planned"] == 24

    def test_paired_tests_are_corrected_over_the_headline_of_all_arms(self, collected):
        of, root, values = collected
        cell = collect.collect(of, root)["cells"]["tiny-16"]
        others, headline = ("focal", "published"), of.study["headline"]
        p_values = {
            (arm, name): stats.ttest_rel(values[arm][name], values["erm"][name]).pvalue
            for arm in others
            for name in of.study["metrics"]
        }
        family = sorted((p_values[arm, name], arm, name) for arm in others for name in headline)
        holm, last = {}, 0.0
        for rank, (p, arm, name) in enumerate(family):
            last = max(last, min(1.0, (len(family) - rank) * p))
            holm[arm, name] = last
        for (arm, name), p in p_values.items():
            entry = cell["arms"][arm]["differences"]["erm"][name]
            assert entry["p"] == pytest.approx(p, abs=2e-4)
            assert entry.get("p_holm") == pytest.approx(holm.get((arm, name)), abs=2e-3)
            difference = (values[arm][name] - values["erm"][name]).mean()
            assert entry["mean"] == pytest.approx(difference, abs=1e-5)

    def test_the_strongest_rival_is_no_arm_of_ours(self, collected):
        of, root, values = collected
        assert collect.collect(of, root)["cells"]["tiny-24"]["strongest_rival"] == "focal"
        made = {arm: {m: dict(enumerate(v)) for m, v in by.items()} for arm, by in values.items()}
        means = {arm: by["accuracy@mixed_rand"].mean() for arm, by in values.items()}
        assert collect.strongest(made, list(made)) == max(means, key=means.get)

    def test_versions_are_never_mixed(self, collected):
        of, root, _ = collected
        path = root / "tiny-16/focal/seed-1" / job.RESULT
        result = json.loads(path.read_text())
        parts = {"shared": "all jobs", "objective": "focal", "options": "arm focal"}
        for part, message in parts.items():
            path.write_text(json.dumps({**result, "code": {**result["code"], part: "other"}}))
            with pytest.raises(InputError, match=f"several versions of {message}"):
                collect.collect(of, root)

    def test_missing_runs_leave_gaps(self, collected):
        of, root, _ = collected
        shutil.rmtree(root / "tiny-24")
        shutil.rmtree(root / "tiny-16/focal/seed-0")
        document = collect.collect(of, root)
        assert (document["finished"], document["planned"]) == (11, 24)
        entry = document["cells"]["tiny-16"]["arms"]["published"]["differences"]["rival"]
        assert entry["ece"]["n"] == 3
        assert document["cells"]["tiny-24"]["arms"] == {}
        make_study.render(document, root)


class TestTuning:
    def test_the_criterion_ignores_backgrounds_and_the_oracle_does_not(self, tiny, tmp_path):
        tiny.study["tuning"] = True
        names = (tuning.ACCURACY, tuning.MEASURE, tuning.ORACLE)
        table = {
            "erm-0": (0.9, 0.5, 0.1),
            "erm-1": (0.8, 0.7, 0.3),
            "focal-0": (0.9, 0.9, 0.2),
            "focal-1": (0.9, 0.8, 0.6),
            "published-0": (0.5, 0.5, 0.5),
        }
        values = {
            arm: {name: [v, v] for name, v in zip(names, row, strict=True)}
            for arm, row in table.items()
        }
        with pytest.raises(InputError, match="expected a finished job of these options, got none"):
            tuning.choose(tiny, tmp_path)
        for result in results(tiny, values):
            path = tmp_path / Path(result["cell"], result["arm"], f"seed-{result['seed']}")
            path.mkdir(parents=True, exist_ok=True)
            (path / job.RESULT).write_text(json.dumps(result))
        arms = tuning.choose(tiny, tmp_path)["arms"]
        assert arms["erm"]["setting"] == arms["erm"]["oracle"] == {"train": {"lr": 0.1}}
        assert arms["focal"]["setting"] == {"train": {"gamma": 1.0}}
        assert arms["focal"]["oracle"] == {"train": {"gamma": 4.0}}
        assert arms["focal"]["lost_to_oracle"] == pytest.approx(0.4)
        diverged = tmp_path / "tiny-16/focal-0/seed-0"
        (diverged / job.RESULT).unlink()
        (diverged / job.ERROR).write_text("loss of epoch 1: expected a finite number, got nan")
        assert tuning.choose(tiny, tmp_path)["arms"]["focal"]["setting"] == {
            "train": {"gamma": 4.0}
        }


class TestPlots:
    def test_cells_that_differ_in_one_fact_are_a_line(self):
        def cell(**facts):
            return {"facts": {"data": "d", "network": "n", "rho": 0.5, "fraction": 1.0, **facts}}

        cells = [cell(rho=0.7), cell(), cell(fraction=0.1), cell(data="e"), cell(network="m")]
        assert plots.along(cells, "rho") == {
            "d, n, fraction 1.0": [(0.5, cells[1]), (0.7, cells[0])]
        }
        assert plots.along(cells, "fraction") == {
            "d, n, rho 0.5": [(0.1, cells[2]), (1.0, cells[1])]
        }
        assert plots.along(cells[3:], "rho") == {}

    def test_files_are_the_same_each_time(self, collected, tmp_path, monkeypatch):
        of, root, _ = collected
        monkeypatch.setattr(plots, "MIN_ARMS", 3)
        document = collect.collect(of, root)
        document["cells"]["tiny-24"]["facts"]["rho"] = 0.7
        files = plots.draw(document, tmp_path / "plots")
        assert [path.name for path in files] == ["arms-tiny-16.png", "arms-tiny-24.png", "rho.png"]
        first = [path.read_bytes() for path in files]
        assert [path.read_bytes() for path in plots.draw(document, tmp_path / "plots")] == first
        page = make_study.render(document, tmp_path / "plots")
        assert "(plots/arms-tiny-16.png)" in page
        assert "(plots/rho.png)" in page


class TestPage:
    def test_tables_show_percent_interval_and_worst_seed(self, collected):
        of, root, values = collected
        document = collect.collect(of, root)
        page = make_study.render(document, root)
        runs = 100 * values["erm"]["accuracy@mixed_rand"]
        half = stats.t.ppf(0.975, 3) * stats.sem(runs)
        assert f"{runs.mean():.1f} ± {half:.1f} ({runs.min():.1f})" in page
        assert "Cut to a miniature." in page
        assert "| focal | 10 | 0.002 | 1.00 | 1.00 |" in page

    def test_the_readme_has_the_strongest_rival(self, collected):
        of, root, _ = collected
        document = collect.collect(of, root)
        readme = "a\n<!-- study, generated by `make docs` -->\nold\n<!-- end of study -->\nb\n"
        text = make_study.filled(readme, document)
        assert "focal, the strongest rival" in text
        assert "old" not in text
        assert make_study.filled(text, document) == text
        assert make_study.filled("none", document) == "none"

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            ({"mean": 0.05, "low": 0.01, "high": 0.09, "p_holm": 0.04}, "**+5.0** [1.0, 9.0]"),
            ({"mean": -0.05, "low": -0.09, "high": 0.0, "p_holm": 0.06}, "−5.0 [−9.0, 0.0]"),
            ({"mean": 0.05, "low": None, "high": None}, "+5.0"),
            (None, ""),
        ],
    )
    def test_differences(self, found, expected):
        assert make_study.difference(found) == expected
